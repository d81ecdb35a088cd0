"""Security Findings: the score, each finding, and a link to the field that fixes it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from changegate.models.connection_type import TYPES
from changegate.services.hygiene import checks_of_care, checks_of_keys, checks_of_trust, checks_of_use
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.integrations.test_views import ATTACK
from tests.console.visitor import Visitor
from tests.support.statements import counted_statements
from tests.support.token_desk import Integration, TokenDesk, token_desk

FINDINGS = "/machine-identity/findings"


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    """Open a desk that integrations can be registered at."""
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def neglected(desk: TokenDesk) -> Integration:
    """Return an integration without an owner, whose review is overdue, and that runs as the administrator."""
    return desk.register(run_as="admin", review_date="2020-01-31", clock_skew_seconds=300)


def codes_in(text: str) -> set[str]:
    """Return the codes of the findings shown."""
    return set(re.findall(r'<code class="muted">(\w+)</code>', text))


def test_an_instance_without_findings(admin: Visitor) -> None:
    text = admin.open(FINDINGS).text
    assert "There is nothing to fix." in text
    assert re.search(r'tile-number">100<', text)


def test_shows_the_score_and_each_finding_with_its_remedy(admin: Visitor, neglected: Integration) -> None:
    text = admin.open(FINDINGS).text
    for code in ("review_overdue", "owner_missing", "wide_clock_skew", "account_administers"):
        assert code in codes_in(text)
    for shown in (
        "Its review was due on 2020-01-31.",
        f'<a href="/inbound-integrations/{neglected.client_id}#review_date">Review the integration and set the next',
        f'<a href="/inbound-integrations/{neglected.client_id}#owner">',
        '<a href="/machine-identity/identities?user=admin">Let the integrations run as an account',
        "loses 40 for each high finding",
    ):
        assert shown in text
    [score] = re.findall(r'tile-number">(\d+)<', text)
    assert int(score) < 70
    assert text.index(">High<") < text.index(">Low<"), "the worst first"


def test_filters_by_severity_and_subject(admin: Visitor, desk: TokenDesk, neglected: Integration) -> None:
    other = desk.register("Other")
    everything = codes_in(admin.open(FINDINGS).text)
    high = admin.open(f"{FINDINGS}?severity=high").text
    assert {"account_administers"} <= codes_in(high) < everything
    of_other = admin.open(f"{FINDINGS}?subject={other.client_id}").text
    assert "Only Other" in of_other and "review_overdue" not in codes_in(of_other)
    assert codes_in(admin.open(f"{FINDINGS}?subject=admin").text) >= {"account_administers"}
    assert codes_in(admin.open(f"{FINDINGS}?severity=nonsense").text) == everything
    for query in ("subject=nobody", "subject=%00x", "subject=" + "x" * 5000):
        page = admin.open(f"{FINDINGS}?{query}")
        assert (page.status_code, codes_in(page.text)) == (200, set())
        assert "No finding matches these filters." in page.text


def test_every_remedy_links_to_an_existing_field(admin: Visitor, neglected: Integration) -> None:
    """What a check may name: fields of the integration, and three more places."""
    page = admin.open(f"/inbound-integrations/{neglected.client_id}").text
    places = {*re.findall(r'\sid="([^"]+)"', page)}
    needed = {*TYPES["jwt_bearer"].fields, "keys", "events", "secret"} - {"type", "algorithms"}
    assert needed <= places, needed - places


def test_the_checks_use_only_existing_anchors(admin: Visitor, neglected: Integration) -> None:
    checks = (checks_of_trust, checks_of_keys, checks_of_care, checks_of_use)
    sources = "\n".join(Path(module.__file__).read_text() for module in checks)
    anchors = {*re.findall(r'yield Fault\(.*"([a-z_]+)"\)$', sources, re.MULTILINE)}
    assert len(anchors) > 8
    page = admin.open(f"/inbound-integrations/{neglected.client_id}").text
    # Only forms of ID token integrations have the last one.
    assert anchors - {"require_email_verified"} <= {*re.findall(r'\sid="([^"]+)"', page)}


def test_findings_of_accounts_disappear_after_their_remedy(app: Flask, admin: Visitor, desk: TokenDesk) -> None:
    desk.add_user("strong.bot", "change_manager", user_password="unused")
    desk.register(run_as="strong.bot")
    place = f"{FINDINGS}?subject=strong.bot"
    assert codes_in(admin.open(place).text) == {"account_signs_in", "account_manages_changes"}
    assert "sys_user_has_role" in admin.open("/machine-identity/identities?user=strong.bot").text
    api, header = app.test_client(), basic("admin", ADMIN_PASSWORD)
    [user] = api.get("/api/now/table/sys_user?sysparm_query=user_name=strong.bot", headers=header).json["result"]
    path = f"/api/now/table/sys_user/{user['sys_id']}"
    assert api.patch(path, json={"web_service_access_only": True}, headers=header).status_code == 200
    held = f"/api/now/table/sys_user_has_role?sysparm_query=user={user['sys_id']}"
    for grant in api.get(held, headers=header).json["result"]:
        path = f"/api/now/table/sys_user_has_role/{grant['sys_id']}"
        assert api.delete(path, headers=header).status_code == 204
    assert codes_in(admin.open(place).text) == set()


def test_escapes_names(admin: Visitor, desk: TokenDesk) -> None:
    desk.register(ATTACK)
    for path in (FINDINGS, "/machine-identity", "/machine-identity/identities"):
        assert "<script>alert" not in admin.open(path).text


def test_pages_of_hygiene_cost_no_more_for_more_integrations(app: Flask, admin: Visitor, desk: TokenDesk) -> None:
    counts = []
    for number in range(3):
        desk.register(f"Number {number}")
        with app.app_context(), counted_statements() as statements:
            for path in (FINDINGS, "/machine-identity", "/machine-identity/identities"):
                admin.open(path)
        counts.append(len(statements))
    assert len(set(counts)) == 1, counts
