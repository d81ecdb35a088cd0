"""Token revocation: RFC 7009, and the two paths of ServiceNow's clients.

See docs/reference/token-endpoint.md#revocation.
"""

from flask import Blueprint, Response

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import NO_STORE, correlation_id
from changegate.api.oauth_clients import name_client, prove_client, refuse
from changegate.api.token_form import FORM, read_credentials, read_form, read_reference
from changegate.database import commit
from changegate.oauth_errors import InvalidRequest, OAuthError
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.revocation import revoke_token
from changegate.unproxied import current_request

RFC_PATH = "/oauth/revoke"
SERVICENOW_PATHS = ("/oauth_revoke_token.do", "/oauth_revoke.do")
MISSING = "token is missing"
bp = Blueprint("oauth_revocation", __name__)
bp.before_request(allow_anyone)


@bp.post(RFC_PATH, strict_slashes=True)
def revocation_view() -> Response:
    """Revoke a token; the response is the same whether or not it existed (RFC 7009 §2.2)."""
    attempt = Attempt(current_request().remote_addr, correlation_id())
    try:
        _revoke_for_client(attempt)
    except OAuthError as refusal:
        return refuse(attempt, refusal)
    return _done()


@bp.route(SERVICENOW_PATHS[0], methods=["GET", "POST"], strict_slashes=True)
@bp.route(SERVICENOW_PATHS[1], methods=["GET", "POST"], strict_slashes=True)
def servicenow_revocation_view() -> Response:
    """Revoke a token for any holder, without client authentication."""
    attempt = Attempt(current_request().remote_addr, correlation_id())
    try:
        revoke_token(_read_token_of_servicenow())
    except OAuthError as refusal:
        return refuse(attempt, refusal)
    return _done()


def _revoke_for_client(attempt: Attempt) -> None:
    """Revoke the token of a form. A client that identifies itself must authenticate, and may revoke only its tokens."""
    params = read_reference()
    credentials = read_credentials(params)
    name_client(attempt, credentials.client_id)
    is_named = credentials.client_id is not None or credentials.secret is not None or credentials.assertion is not None
    client = prove_client(credentials) if is_named else None
    if params.token is None:
        raise InvalidRequest("body_malformed", MISSING)
    revoke_token(params.token, client.entity if client else None)


def _read_token_of_servicenow() -> str:
    """Return the token from the form or, where most clients send it, from the query string."""
    http_request = current_request()
    sent = [*http_request.args.items(multi=True), *(read_form() if http_request.mimetype == FORM else ())]
    tokens: set[str] = {value for name, value in sent if name == "token" and value}
    if len(tokens) != 1:
        raise InvalidRequest("body_malformed", "two different tokens" if tokens else MISSING)
    return tokens.pop()


def _done() -> Response:
    commit()
    response = Response(status=200, headers={**NO_STORE, "X-Request-Id": correlation_id()})
    del response.headers["Content-Type"]  # the body is empty
    return response
