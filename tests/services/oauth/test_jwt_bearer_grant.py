"""The JWT bearer grant: the order of its steps, and the state after a refusal."""

import pytest
from sqlalchemy.exc import IntegrityError

from changegate.extensions import db, now
from changegate.models import OAuthExchange
from changegate.oauth_errors import AssertionRefused, InvalidScope, TemporarilyUnavailable
from changegate.services.keys.key_store import KeyStore
from changegate.services.oauth.client_authentication import ClientCredentials, authenticate_client
from changegate.services.oauth.clients import Client
from changegate.services.oauth.event_row import Attempt, RefusedCall
from changegate.services.oauth.events import record_accepted, record_refused_call, report_of
from changegate.services.oauth.issuing import issue_token
from changegate.services.oauth.jwt_bearer_grant import Exchange, commit_exchange, exchange_assertion
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import Integration, TokenDesk


@pytest.fixture
def client(desk: TokenDesk) -> Client:
    return _client(desk.register())


def _client(integration: Integration) -> Client:
    credentials = ClientCredentials(integration.client_id, integration.secret, address="192.0.2.1")
    return authenticate_client(credentials, None)


@pytest.fixture
def key_store(desk: TokenDesk) -> KeyStore:
    found: KeyStore = desk.app.extensions["key_store"]
    return found


def _written() -> int:
    return db.session.query(OAuthExchange).count()


def _exchange(client: Client) -> Exchange:
    return Exchange(client, "0" * 32)


def test_an_exchange_has_its_verified_assertion(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    exchange = _exchange(client)

    issued = exchange_assertion(exchange, key_store, desk.assertion(), None)

    assert issued.scope == "change_request.create"
    assert exchange.verified.subject == "build-42"
    assert exchange.replay_key and issued.access_token not in repr(issued)
    assert _written() == 0, "the row of an exchange is written after all checks"


def test_a_refused_exchange_has_the_state_it_reached(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    exchange = _exchange(client)
    with pytest.raises(AssertionRefused):
        exchange_assertion(exchange, key_store, desk.assertion(aud="other"), None)

    assert exchange.assertion.unverified_kid == "k1"
    assert exchange.verified is None
    assert _written() == 0


def test_a_refused_scope_writes_nothing(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    with pytest.raises(InvalidScope):
        exchange_assertion(_exchange(client), key_store, desk.assertion(), "everything")

    assert _written() == 0


@pytest.mark.parametrize("scope", ["change_request.create", "change_request.create  change_request.create", " "])
def test_a_scope_is_granted_once(desk: TokenDesk, client: Client, key_store: KeyStore, scope: str) -> None:
    granted = exchange_assertion(_exchange(client), key_store, desk.assertion(), scope).scope

    assert granted in {"change_request.create", ""}


def test_a_replay_is_the_last_rule_of_the_report(desk: TokenDesk) -> None:
    integration, assertion = desk.register(), desk.assertion()
    desk.token(integration, assertion=assertion)

    desk.exchange(integration, assertion=assertion)

    event = desk.last_event()
    assert event.reason == "jti_replayed"
    assert [rule.rule for rule in report_of(event)][-2:] == ["user", "replay"]
    assert [rule.rule for rule in report_of(event) if not rule.passed] == ["replay"]


def test_a_reusable_assertion_reserves_no_replay_key(desk: TokenDesk, key_store: KeyStore) -> None:
    integration = desk.register(enable_jti_verification=False)
    exchange = _exchange(_client(integration))

    exchange_assertion(exchange, key_store, desk.assertion(), None)

    assert exchange.replay_key is None


def _store(client: Client, key_store: KeyStore, assertion: str | None, correlation_id: str) -> None:
    exchange = Exchange(client, correlation_id)
    if assertion is None:
        issued = issue_token(exchange, client.run_as or "", None)
    else:
        issued = exchange_assertion(exchange, key_store, assertion, None)
    attempt = Attempt("192.0.2.1", correlation_id, client.client_id, exchange)
    record_accepted(attempt, issued, now())
    commit_exchange(attempt)


def test_a_second_row_with_a_replay_key_is_a_replay(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    assertion = desk.assertion()
    _store(client, key_store, assertion, "0" * 32)

    with pytest.raises(AssertionRefused) as refused:
        _store(client, key_store, assertion, "1" * 32)

    assert refused.value.reason == "jti_replayed"


@pytest.mark.parametrize("has_assertion", [False, True], ids=["no assertion", "reusable assertion"])
def test_another_violated_key_is_not_a_replay(desk: TokenDesk, key_store: KeyStore, has_assertion: bool) -> None:
    client = _client(desk.register(enable_jti_verification=False))
    assertion = desk.assertion() if has_assertion else None
    _store(client, key_store, assertion, "0" * 32)

    with pytest.raises(IntegrityError):
        _store(client, key_store, assertion, "0" * 32)


def test_a_violated_key_without_an_exchange_is_not_a_replay(desk: TokenDesk, client: Client) -> None:
    attempt, call = Attempt("192.0.2.1", "0" * 32), RefusedCall("GET /api/now", "credentials_missing")
    record_refused_call(attempt, call, now())
    commit_exchange(attempt)

    record_refused_call(attempt, call, now())
    with pytest.raises(IntegrityError):
        commit_exchange(attempt)


def test_unavailable_keys_do_not_refuse_the_assertion(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    desk.jwks.answer = reply(status=500)

    with pytest.raises(TemporarilyUnavailable) as caught:
        exchange_assertion(_exchange(client), key_store, desk.assertion(), None)

    assert caught.value.reason == "jwks_fetch_failed"
    assert "500" in caught.value.detail
