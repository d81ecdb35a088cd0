"""The tabs of an integration, its history, and its deletion."""

import re

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from changegate.extensions import db
from changegate.models import OAuthEntity, SysAudit
from changegate.schemas.integration import load_fields
from changegate.services.integrations.integrations import list_integrations
from changegate.services.integrations.saving import Registered, register_integration
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.console.conftest import ROOT, Change, SignIn
from tests.console.integrations.test_views import ATTACK, record_path
from tests.console.visitor import Visitor, forms_of
from tests.support.token_desk import TokenDesk

TABS = ("", "/keys", "/events", "/run", "/history")


@pytest.fixture
def path(integration: Registered) -> str:
    return record_path(integration)


def current_tab(text: str) -> str:
    [nav] = re.findall(r'<nav class="tabs".*?</nav>', text, re.DOTALL)
    [label] = re.findall(r'aria-current="page">([^<]+)</a>', nav)
    return str(label)


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_every_tab_has_a_url_and_links_to_the_others(admin: Visitor, path: str) -> None:
    labels = []
    for tab in TABS:
        text = admin.open(path + tab).text
        labels.append(current_tab(text))
        assert all(f'href="{path}{other}"' in text for other in TABS)
        assert '<a href="/inbound-integrations" aria-current="page"' in text
    assert labels == ["Details", "Signing keys", "Events", "Run this", "History"]


def test_every_tab_leads_to_the_people_of_the_integration(app: Flask, admin: Visitor, path: str) -> None:
    with app.app_context():
        group = create_record(get_table("sys_user_group"), ROOT, {"name": "Release"})["sys_id"]
        columns = {"run_as": ROOT.sys_id, "owner": ROOT.sys_id, "owner_group": group}
        db.session.execute(update(OAuthEntity).values(columns))
        db.session.commit()
    user = f'<a href="/records/sys_user/{ROOT.sys_id}"><bdi>System Administrator</bdi></a>'
    for tab in TABS:
        text = admin.open(path + tab).text
        assert f"Run as {user} · Owner {user} · Owner group " in text
        assert f'<a href="/records/sys_user_group/{group}"><bdi>Release</bdi></a>' in text


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_offers_the_actions(admin: Visitor, path: str, tab: str) -> None:
    page = admin.open(path + tab)
    assert {f"{path}/disable", f"{path}/rotate-secret"} <= forms_of(page).forms.keys()
    assert f'href="{path}/delete"' in page.text
    assert ('form="integration">Save</button>' in page.text) == (tab == "")


def test_the_record_has_an_anchor_for_each_part_that_is_a_tab_now(admin: Visitor, path: str) -> None:
    text = admin.open(path).text
    for name in ("keys", "events"):
        assert f'href="{path}/{name}" id="{name}"' in text


def test_a_tab_of_an_unknown_integration_is_a_404(admin: Visitor) -> None:
    for tab in (*TABS, "/delete"):
        assert admin.open(f"/inbound-integrations/{'0' * 32}{tab}").status_code == 404


def test_an_integration_without_a_provider_has_no_keys(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        made = register_integration(
            load_fields(
                {"type": "client_credentials", "name": "Scheduler", "provider_name": "Cron", "run_as": "admin"}
            ),
            by="admin",
        )
        db.session.commit()
        path = f"/inbound-integrations/{made.entity.client_id}"
    assert f"{path}/keys" not in admin.open(path).text
    assert admin.open(f"{path}/keys").status_code == 404


def test_asks_before_disabling(admin: Visitor, path: str) -> None:
    [question] = re.findall(
        r"<details[^>]*>(?:(?!</details>).)*/disable.*?</details>", admin.open(path).text, re.DOTALL
    )
    assert "All its tokens stop working now" in words(question)


def test_the_history_shows_who_changed_what_and_when(admin: Visitor, path: str, change: Change) -> None:
    empty = words(admin.open(f"{path}/history").text)
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d admin The integration was created\.", empty)
    admin.send(admin.open(path), "integration", {"comments": f"One\n{ATTACK}", "clock_skew_seconds": "45"})
    change(comments="Three")
    page = admin.open(f"{path}/history").text
    assert "<script>alert" not in page
    text = words(page)
    assert re.search(r"grace Comments One .* Three .* admin Clock skew \(seconds\) 30 45", text)
    assert text.index("Three") < text.index("30 45") < text.index("was created")


def test_the_history_names_what_happened_to_secrets_and_tokens(app: Flask, admin: Visitor, path: str) -> None:
    admin.send(admin.open(path), f"{path}/rotate-secret", {"overlap_hours": "0"})
    admin.send(admin.open(path), f"{path}/disable")
    text = words(admin.open(f"{path}/history").text)
    assert "Client secret Replaced" in text
    assert "Active yes no" in text
    assert "Tokens All issued tokens were revoked" in text
    with app.app_context():
        [entity] = list_integrations()
        assert entity.client_secret_hash
        assert entity.client_secret_hash[:12] not in admin.open(f"{path}/history").text


def test_the_history_has_pages(admin: Visitor, path: str, change: Change) -> None:
    for number in range(30):
        change(comments=f"Text {number}")
    page = admin.open(f"{path}/history").text
    assert ("Text 29" in page, "Text 5" in page, "Text 3<" in page, "was created" in page) == (True, True, False, False)
    [older] = re.findall(r'rel="next" href="([^"]+)"', page)
    last = admin.open(older).text
    assert ("Text 4<" in last, "Text 6<" in last, "was created" in last) == (True, False, True)
    assert 'rel="next"' not in last
    for nonsense in ("x", "-1", "9" * 30, "%00"):
        assert "Text 29" in admin.open(f"{path}/history?before={nonsense}").text


def test_deletion_is_confirmed_and_lists_dependent_rows(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    desk.token(integration)
    path = f"/inbound-integrations/{integration.client_id}"
    text = words(admin.open(f"{path}/delete").text)
    assert "Live tokens that stop working now: 1" in text
    assert "and so do its token events" in text
    assert admin.open(path).status_code == 200


def test_deletes_an_integration_with_its_tokens_and_keeps_its_history_and_events(
    app: Flask, admin: Visitor, desk: TokenDesk
) -> None:
    integration, _other = desk.register("Shop"), desk.register("Other")
    token = desk.token(integration)
    path = f"/inbound-integrations/{integration.client_id}"
    admin.send(admin.open(path), "integration", {"comments": "Soon gone"})
    answer = admin.send(admin.open(f"{path}/delete"), f"{path}/delete")
    assert (answer.status_code, answer.location) == (303, "/inbound-integrations")
    text = admin.open("/inbound-integrations").text
    assert "Shop is deleted; its tokens have stopped working." in text
    assert admin.open(path).status_code == 404
    assert desk.call(token).status_code == 401
    event = desk.events()[0]
    assert integration.sys_id == event.entity
    assert integration.client_id in admin.open(f"/inbound-integrations/events/{event.correlation_id}").text
    assert "Not available" in words(admin.open("/inbound-integrations/events").text)
    with app.app_context():
        assert [entity.name for entity in list_integrations()] == ["Other"]
        rows = select(SysAudit).where(SysAudit.documentkey == integration.sys_id).order_by(SysAudit.sys_id)
        kept = [(row.user, row.fieldname, row.oldvalue, row.newvalue) for row in db.session.execute(rows).scalars()]
    assert kept == [("admin", "comments", None, "Soon gone"), ("admin", "DELETED", "Shop", None)]


def test_deleting_needs_a_role_and_a_token_of_the_page(app: Flask, path: str, sign_in: SignIn) -> None:
    reader = sign_in("cora", "itil")
    assert reader.open(f"{path}/delete").status_code == 403
    assert reader.client.post(f"{path}/delete").status_code in {400, 403}
    manager = sign_in("olga", "oauth_admin")
    app.config["WTF_CSRF_ENABLED"] = True
    assert manager.client.post(f"{path}/delete").status_code == 400
    with app.app_context():
        assert db.session.execute(select(func.count()).select_from(OAuthEntity)).scalar_one() == 1


def test_an_integration_administrator_deletes_what_acts_as_an_administrator(path: str, sign_in: SignIn) -> None:
    """As disabling, deleting takes power away: it needs no more authority."""
    manager = sign_in("olga", "oauth_admin")
    assert manager.send(manager.open(path), "integration").status_code == 403
    assert manager.send(manager.open(f"{path}/delete"), f"{path}/delete").status_code == 303
