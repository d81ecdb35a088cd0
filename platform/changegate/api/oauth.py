"""The token endpoint: RFC 6749 §3.2 with the JWT bearer grant of RFC 7523, under ServiceNow's path and an RFC one."""

from flask import Blueprint, Response, current_app, request

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import NO_STORE, correlation_id, json_response
from changegate.api.oauth_clients import prove_client, refuse, require_room
from changegate.api.token_form import read_assertion_of_pysnc, read_credentials, read_parameters
from changegate.errors import InvalidRequest, OAuthError, UnsupportedGrantType
from changegate.extensions import csrf, db, now
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import Client
from changegate.services.oauth.events import Attempt, record_accepted
from changegate.services.oauth.grants import JWT_BEARER, Exchange, exchange_assertion

SERVICENOW_PATH = "/oauth_token.do"
RFC_PATH = "/oauth/token"
# What the metadata offers is what is taken here.
GRANT_TYPES = (JWT_BEARER,)
bp = Blueprint("oauth", __name__)
bp.before_request(allow_anyone)
csrf.exempt(bp)


@bp.post(SERVICENOW_PATH, strict_slashes=True)
@bp.post(RFC_PATH, strict_slashes=True)
def token_view() -> Response:
    """Exchange a grant for an access token."""
    attempt = Attempt(request.remote_addr, correlation_id())
    try:
        issued = _exchange(attempt)
        record_accepted(attempt, issued, now())
        db.session.commit()
    except OAuthError as refusal:
        return refuse(attempt, refusal)
    return _token_response(issued)


def _exchange(attempt: Attempt) -> IssuedToken:
    params = read_parameters()
    credentials = read_credentials(params)
    attempt.client_id = credentials.client_id
    require_room(attempt)
    if params.grant_type is None:
        raise InvalidRequest("body_malformed", "grant_type is missing")
    if params.grant_type not in GRANT_TYPES:
        raise UnsupportedGrantType("grant_not_allowed")
    assertion = params.assertion or read_assertion_of_pysnc(credentials)
    exchange = _admit(attempt, prove_client(credentials, assertion))
    if assertion is None:
        raise InvalidRequest("assertion_missing", "assertion is missing")
    return exchange_assertion(exchange, current_app.extensions["key_store"], assertion, params.scope)


def _admit(attempt: Attempt, client: Client) -> Exchange:
    """Begin the exchange of a client; one that was found by its assertion is asked for its failures only now."""
    exchange = attempt.exchange = Exchange(client, attempt.correlation_id)
    if attempt.client_id is None:
        attempt.client_id = client.client_id
        require_room(attempt)
    return exchange


def _token_response(issued: IssuedToken) -> Response:
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": int(issued.lifespan.total_seconds()),
        "scope": issued.scope,
    }
    return json_response(body, headers={**NO_STORE, "X-Request-Id": correlation_id()})
