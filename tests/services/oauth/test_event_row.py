"""The row of `oauth_exchange`."""

from changegate.extensions import now
from changegate.models import OAuthExchange
from changegate.oauth_errors import AssertionRefused
from changegate.services.keys.key_store import KeyStore
from changegate.services.oauth.client_authentication import ClientCredentials, authenticate_client
from changegate.services.oauth.event_row import Attempt, RefusedCall, build_row
from changegate.services.oauth.issuing import Exchange
from changegate.services.oauth.jwt_bearer_grant import exchange_assertion
from tests.support.token_desk import TokenDesk

WRITTEN_LATER = {"revoked_at", "further_refusals"}


def test_every_column_of_a_new_row_is_built_here(desk: TokenDesk) -> None:
    integration = desk.register()
    credentials = ClientCredentials(integration.client_id, integration.secret, address="192.0.2.1")
    exchange = Exchange(authenticate_client(credentials, None), "0" * 32)
    attempt = Attempt("192.0.2.1", "0" * 32, integration.client_id, exchange)
    key_store: KeyStore = desk.app.extensions["key_store"]
    issued = exchange_assertion(exchange, key_store, desk.assertion(), None)
    refused = AssertionRefused("jti_replayed", report=exchange.verified.report)

    outcomes = (issued, refused, RefusedCall("GET /", "token_revoked"))
    columns = [set(build_row(attempt, outcome, now(), integration.sys_id)) for outcome in outcomes]

    assert set.union(*columns) == set(OAuthExchange.__table__.columns.keys()) - WRITTEN_LATER
    assert {"token_hash", "replay_key", "expires_at"}.isdisjoint(columns[1] | columns[2])
