"""Token events: found, explained, and turned into conditions."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange
from changegate.services.integrations.integrations import delete_integration, get_integration
from changegate.services.integrations.saving import Registered
from tests.console.integrations.test_views import ATTACK, add_event
from tests.console.visitor import Visitor, forms_of

EVENTS = "/inbound-integrations/events"
NOBODY = Registered(OAuthEntity(), None)
GITHUB_CLAIMS = {"sub": "repo:a/b:ref:main", "repository_id": "42", "repository": "a/b", "run_id": "7"}


def ids_in(text: str) -> list[str]:
    """Return the correlation IDs that a list shows, in its order."""
    return re.findall(rf'class="row-link" href="{EVENTS}/([0-9a-f]{{32}})"', text)


def make_github(app: Flask, registered: Registered) -> None:
    """Turn an integration into one that trusts GitHub."""
    with app.app_context():
        get_integration(registered.entity.client_id).preset = "github-actions"
        db.session.commit()


def conditions_of(app: Flask, registered: Registered) -> list[Any]:
    """Return the conditions of an integration as they are stored."""
    with app.app_context():
        return get_integration(registered.entity.client_id).claim_conditions or []


def test_lists_the_events_of_all_integrations_newest_first(app: Flask, admin: Visitor, integration: Registered) -> None:
    first = add_event(app, integration, is_accepted=True, subject="build-1")
    second = add_event(app, NOBODY, is_accepted=False, reason="client_unknown", client_id=ATTACK)
    text = admin.open(EVENTS).text
    assert ids_in(text) == [second, first]
    assert "Build pipeline" in text
    assert "<script>alert" not in text


def test_finds_events_by_each_filter(app: Flask, admin: Visitor, integration: Registered) -> None:
    client_id = integration.entity.client_id
    issued = add_event(app, integration, is_accepted=True, subject="build-1", kid="k9", would_refuse=True)
    refused = add_event(app, integration, is_accepted=False, reason="aud_mismatch", issuer="https://ci.example.com")
    other = add_event(app, NOBODY, is_accepted=False, reason="client_unknown")
    for query, expected in (
        (f"sysparm_query=entity.client_id={client_id}", [refused, issued]),
        ("sysparm_query=outcome=accepted", []),
        ("sysparm_query=outcome=refused", [other, refused]),
        ("sysparm_query=outcome=would_refuse", [issued]),
        ("sysparm_query=outcomeINaccepted,would_refuse", [issued]),
        ("sysparm_query=reason=aud_mismatch", [refused]),
        ("search=BUILD", [issued]),
        ("search=ci.example+AUD", [refused]),
        ("search=%25", []),
        ("sysparm_query=sys_created_on<2002-01-01", []),
        ("sysparm_query=sys_created_on>2001-01-01", [other, refused, issued]),
        ("sysparm_query=entity=nobody", []),
        (f"search={'0' * 32}", []),
    ):
        assert ids_in(admin.open(f"{EVENTS}?{query}").text) == expected, query


def test_goes_to_the_event_whose_correlation_id_is_given(app: Flask, admin: Visitor, integration: Registered) -> None:
    found = add_event(app, integration, is_accepted=True)
    for typed in (f"%20{found.upper()}", found[:10].upper(), found[:12]):
        for name in ("correlation_id", "search"):
            assert admin.open(f"{EVENTS}?{name}={typed}").location == f"{EVENTS}/{found}"
    assert ids_in(admin.open(f"{EVENTS}?search={found[:9]}").text) == []


def test_has_pages(app: Flask, admin: Visitor, integration: Registered) -> None:
    made = [add_event(app, integration, is_accepted=True) for _ in range(23)]
    page = admin.open(f"{EVENTS}?sysparm_query=outcome=accepted").text
    [older] = re.findall(r'rel="next" href="([^"]+)"', page)
    assert "outcome%3Daccepted" in older
    rest = admin.open(older.replace("&amp;", "&")).text
    assert sorted({*ids_in(page)} | {*ids_in(rest)}) == sorted(made)
    assert len({*ids_in(rest)}) == 3
    assert 'rel="next"' not in rest


def test_explains_one_event(app: Flask, admin: Visitor, integration: Registered) -> None:
    rules = [
        ["alg", None, "RS256", "RS256"],
        ["iss", "iss_mismatch", "https://a", "https://a/"],
        ["claim ref", "claim_condition_failed", "main", ATTACK, True],
    ]
    event = add_event(
        app, integration, is_accepted=False, reason="iss_mismatch", rules=rules, kid=ATTACK, address="192.0.2.7"
    )
    text = admin.open(f"{EVENTS}/{event}").text
    for shown in (
        "Refused",
        "iss_mismatch",
        "https://a/",
        "only by a trailing slash",
        "192.0.2.7",
        "Report only",
        event,
    ):
        assert shown in text
    assert "<strong>iss</strong>: expected https://a; received https://a/." in text
    assert "<script>alert" not in text
    assert "Constrain to this value" not in text


def test_an_unknown_event_is_a_404(admin: Visitor) -> None:
    assert admin.open(f"{EVENTS}/{'0' * 32}").status_code == 404
    assert admin.open(f"{EVENTS}/nope").status_code == 404


@pytest.mark.parametrize(("mode", "reports"), [("enforce", False), ("report", True), ("nonsense", True)])
def test_constrains_an_integration_to_a_value_that_was_seen(
    app: Flask, admin: Visitor, integration: Registered, mode: str, reports: bool
) -> None:
    make_github(app, integration)
    event = add_event(app, integration, is_accepted=True, claims=GITHUB_CLAIMS)
    page = admin.open(f"{EVENTS}/{event}")
    assert page.text.count("Constrain to this value") == 1
    answer = admin.send(page, f"{EVENTS}/{event}/constrain", {"mode": mode})
    assert answer.location == f"/inbound-integrations/{integration.entity.client_id}"
    assert conditions_of(app, integration) == [
        {
            **{"claim": "repository_id", "operator": "equals", "value_type": "string", "value": "42"},
            "report_only": reports,
        }
    ]
    assert ("reports" if reports else "refuses") in admin.open(answer.location).text
    again = admin.open(f"{EVENTS}/{event}").text
    assert "Constrain to this value" not in again


def test_claims_of_a_refused_event_are_not_offered_as_a_condition(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    """To constrain to the values of a foreign tenant's token would shut out the integration's own."""
    make_github(app, integration)
    event = add_event(app, integration, is_accepted=True, claims=GITHUB_CLAIMS)
    before = admin.open(f"{EVENTS}/{event}")
    with app.app_context():
        db.session.get_one(OAuthExchange, event).is_accepted = False
        db.session.commit()
    assert "Constrain to this value" not in admin.open(f"{EVENTS}/{event}").text
    assert admin.send(before, f"{EVENTS}/{event}/constrain", {"mode": "enforce"}).status_code == 404
    assert conditions_of(app, integration) == []


@pytest.mark.parametrize(("reason", "advice"), [("client_secret_bad", "authenticate"), ("client_inactive", "Activate")])
def test_gives_advice_if_no_rule_was_checked(
    app: Flask, admin: Visitor, integration: Registered, reason: str, advice: str
) -> None:
    event = add_event(app, integration, is_accepted=False, reason=reason)
    assert advice in admin.open(f"{EVENTS}/{event}").text


@pytest.mark.parametrize("claim", ["repository", "run_id", "nothing", "", "x" * 5000, "\x00"])
def test_offers_no_condition_on_a_claim_that_changes_in_each_run(
    app: Flask, admin: Visitor, integration: Registered, claim: str
) -> None:
    make_github(app, integration)
    event = add_event(app, integration, is_accepted=True, claims=GITHUB_CLAIMS)
    path = f"{EVENTS}/{event}/constrain"
    answer = admin.send(admin.open(f"{EVENTS}/{event}"), path, {"claim": claim, "mode": "enforce"})
    assert answer.status_code == 400
    assert conditions_of(app, integration) == []


def test_a_claim_of_a_provider_that_is_not_known_can_only_be_watched(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    event = add_event(app, integration, is_accepted=True, claims={"team": "shop"})
    page, path = admin.open(f"{EVENTS}/{event}"), f"{EVENTS}/{event}/constrain"
    assert "Refuse other values" not in page.text
    assert admin.send(page, path, {"mode": "enforce"}).status_code == 400
    assert admin.send(page, path, {"mode": "report"}).status_code == 302
    assert [found["report_only"] for found in conditions_of(app, integration)] == [True]


def test_binds_on_a_claim_within_another(app: Flask, admin: Visitor, integration: Registered) -> None:
    with app.app_context():
        get_integration(integration.entity.client_id).preset = "kubernetes"
        db.session.commit()
    claims = {"kubernetes.io": {"serviceaccount": {"uid": "0184990a"}}}
    event = add_event(app, integration, is_accepted=True, claims=claims)
    admin.send(admin.open(f"{EVENTS}/{event}"), f"{EVENTS}/{event}/constrain", {"mode": "enforce"})
    assert [found["claim"] for found in conditions_of(app, integration)] == ["/kubernetes.io/serviceaccount/uid"]


def test_an_event_without_an_integration_offers_no_condition(app: Flask, admin: Visitor) -> None:
    event = add_event(app, NOBODY, is_accepted=False, claims={"team": "shop"})
    page = admin.open(f"{EVENTS}/{event}")
    assert page.status_code == 200
    assert "Constrain to this value" not in page.text
    token = forms_of(page).forms["/logout"]["csrf_token"]
    sent = {"csrf_token": token, "claim": "team", "mode": "report"}
    assert admin.client.post(f"{EVENTS}/{event}/constrain", data=sent).status_code == 404


def test_an_event_of_a_deleted_integration_and_user_says_so(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    client_id, entity = integration.entity.client_id, integration.entity.sys_id
    event = add_event(app, integration, is_accepted=True, user="f" * 32, client_id=client_id, claims={"sub": "a"})
    with app.app_context():
        delete_integration(get_integration(client_id), by="admin")
        db.session.commit()
    text = admin.open(f"{EVENTS}/{event}").text
    assert f"Integration deleted: {entity}" in text
    assert f"User deleted: {'f' * 32}" in text
    assert "Constrain to this value" not in text


def test_events_are_sorted_by_time_as_their_ids_are(app: Flask, admin: Visitor, integration: Registered) -> None:
    first, second = (add_event(app, integration, is_accepted=True) for _ in range(2))
    page = admin.open(EVENTS)
    assert ids_in(page.text) == [second, first]
    found = re.search(r'<th scope="col" aria-sort="descending"><a class="sort" href="([^"]+)">Time<', page.text)
    assert found
    assert "ORDERBYsys_id" in found[1]
    upwards = admin.open(html.unescape(found[1]))
    assert ids_in(upwards.text) == [first, second]
    assert 'aria-sort="ascending"' in upwards.text


def test_the_navigator_leads_to_the_events(admin: Visitor) -> None:
    assert re.search(rf'href="{EVENTS}"[^>]*>.*?Token Events', admin.open("/").text)


def test_a_start_in_the_future_finds_no_events(app: Flask, admin: Visitor, integration: Registered) -> None:
    add_event(app, integration, is_accepted=True)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert ids_in(admin.open(f"{EVENTS}?sysparm_query=sys_created_on>{tomorrow}").text) == []
