"""Security Findings: the score, each finding, and a link to the field that fixes it."""

import re
from pathlib import Path

import pytest
from flask import Flask

from changegate.models.connection_type import TYPES
from changegate.services.hygiene import checks_of_care, checks_of_keys, checks_of_trust, checks_of_use
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.conftest import SignIn
from tests.console.integrations.test_views import ATTACK
from tests.console.visitor import Visitor
from tests.support.statements import counted_statements
from tests.support.token_desk import Integration, TokenDesk

FINDINGS = "/machine-identity/findings"


@pytest.fixture
def neglected(desk: TokenDesk) -> Integration:
    """Return an integration without an owner, whose review is overdue, and that runs as the administrator."""
    return desk.register(run_as="admin", review_date="2020-01-31", clock_skew_seconds=300)


def codes_in(text: str) -> set[str]:
    """Return the codes of the findings shown."""
    return set(re.findall(r'data-label="Code" class="breakable">(\w+)<', text))


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
        '<a href="/machine-identity/identities?sysparm_query=user_name%3Dadmin">Let the integrations run as an account',
        "loses 40 for each high finding",
    ):
        assert shown in text
    [score] = re.findall(r'tile-number">(\d+)<', text)
    assert int(score) < 70
    assert text.index('pill-bad">High<') < text.index('pill-off">Low<'), "the worst first"


def test_filters_by_severity_and_subject(admin: Visitor, desk: TokenDesk, neglected: Integration) -> None:
    other = desk.register("Other")
    everything = codes_in(admin.open(FINDINGS).text)
    high = admin.open(f"{FINDINGS}?sysparm_query=severity=high").text
    assert {"account_administers"} <= codes_in(high) < everything
    of_other = admin.open(f"{FINDINGS}?sysparm_query=subject={other.client_id}").text
    assert "Other" in of_other and "review_overdue" not in codes_in(of_other)
    assert codes_in(admin.open(f"{FINDINGS}?sysparm_query=subject=admin").text) >= {"account_administers"}
    assert codes_in(admin.open(f"{FINDINGS}?sysparm_query=nonsense=1").text) == everything
    assert codes_in(admin.open(f"{FINDINGS}?search=clock+OTHER").text) == set()
    assert codes_in(admin.open(f"{FINDINGS}?search=SKEW+pipeline").text) == {"wide_clock_skew"}
    page = admin.open(f"{FINDINGS}?sysparm_query=subject=nobody")
    assert (page.status_code, "Nothing matches" in page.text) == (200, True)
    # A term that cannot be evaluated is refused with its reason, as in conditions of models and policies.
    for query in ("severity=nonsense", "severityONToday", "subject=javascript:x"):
        assert admin.open(f"{FINDINGS}?sysparm_query={query}").status_code == 400


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
    place = f"{FINDINGS}?sysparm_query=subject=strong.bot"
    assert codes_in(admin.open(place).text) == {"account_signs_in", "account_manages_changes"}
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


def test_findings_are_sorted_exported_and_saved_as_filters(admin: Visitor, neglected: Integration) -> None:
    page = admin.open(f"{FINDINGS}?sysparm_query=ORDERBYDESCseverity&per_page=50")
    found = re.findall(r'<span class="pill pill-[a-z]+">(High|Medium|Low)<', page.text)
    assert found == sorted(found, key=["Low", "Medium", "High"].index)
    rows = admin.open("/records/security_finding/export/json?sysparm_query=severity=high").json
    assert {row["severity"]["display_value"] for row in rows} == {"High"}
    assert "Subject,Severity,Finding,Code,Remedy" in admin.open("/records/security_finding/export/csv").text
    [save] = re.findall(r'action="(/records/security_finding/saved-filters[^"]*)"', page.text)
    admin.send(page, save.replace("&amp;", "&"), {"title": "Worst last"})
    assert ">Worst last</a>" in admin.open(FINDINGS).text
    # There is no such table in the Table API.
    assert "The same records from the API" not in page.text


def test_the_condition_builder_offers_what_can_be_evaluated(admin: Visitor, neglected: Integration) -> None:
    page = admin.open(FINDINGS)
    assert '<option value="STARTSWITH"' in page.text and '<option value="ON"' not in page.text
    row = {"join": "and", "field": "code", "operator": "STARTSWITH", "value": "account_"}
    answer = admin.send(page, "/records/security_finding/filter", row)
    assert codes_in(admin.open(answer.location).text) == {"account_administers", "account_signs_in"} & codes_in(
        page.text
    )


def test_people_without_a_role_get_no_finding_by_any_path(sign_in: SignIn, neglected: Integration) -> None:
    ines = sign_in("ines", "itil")
    for path in ("export/json", "export/csv"):
        assert ines.open(f"/records/security_finding/{path}").status_code == 403
    assert ines.client.get("/records/machine_identity", follow_redirects=True).status_code == 403
