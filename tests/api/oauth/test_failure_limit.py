"""Failures are limited by address and client: guessing ends, and no attacker can lock out a legitimate client."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.forge import header
from tests.support.misbehaving_jwks import raw
from tests.support.token_desk import JWT_BEARER, RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

LIMIT = 20
ELSEWHERE = "192.0.2.7"


def _fail(desk: TokenDesk, integration: Integration, times: int = LIMIT, **changes: Any) -> list[int]:
    wrong = {"client_secret": "wrong"} | changes
    return [desk.exchange(integration, **wrong).status_code for _ in range(times)]


def _assert_limited(answer: TestResponse) -> None:
    body = answer.get_json()
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert set(body) == {"error", "error_description", "correlation_id"}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("path", "error"), [(RFC_PATH, "temporarily_unavailable"), (SERVICENOW_PATH, "server_error")])
def test_the_twenty_first_failure_is_too_many(desk: TokenDesk, integration: Integration, path: str, error: str) -> None:
    assert _fail(desk, integration) == [401] * LIMIT

    answer = desk.exchange(integration, path, client_secret="wrong")

    _assert_limited(answer)
    assert answer.get_json()["error"] == error


def test_after_too_many_failures_the_right_secret_is_refused_too(desk: TokenDesk, integration: Integration) -> None:
    _fail(desk, integration)

    _assert_limited(desk.exchange(integration))


def test_the_client_still_works_at_another_address(desk: TokenDesk, integration: Integration) -> None:
    _fail(desk, integration)
    desk.client.environ_base["REMOTE_ADDR"] = ELSEWHERE

    assert desk.exchange(integration).status_code == 200


def test_another_client_still_works_at_the_same_address(desk: TokenDesk, integration: Integration) -> None:
    other = desk.register("Another")
    _fail(desk, integration)

    assert desk.exchange(other).status_code == 200


def test_a_public_client_without_id_still_works_at_the_same_address(desk: TokenDesk, integration: Integration) -> None:
    public = desk.register("Public", public_client=True, issuer="https://public.example.com")
    _fail(desk, integration)
    _fail(desk, integration, client_id=..., client_secret=..., assertion="nonsense")

    answer = desk.exchange(public, client_id=..., assertion=desk.assertion(iss="https://public.example.com"))

    assert answer.status_code == 200


def test_a_public_client_without_id_is_limited_too(desk: TokenDesk) -> None:
    public = desk.register("Public", public_client=True, issuer="https://public.example.com")
    bad = {"client_id": ..., "assertion": desk.assertion(iss="https://public.example.com", aud="wrong")}

    assert [desk.exchange(public, **bad).status_code for _ in range(LIMIT)] == [400] * LIMIT
    _assert_limited(desk.exchange(public, **bad))


def test_made_up_client_ids_share_one_bucket(desk: TokenDesk, integration: Integration) -> None:
    statuses = [desk.exchange(integration, client_id=f"guess{n}").status_code for n in range(LIMIT + 5)]

    assert statuses == [401] * LIMIT + [429] * 5


def test_the_limit_does_not_reveal_which_client_ids_exist(desk: TokenDesk, integration: Integration) -> None:
    for number in range(LIMIT):
        desk.exchange(integration, client_id=f"guess{number}")

    _assert_limited(desk.exchange(integration, client_id="one more"))
    _assert_limited(desk.exchange(integration, client_secret="wrong"))
    assert desk.exchange(integration).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"grant_type": ...},
        {"grant_type": [JWT_BEARER] * 2},
        {"grant_type": "authorization_code"},
        {"filler": "x" * 65536},
    ],
)
def test_malformed_requests_are_limited_whatever_client_they_name(
    desk: TokenDesk, integration: Integration, changes: dict[str, Any]
) -> None:
    statuses = [desk.exchange(integration, client_id=f"guess{n}", **changes).status_code for n in range(LIMIT + 1)]

    assert statuses == [400] * LIMIT + [429]
    assert desk.exchange(integration).status_code == 200


def test_bad_assertions_of_a_proven_client_are_limited(desk: TokenDesk, integration: Integration) -> None:
    statuses = [
        desk.exchange(integration, assertion=desk.assertion(header(kid=f"kid{n}"))).status_code
        for n in range(LIMIT + 1)
    ]

    assert statuses == [400] * LIMIT + [429]


def test_successful_exchanges_are_not_limited(desk: TokenDesk, integration: Integration) -> None:
    assert {desk.exchange(integration).status_code for _ in range(LIMIT * 2)} == {200}


def test_a_key_set_that_cannot_be_had_does_not_count_against_the_client(
    desk: TokenDesk, integration: Integration
) -> None:
    desk.jwks.answer = raw(b"")

    statuses = [desk.exchange(integration).status_code for _ in range(LIMIT + 5)]

    assert statuses == [503] * (LIMIT + 5)


def test_a_flood_that_is_held_up_is_logged_only_so_often(desk: TokenDesk, integration: Integration) -> None:
    _fail(desk, integration, times=3 * LIMIT + 5)

    reasons = [event.reason for event in desk.events()]
    assert reasons.count("client_secret_bad") == LIMIT
    assert reasons.count("rate_limited") == LIMIT
    assert len(reasons) == 2 * LIMIT
    assert {event.entity for event in desk.events()} == {integration.sys_id}


class TestSwitchedOff:
    """CHANGEGATE_RATELIMIT_ENABLED=0."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"ratelimit_enabled": "0"}

    def test_nothing_is_limited(self, desk: TokenDesk, integration: Integration) -> None:
        assert _fail(desk, integration, times=LIMIT + 5) == [401] * (LIMIT + 5)
        assert desk.exchange(integration).status_code == 200
