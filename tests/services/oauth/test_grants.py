"""The JWT bearer grant: the order of what is done, and what remains when something fails."""

import pytest

from changegate.errors import AssertionRefused, InvalidScope, TemporarilyUnavailable
from changegate.extensions import db
from changegate.models import OAuthJti
from changegate.services.oauth.clients import Client, ClientCredentials, authenticate_client
from changegate.services.oauth.grants import Exchange, exchange_assertion
from changegate.services.oauth.key_store import KeyStore
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import TokenDesk


@pytest.fixture
def client(desk: TokenDesk) -> Client:
    integration = desk.register()
    return authenticate_client(ClientCredentials(integration.client_id, integration.secret), None)


@pytest.fixture
def key_store(desk: TokenDesk) -> KeyStore:
    found: KeyStore = desk.app.extensions["key_store"]
    return found


def _claims() -> int:
    return db.session.query(OAuthJti).count()


def test_an_exchange_knows_what_it_verified(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    exchange = Exchange(client)

    issued = exchange_assertion(exchange, key_store, desk.assertion(), None)

    assert issued.scope == "change_request.create"
    assert exchange.verified.subject == "build-42"
    assert (_claims(), issued.access_token in repr(issued)) == (1, False)


def test_a_refused_exchange_knows_how_far_it_got(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    exchange = Exchange(client)
    with pytest.raises(AssertionRefused):
        exchange_assertion(exchange, key_store, desk.assertion(aud="other"), None)

    assert exchange.assertion.unverified_kid == "k1"
    assert exchange.verified is None
    assert _claims() == 0


def test_a_scope_is_judged_before_the_assertion_is_claimed(
    desk: TokenDesk, client: Client, key_store: KeyStore
) -> None:
    with pytest.raises(InvalidScope):
        exchange_assertion(Exchange(client), key_store, desk.assertion(), "everything")

    assert _claims() == 0


@pytest.mark.parametrize("scope", ["change_request.create", "change_request.create  change_request.create", " "])
def test_a_scope_is_granted_once(desk: TokenDesk, client: Client, key_store: KeyStore, scope: str) -> None:
    granted = exchange_assertion(Exchange(client), key_store, desk.assertion(), scope).scope

    assert granted in {"change_request.create", ""}


def test_a_replay_is_the_last_rule_of_the_report(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    assertion = desk.assertion()
    exchange_assertion(Exchange(client), key_store, assertion, None)

    with pytest.raises(AssertionRefused) as caught:
        exchange_assertion(Exchange(client), key_store, assertion, None)

    assert caught.value.reason == "jti_replayed"
    results = caught.value.report.results
    assert [rule.rule for rule in results][-2:] == ["user", "replay"]
    assert [rule.rule for rule in results if not rule.passed] == ["replay"]


def test_no_keys_are_no_verdict_on_the_assertion(desk: TokenDesk, client: Client, key_store: KeyStore) -> None:
    desk.jwks.answer = reply(status=500)

    with pytest.raises(TemporarilyUnavailable) as caught:
        exchange_assertion(Exchange(client), key_store, desk.assertion(), None)

    assert caught.value.reason == "jwks_fetch_failed"
    assert "500" in caught.value.detail
