"""The list of changes and the record."""

import html
import re
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from changegate.database.packed import PackedJSON
from changegate.extensions import db
from changegate.models import ChgHistory, OAuthEntity, SysAudit, SysUser
from changegate.services.access.caller import TokenOrigin
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.integrations.saving import Registered
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users.accounts import create_user
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor


def numbers_in(text: str) -> list[str]:
    """Return the numbers of the rows, in order."""
    return re.findall(r'class="row-link"[^>]*>(CHG\d+)<', text)


def test_lists_changes_newest_first(admin: Visitor, make_change: MakeChange) -> None:
    for _ in range(3):
        make_change(short_description="x")
    assert numbers_in(admin.open("/change-requests").text) == ["CHG0030003", "CHG0030002", "CHG0030001"]


def test_shows_names_and_labels_instead_of_values(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Renew the certificate", type="emergency", state=-3, priority=2)
    text = admin.open("/change-requests").text
    for shown in ("Renew the certificate", "Emergency", "Authorize", "2 - High", "System Administrator"):
        assert shown in text


def test_shows_that_there_are_no_changes(admin: Visitor) -> None:
    assert "<h2>No change requests</h2>" in admin.open("/change-requests").text


def test_searches_number_and_short_description(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Patch the database")
    make_change(short_description="Move a router")
    assert numbers_in(admin.open("/change-requests?search=ROUTER").text) == ["CHG0030002"]
    assert numbers_in(admin.open("/change-requests?search=0030001").text) == ["CHG0030001"]
    assert "Nothing matches" in admin.open("/change-requests?search=printer").text


@pytest.mark.parametrize(
    "typed", ["a^NQactive=true", "^ORDERBYnumber", "%", "Patch_the", "\\", "'; --", "\0", "ä" * 500]
)
def test_searches_for_the_text_literally(admin: Visitor, make_change: MakeChange, typed: str) -> None:
    make_change(short_description="Patch the database")
    answer = admin.client.get("/change-requests", query_string={"search": typed})
    assert answer.status_code == 200
    assert numbers_in(answer.text) == (["CHG0030001"] if typed == "\0" else [])


def test_sorts_by_a_column_either_way(admin: Visitor, make_change: MakeChange) -> None:
    for text in ("b", "c", "a"):
        make_change(short_description=text)
    upwards = admin.open("/change-requests?sysparm_query=ORDERBYshort_description")
    assert numbers_in(upwards.text) == ["CHG0030003", "CHG0030001", "CHG0030002"]
    assert 'aria-sort="ascending"' in upwards.text
    assert "sysparm_query=ORDERBYDESCshort_description" in upwards.text
    downwards = admin.open("/change-requests?sysparm_query=ORDERBYDESCshort_description")
    assert numbers_in(downwards.text) == ["CHG0030002", "CHG0030001", "CHG0030003"]


def test_pages_keep_the_search(admin: Visitor, make_change: MakeChange) -> None:
    for _ in range(21):
        make_change(short_description="x")
    first = admin.open("/change-requests?search=x").text
    assert (len(numbers_in(first)), 'rel="prev"' in first) == (20, False)
    [following] = re.findall(r'rel="next" href="([^"]+)"', first)
    assert numbers_in(admin.open(html.unescape(following)).text) == ["CHG0030001"]


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=9999999999999999999",
        "page=x",
        "page=²",
        "sysparm_query=ORDERBYuser_password",
        "sysparm_query=state=99",
        "fields=nothing",
    ],
)
def test_invalid_arguments_are_ignored(admin: Visitor, make_change: MakeChange, query: str) -> None:
    make_change(short_description="x")
    assert admin.open(f"/change-requests?{query}").status_code == 200


def test_people_without_a_role_see_their_own_changes(app: Flask, sign_in: SignIn, make_change: MakeChange) -> None:
    tom = sign_in("tom.okafor")
    other, own = (
        make_change(short_description="x"),
        make_change(short_description="y", requested_by="tom.okafor"),
    )
    assert numbers_in(tom.open("/change-requests").text) == ["CHG0030002"]
    assert tom.open(f"/change-requests/{own}").status_code == 200
    assert tom.open(f"/change-requests/{other}").status_code == 404


def test_shows_a_record_in_sections(admin: Visitor, make_change: MakeChange) -> None:
    sys_id = make_change(
        short_description="Move a router",
        backout_plan="Move it back.\nCarefully.",
        start_date="2026-12-01 20:00:00",
        cab_required=True,
    )
    text = admin.open(f"/change-requests/{sys_id}").text
    for shown in (
        "Details",
        "Planning",
        "Schedule",
        "Move it back.\nCarefully.",
        "2026-12-01 20:00:00",
    ):
        assert shown in text
    assert re.search(r"CAB required</dt>\s*<dd>Yes</dd>", text)
    assert f"sys_id: <code>{sys_id}</code>" in text


ORIGIN = TokenOrigin("c" * 32, "e" * 32, "github-actions", "https://token.actions.githubusercontent.com", "repo:acme")
CLAIMS = {"repository": "acme/<b>shop", "run_id": "7", "run_attempt": "1", "actor": "octo", "ref": "refs/heads/main"}


@pytest.fixture
def from_pipeline(app: Flask, integration: Registered) -> str:
    """Create a change with a token and return its sys_id."""
    claims = PackedJSON().process_bind_param(CLAIMS, None)
    origin = ORIGIN._replace(client_id=integration.entity.client_id, claims=claims)
    permissions = Permissions(ROOT.roles, TokenGrant(integration.entity.sys_id, ""))
    token = replace(ROOT, permissions=permissions, origin=origin)
    with app.app_context():
        change = create_record(get_table("change_request"), token, {"short_description": "Deploy"})
        update_record(get_table("change_request"), token, change["sys_id"], {"short_description": "Deploy it"})
        # A second may end between the entries of one save.
        at = select(func.max(ChgHistory.sys_created_on)).scalar_subquery()
        db.session.execute(update(SysAudit).values(sys_created_on=at))
        db.session.commit()
        return str(change["sys_id"])


def test_shows_where_a_change_comes_from(
    admin: Visitor, from_pipeline: str, make_change: MakeChange, integration: Registered
) -> None:
    text = admin.open(f"/change-requests/{from_pipeline}").text
    section = text[text.index('id="section-provenance"') :]
    url = "https://github.com/acme/%3Cb%3Eshop/actions/runs/7/attempts/1"
    assert f'<a href="{url}" rel="noopener noreferrer">{url}</a>' in section
    assert f'<a href="/inbound-integrations/{integration.entity.client_id}">Build pipeline</a>' in section
    assert f'<a href="/inbound-integrations/events/{"e" * 32}">' in section
    for shown in ("Source repository", "acme/&lt;b&gt;shop", "Source actor", "octo", "repo:acme"):
        assert shown in section
    assert "Source environment" not in section
    activity = admin.open(f"/change-requests/{from_pipeline}?tab=activity").text
    workload = f'<span class="pill pill-off"><a href="{url}" rel="noopener noreferrer">repo:acme</a></span>'
    for words in ("created the change", "changed fields"):
        assert f"{words} {workload}" in activity
    assert "section-provenance" not in admin.open(f"/change-requests/{make_change()}").text


def test_shows_no_links_to_records_without_read_access(
    sign_in: SignIn, from_pipeline: str, integration: Registered
) -> None:
    tom = sign_in("tom", "itil")
    text = tom.open(f"/change-requests/{from_pipeline}").text
    assert "Source repository" in text
    assert "/inbound-integrations/" not in text
    assert integration.entity.sys_id not in text
    row = tom.open("/change-requests?fields=number,oauth_entity").text
    assert integration.entity.sys_id not in row
    assert "Not available" in row


def test_an_owner_gets_links_to_their_integration_and_its_event(
    app: Flask, sign_in: SignIn, from_pipeline: str, integration: Registered
) -> None:
    tom = sign_in("tom", "itil")
    with app.app_context():
        owner = db.session.query(SysUser).filter_by(user_name="tom").one().sys_id
        db.session.query(OAuthEntity).update({"owner": owner})
        db.session.commit()
    text = tom.open(f"/change-requests/{from_pipeline}").text
    assert f'<a href="/inbound-integrations/{integration.entity.client_id}">Build pipeline</a>' in text
    assert f'<a href="/inbound-integrations/events/{"e" * 32}">' in text


def test_an_unknown_record_is_a_404(admin: Visitor) -> None:
    assert admin.open(f"/change-requests/{'0' * 32}").status_code == 404


def test_escapes_the_text_of_records(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x>"
    with app.app_context():
        create_user(user_name="eve", password=None, email=None, name=attack, roles=[])
        db.session.commit()
    sys_id = make_change(short_description=attack, description=attack, assigned_to="eve", requested_by="eve")
    for path in ("/change-requests", f"/change-requests/{sys_id}", f"/change-requests?search={attack}"):
        text = admin.open(path).text
        assert "<script>alert" not in text
        assert "<img src=x>" not in text
        assert "&lt;script&gt;alert(1)" in text
