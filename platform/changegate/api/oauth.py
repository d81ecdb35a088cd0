"""The token endpoint (RFC 6749 §3.2) under two paths, with the grants of §4.3, §4.4, §6, and RFC 7523."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from flask import Blueprint, Response

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import NO_STORE, correlation_id, json_response
from changegate.api.oauth_clients import name_client, prove_client, refuse
from changegate.api.token_form import read_assertion_of_pysnc, read_credentials, read_parameters
from changegate.extensions import now
from changegate.oauth_errors import InvalidRequest, OAuthError, UnsupportedGrantType
from changegate.printable import printable
from changegate.schemas.token_request import TokenRequestForm
from changegate.services.keys.key_store import key_store
from changegate.services.oauth.client_assertions import TOKEN_PATHS
from changegate.services.oauth.client_authentication import ClientCredentials
from changegate.services.oauth.client_credentials_grant import exchange_client_credentials
from changegate.services.oauth.clients import Client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.events import record_accepted
from changegate.services.oauth.grant_types import (
    CLIENT_CREDENTIALS,
    PASSWORD,
    REFRESH_TOKEN,
    list_grant_types,
    require_grant,
)
from changegate.services.oauth.issuing import MAX_DETAIL_LENGTH, Exchange, IssuedToken
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT, commit_exchange, exchange_assertion
from changegate.services.oauth.password_grant import exchange_password
from changegate.services.oauth.refresh_grant import exchange_refresh_token
from changegate.unproxied import current_request

# The RFC path and ServiceNow's path; their error responses differ.
RFC_PATH, SERVICENOW_PATH = TOKEN_PATHS
Grant = Callable[[Attempt, ClientCredentials, TokenRequestForm], IssuedToken]
bp = Blueprint("oauth", __name__)
bp.before_request(allow_anyone)


@bp.post(SERVICENOW_PATH, strict_slashes=True)
@bp.post(RFC_PATH, strict_slashes=True)
def token_view() -> Response:
    """Exchange a grant for an access token."""
    attempt = Attempt(current_request().remote_addr, correlation_id())
    try:
        issued = _exchange(attempt)
        record_accepted(attempt, issued, now())
        commit_exchange(attempt)
    except OAuthError as refusal:
        return refuse(attempt, refusal)
    return _token_response(issued)


def _exchange(attempt: Attempt) -> IssuedToken:
    params = read_parameters()
    credentials = read_credentials(params)
    name_client(attempt, credentials.client_id)
    if params.grant_type is None:
        raise InvalidRequest("body_malformed", "grant_type is missing")
    grant = _GRANTS.get(params.grant_type)
    if grant is None:
        sent = f"{printable(params.grant_type, MAX_DETAIL_LENGTH)} was sent"
        raise UnsupportedGrantType("grant_not_allowed", sent, remedy=f"send one of {', '.join(list_grant_types())}")
    return grant(attempt, credentials, params)


def _by_assertion(attempt: Attempt, credentials: ClientCredentials, params: TokenRequestForm) -> IssuedToken:
    assertion = params.assertion or read_assertion_of_pysnc(credentials)
    exchange = _admit(attempt, prove_client(credentials, assertion), JWT_BEARER_GRANT)
    if assertion is None:
        raise InvalidRequest("assertion_missing", "assertion is missing")
    return exchange_assertion(exchange, key_store(), assertion, params.scope, attempt.address)


def _by_client(attempt: Attempt, credentials: ClientCredentials, params: TokenRequestForm) -> IssuedToken:
    exchange = _admit(attempt, prove_client(credentials), CLIENT_CREDENTIALS)
    return exchange_client_credentials(exchange, params.scope)


def _by_password(attempt: Attempt, credentials: ClientCredentials, params: TokenRequestForm) -> IssuedToken:
    exchange = _admit(attempt, prove_client(credentials), PASSWORD)
    user_name = _required("username", params.username)
    password, address = _required("password", params.password), attempt.address or ""
    return exchange_password(exchange, user_name, password, params.scope, address=address)


def _by_refresh_token(attempt: Attempt, credentials: ClientCredentials, params: TokenRequestForm) -> IssuedToken:
    exchange = _admit(attempt, prove_client(credentials), REFRESH_TOKEN)
    return exchange_refresh_token(exchange, _required("refresh_token", params.refresh_token), params.scope)


_GRANTS: Mapping[str, Grant] = MappingProxyType(
    {
        JWT_BEARER_GRANT: _by_assertion,
        CLIENT_CREDENTIALS: _by_client,
        PASSWORD: _by_password,
        REFRESH_TOKEN: _by_refresh_token,
    }
)


def _admit(attempt: Attempt, client: Client, grant_type: str) -> Exchange:
    """Begin the exchange of a client that may use the grant; raises `UnauthorizedClient` and `TooManyFailures`."""
    exchange = attempt.exchange = Exchange(client, attempt.correlation_id)
    if attempt.client_id is None:
        # The request has no client id: the client was found by its assertion.
        name_client(attempt, client.client_id)
    require_grant(exchange, grant_type)
    return exchange


def _required(name: str, value: str | None) -> str:
    if value is None:
        raise InvalidRequest("body_malformed", f"{name} is missing")
    return value


def _token_response(issued: IssuedToken) -> Response:
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": int(issued.lifespan.total_seconds()),
        "scope": issued.scope,
    }
    if issued.exchange.refresh_token is not None:
        body["refresh_token"] = issued.exchange.refresh_token
    return json_response(body, headers={**NO_STORE, "X-Request-Id": issued.exchange.correlation_id})
