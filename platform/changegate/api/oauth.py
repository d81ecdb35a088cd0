"""The token endpoint: RFC 6749 §3.2 with the JWT bearer grant of RFC 7523, under ServiceNow's path and an RFC one."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, current_app, request
from marshmallow import ValidationError

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import (
    NO_STORE,
    correlation_id,
    json_response,
    oauth_error,
    servicenow_oauth_error,
)
from changegate.errors import (
    InvalidClient,
    InvalidRequest,
    OAuthError,
    RateLimited,
    TooManyFailures,
    UnsupportedGrantType,
)
from changegate.extensions import csrf, db, limiter, now
from changegate.schemas.token_request import TokenRequestSchema
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import Client, ClientCredentials, authenticate_client
from changegate.services.oauth.events import Attempt, record_accepted, record_refused
from changegate.services.oauth.grants import JWT_BEARER, Exchange, exchange_assertion

MAX_BODY_BYTES = 64 * 1024
MAX_PARAMETERS = 50
SERVICENOW_PATH = "/oauth_token.do"
# Secrets in a URL end up in logs; they are refused rather than honoured.
SECRET_PARAMETERS = frozenset({"client_secret", "assertion", "password", "code", "refresh_token"})
UNKNOWN_CLIENT = "unknown client"
bp = Blueprint("oauth", __name__)
bp.before_request(allow_anyone)
csrf.exempt(bp)
_schema = TokenRequestSchema()


@bp.post(SERVICENOW_PATH)
@bp.post("/oauth/token")
def token_view() -> Response:
    """Exchange a grant for an access token."""
    attempt = Attempt(request.remote_addr, correlation_id())
    try:
        issued = _exchange(attempt)
        record_accepted(attempt, now())
        db.session.commit()
    except OAuthError as refusal:
        return _refuse(attempt, refusal)
    return _token_response(issued)


def _exchange(attempt: Attempt) -> IssuedToken:
    params = _parameters()
    credentials = _credentials(params)
    attempt.client_id = credentials.client_id
    _require_room(attempt)
    if params["grant_type"] is None:
        raise InvalidRequest("body_malformed", "grant_type is missing")
    if params["grant_type"] != JWT_BEARER:
        raise UnsupportedGrantType("grant_not_allowed")
    assertion = params["assertion"] or _assertion_of_pysnc(credentials)
    attempt.exchange = Exchange(_authenticate(attempt, credentials, assertion))
    if assertion is None:
        raise InvalidRequest("assertion_missing", "assertion is missing")
    key_store = current_app.extensions["key_store"]
    return exchange_assertion(attempt.exchange, key_store, assertion, params["scope"])


def _authenticate(attempt: Attempt, credentials: ClientCredentials, assertion: str | None) -> Client:
    try:
        return authenticate_client(credentials, assertion)
    except InvalidClient as refusal:
        if refusal.reason == "client_unknown" and attempt.client_id:
            _require_room(replace(attempt, client_id=None))
        raise


def _parameters() -> dict[str, Any]:
    """Return the parameters of the form body; nothing else is read (oauth_jwt.md §3.1)."""
    request.max_content_length = MAX_BODY_BYTES
    if not SECRET_PARAMETERS.isdisjoint(request.args):
        raise InvalidRequest("body_malformed", "a secret in the query string is refused")
    if request.mimetype != "application/x-www-form-urlencoded":
        raise InvalidRequest("body_malformed", "the body must be application/x-www-form-urlencoded")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise InvalidRequest("body_malformed", f"the body is over {MAX_BODY_BYTES} bytes")
    sent = dict(request.form.lists())
    if len(sent) > MAX_PARAMETERS:
        raise InvalidRequest("body_malformed", f"more than {MAX_PARAMETERS} parameters")
    repeated = [name for name in _schema.fields if len(sent.get(name, ())) > 1]
    if repeated:
        raise InvalidRequest("param_duplicate", f"{repeated[0]} is given more than once")
    try:
        loaded: dict[str, Any] = _schema.load({name: values[0] for name, values in sent.items()})
    except ValidationError as problem:
        raise InvalidRequest("body_malformed", f"{', '.join(problem.messages_dict)} is too long") from None
    if loaded["client_assertion"] or loaded["client_assertion_type"]:
        raise InvalidClient("client_secret_bad", "client assertions are not offered")
    return loaded


def _credentials(params: dict[str, Any]) -> ClientCredentials:
    """Return the client's credentials from the body or from Basic; two different ones are one too many."""
    in_body = ClientCredentials(params["client_id"], params["client_secret"])
    if "Authorization" not in request.headers:
        return in_body
    basic = request.authorization
    if basic is None or basic.type != "basic" or not basic.username:
        raise InvalidClient("client_secret_bad", "the Authorization header is not readable as Basic")
    if in_body.secret is not None and (in_body.client_id, in_body.secret) != (basic.username, basic.password):
        raise InvalidRequest("body_malformed", "two different client authentications")
    if in_body.client_id not in (None, basic.username):
        raise InvalidRequest("body_malformed", "two different clients")
    return ClientCredentials(basic.username, basic.password or "")


def _assertion_of_pysnc(credentials: ClientCredentials) -> str | None:
    """Return the assertion that PySNC sends in a header called Authentication, from a client with a secret."""
    scheme, _, token = request.headers.get("Authentication", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" and credentials.secret else None


def _refuse(attempt: Attempt, refusal: OAuthError) -> Response:
    """Count the failure, write its event and answer in the style of the path."""
    db.session.rollback()
    if not isinstance(refusal, TooManyFailures):
        _count(attempt, refusal)
        record_refused(attempt, refusal, now())
        db.session.commit()
    render = servicenow_oauth_error if request.path == SERVICENOW_PATH else oauth_error
    return render(refusal)


def _require_room(attempt: Attempt) -> None:
    try:
        limiter.require_room(attempt.address or "", attempt.client_id or UNKNOWN_CLIENT)
    except RateLimited as limited:
        raise TooManyFailures(limited.retry_after) from None


def _count(attempt: Attempt, refusal: OAuthError) -> None:
    """Count by address and client; clients that do not exist share one bucket, else names would be free tries."""
    limiter.count(attempt.address or "", attempt.client_id or UNKNOWN_CLIENT)
    if refusal.reason == "client_unknown" and attempt.client_id:
        limiter.count(attempt.address or "", UNKNOWN_CLIENT)


def _token_response(issued: IssuedToken) -> Response:
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "scope": issued.scope,
    }
    return json_response(body, headers={**NO_STORE, "X-Request-Id": correlation_id()})
