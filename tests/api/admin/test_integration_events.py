"""The event log in the admin API: what was decided and why, page by page."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.integration_api import EVENTS, IntegrationApi
from tests.support.token_desk import TokenDesk


@pytest.fixture
def api(desk: TokenDesk, admin: dict[str, str]) -> IntegrationApi:
    return IntegrationApi(desk.client, admin)


def found(api: IntegrationApi, **asked: str) -> list[dict[str, Any]]:
    response = api.client.get(EVENTS, query_string=asked, headers=dict(api.headers))
    assert response.status_code == 200, response.text
    events: list[dict[str, Any]] = response.get_json()["result"]
    return events


def test_an_event_has_the_decision_and_its_reason_but_never_the_token(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    assertion, wrong = desk.assertion(), desk.assertion(aud="https://other.example.com")
    token = desk.token(integration, assertion=assertion)
    refused = desk.exchange(integration, assertion=wrong)
    [no, yes] = found(api)

    assert (yes["outcome"], yes["reason"], yes["subject"]) == ("accepted", None, "build-42")
    assert (no["outcome"], no["reason"], no["client_id"]) == ("refused", "aud_mismatch", integration.client_id)
    assert no["correlation_id"] == refused.get_json()["correlation_id"]
    [failed] = [rule for rule in no["rules"] if not rule["passed"]]
    assert failed["received"] == "https://other.example.com" and failed["hint"]
    assert yes["happened_at"].endswith("+00:00") and yes["expires_at"] > yes["happened_at"]
    assert not [secret for secret in (token, assertion, wrong) if secret in str([no, yes])]


def test_events_are_filtered(api: IntegrationApi, desk: TokenDesk) -> None:
    one, other = desk.register(claim_conditions=["report-only: actor exists"]), desk.register("Other")
    desk.token(one)
    desk.token(other)
    desk.exchange(other, assertion=desk.assertion(sub="x", aud="y"))
    both = found(api)
    assert [event["client_id"] for event in found(api, client_id=one.client_id)] == [one.client_id]
    assert [event["reason"] for event in found(api, outcome="refused")] == ["aud_mismatch"]
    assert [event["client_id"] for event in found(api, outcome="would_refuse")] == [one.client_id]
    assert len(found(api, reason="aud_mismatch")) == len(found(api, text=other.client_id, outcome="refused")) == 1
    assert found(api, since="2100-01-01T00:00Z") == found(api, until="2000-01-01") == []
    assert found(api, since="2000-01-01T00:00+02:00", until="2100-01-01") == both
    assert found(api, correlation_id=both[1]["correlation_id"]) == [both[1]]
    assert both[1] in found(api, correlation_id=both[1]["correlation_id"][:10].upper())
    assert found(api, correlation_id="0" * 32) == []
    assert found(api, reason="", client_id="") == both


def test_pages_follow_each_other(api: IntegrationApi, desk: TokenDesk) -> None:
    integration = desk.register()
    for _ in range(5):
        desk.token(integration)
    listed, path, sizes = found(api), f"{EVENTS}?limit=2&outcome=accepted", []
    read: list[dict[str, Any]] = []
    while path:
        response = api.client.get(path, headers=dict(api.headers))
        sizes.append(len(response.get_json()["result"]))
        read += response.get_json()["result"]
        link = response.headers.get("Link", "").partition(">;rel=")[0].removeprefix("<")
        path = f"{EVENTS}?{urlsplit(link).query}" if link else ""
    assert (sizes, read) == ([2, 2, 1], listed)


@pytest.mark.parametrize(
    "query",
    [
        *("client_id=" + "0" * 32, "client_id=%00", "client_id=" + "x" * 100, "outcome=good", "reason=a%0Ab"),
        *("since=yesterday", "since=%FF", "since=9999-12-31T23:59:59-12:00", "until=1900-01-01"),
        *("limit=0", "limit=501", "limit=x", "before=x", "correlation_id=x", "nonsense=1"),
    ],
)
def test_filters_that_make_no_sense_are_refused_by_name(api: IntegrationApi, query: str) -> None:
    response = api.client.get(f"{EVENTS}?{query}", headers=dict(api.headers))
    assert response.status_code == 400, response.text
    assert response.get_json()["error"]["message"].startswith(f"{query.partition('=')[0]}: ")
