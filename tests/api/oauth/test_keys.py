"""Rotations, outages and floods, as the token endpoint sees them (docs/key-sources.md)."""

from typing import Any

import pytest
from sqlalchemy import delete

from changegate.extensions import db
from changegate.models import OAuthEntity
from tests.conftest import Clock
from tests.support.forge import ec_key, forge, header, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import Answer, raw, reply
from tests.support.token_desk import RFC_PATH, SERVICENOW_PATH, Integration, TokenDesk

COOLDOWN_SECONDS = 30


def _assertion_by(desk: TokenDesk, key: str, kid: str | None = None) -> str:
    now = int(desk.app.config["CLOCK"]().timestamp())
    claims = {"iss": "https://ci.example.com", "sub": "a", "aud": "https://change.example.com"}
    head = header(kid=... if kid is None else kid)
    return forge(head, claims | {"iat": now, "exp": now + 60, "jti": f"{key}{now}{kid}"}, key=rsa_key(key))


def _publish(desk: TokenDesk, *names: str, with_kid: bool = True) -> None:
    keys = [jwk(rsa_key(name), name if with_kid else None) for name in names]
    desk.jwks.answer = reply(key_set_document(*keys))


def test_one_fetch_serves_many_exchanges(desk: TokenDesk, integration: Integration) -> None:
    for _ in range(5):
        desk.token(integration)

    assert desk.jwks.hits == 1


def test_the_first_rotation_after_a_start_is_served_at_once(desk: TokenDesk, integration: Integration) -> None:
    _publish(desk, "old")
    desk.token(integration, assertion=_assertion_by(desk, "old", "old"))

    _publish(desk, "new", "old")

    desk.token(integration, assertion=_assertion_by(desk, "new", "new"))
    assert desk.jwks.hits == 2


def test_both_keys_work_during_the_overlap_and_the_old_one_ends_with_it(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    _publish(desk, "new", "old")
    desk.token(integration, assertion=_assertion_by(desk, "new", "new"))
    desk.token(integration, assertion=_assertion_by(desk, "old", "old"))

    _publish(desk, "new")
    clock.advance(hours=2)

    assert desk.exchange(integration, assertion=_assertion_by(desk, "old", "old")).status_code == 400
    desk.token(integration, assertion=_assertion_by(desk, "new", "new"))


def test_a_rotation_without_kid_is_served_too(desk: TokenDesk) -> None:
    integration = desk.register(allow_missing_kid=True)
    _publish(desk, "old", with_kid=False)
    desk.token(integration, assertion=_assertion_by(desk, "old"))

    _publish(desk, "new", with_kid=False)

    desk.token(integration, assertion=_assertion_by(desk, "new"))
    assert desk.jwks.hits == 2


def test_bad_signatures_without_kid_cost_one_fetch_for_each_cooldown(desk: TokenDesk, clock: Clock) -> None:
    integration = desk.register(allow_missing_kid=True)
    _publish(desk, "old", with_kid=False)
    for _ in range(5):
        desk.exchange(integration, assertion=_assertion_by(desk, "foreign"))
    assert desk.jwks.hits == 2

    clock.advance(seconds=COOLDOWN_SECONDS + 1)
    for _ in range(5):
        desk.exchange(integration, assertion=_assertion_by(desk, "foreign"))
    assert desk.jwks.hits == 3


def test_an_assertion_without_kid_is_refused_unless_it_was_chosen(desk: TokenDesk, integration: Integration) -> None:
    _publish(desk, "old", with_kid=False)
    assert desk.exchange(integration, assertion=_assertion_by(desk, "old")).status_code == 400
    assert desk.last_event().reason == "kid_missing"
    assert desk.jwks.hits == 1


def test_a_bad_signature_under_a_known_kid_fetches_nothing(desk: TokenDesk, integration: Integration) -> None:
    desk.token(integration)
    desk.exchange(integration, assertion=_assertion_by(desk, "foreign", "k1"))

    assert desk.jwks.hits == 1


@pytest.mark.parametrize(
    "answer",
    [raw(b""), reply(status=500), reply(b"<html>"), reply(key_set_document())],
    ids=["silence", "error", "no json", "no keys"],
)
@pytest.mark.parametrize(("path", "error"), [(RFC_PATH, "temporarily_unavailable"), (SERVICENOW_PATH, "server_error")])
def test_without_any_keys_the_client_is_asked_to_come_back(
    desk: TokenDesk, integration: Integration, answer: Answer, path: str, error: str
) -> None:
    desk.jwks.answer = answer

    response = desk.exchange(integration, path)

    assert (response.status_code, response.get_json()["error"]) == (503, error)
    assert int(response.headers["Retry-After"]) > 0
    assert desk.last_event().reason == "jwks_fetch_failed"
    assert desk.last_event().detail


def test_a_key_of_one_integration_is_not_accepted_for_another(desk: TokenDesk, integration: Integration) -> None:
    desk.token(integration)
    other = desk.register("Another", issuer="https://other.example.com")
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))

    answer = desk.exchange(other, assertion=desk.assertion(iss="https://other.example.com"))

    assert answer.status_code == 400
    assert desk.exchange(integration, assertion=desk.assertion(iss="https://other.example.com")).status_code == 400


def test_a_refusal_of_an_integration_that_is_gone_by_then_is_an_event_all_the_same(
    desk: TokenDesk, integration: Integration
) -> None:
    keys = desk.jwks.answer

    def delete_and_answer(*request: Any) -> Any:
        with desk.app.app_context():
            db.session.execute(delete(OAuthEntity).where(OAuthEntity.sys_id == integration.sys_id))
            db.session.commit()
        return keys(*request)

    desk.jwks.answer = delete_and_answer
    answer = desk.exchange(integration, assertion=_assertion_by(desk, "foreign", "k1"))
    assert answer.status_code == 503
    event = desk.last_event()
    assert event is not None
    assert (event.entity, event.is_accepted, event.client_id) == (integration.sys_id, False, integration.client_id)


class TestParanoid:
    """CHANGEGATE_JWKS_STALE_IF_ERROR=0."""

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"jwks_stale_if_error": "0"}

    def test_exchanges_fail_during_a_provider_outage_once_its_keys_are_stale(
        self, desk: TokenDesk, clock: Clock
    ) -> None:
        assert _exchanges_in_an_outage(desk, clock) == [200, 503]


def test_keys_outlive_an_outage_where_nothing_else_is_set(desk: TokenDesk, clock: Clock) -> None:
    assert _exchanges_in_an_outage(desk, clock) == [200, 200]


def _exchanges_in_an_outage(desk: TokenDesk, clock: Clock) -> list[int]:
    """Return the answers to an integration with fresh keys, and after two hours without its provider."""
    integration = desk.register()
    fresh = desk.exchange(integration).status_code
    desk.jwks.answer = raw(b"")
    clock.advance(hours=2)
    now = int(clock().timestamp())
    late = desk.exchange(integration, assertion=desk.assertion(iat=now, exp=now + 300, jti="late"))
    return [fresh, late.status_code]
