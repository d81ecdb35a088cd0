"""The token endpoint: RFC 6749 §3.2 with the JWT bearer grant of RFC 7523, under ServiceNow's path and an RFC one."""

from flask import Blueprint, Response, current_app, request

from changegate.api.auth import allow_anyone
from changegate.api.envelopes import (
    NO_STORE,
    correlation_id,
    json_response,
    oauth_error,
    servicenow_oauth_error,
)
from changegate.api.token_form import read_assertion_of_pysnc, read_credentials, read_parameters
from changegate.errors import (
    InvalidRequest,
    OAuthError,
    RateLimited,
    TemporarilyUnavailable,
    TooManyFailures,
    UnsupportedGrantType,
)
from changegate.extensions import csrf, db, limiter, now
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import Client, authenticate_client
from changegate.services.oauth.events import Attempt, record_accepted, record_refused
from changegate.services.oauth.grants import JWT_BEARER, Exchange, exchange_assertion

SERVICENOW_PATH = "/oauth_token.do"
RFC_PATH = "/oauth/token"
# Names that no client id has, for failures that are not one client's.
NO_CLIENT = "no proven client"
LOGGED_LIMITS = "refusals for too many failures"
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
        return _refuse(attempt, refusal)
    return _token_response(issued)


def _exchange(attempt: Attempt) -> IssuedToken:
    params = read_parameters()
    credentials = read_credentials(params)
    attempt.client_id = credentials.client_id
    _require_room(attempt)
    if params.grant_type is None:
        raise InvalidRequest("body_malformed", "grant_type is missing")
    if params.grant_type != JWT_BEARER:
        raise UnsupportedGrantType("grant_not_allowed")
    assertion = params.assertion or read_assertion_of_pysnc(credentials)
    exchange = _admit(attempt, authenticate_client(credentials, assertion))
    if assertion is None:
        raise InvalidRequest("assertion_missing", "assertion is missing")
    return exchange_assertion(exchange, current_app.extensions["key_store"], assertion, params.scope)


def _admit(attempt: Attempt, client: Client) -> Exchange:
    """Begin the exchange of a client; one that was found by its assertion is asked for its failures only now."""
    exchange = attempt.exchange = Exchange(client, attempt.correlation_id)
    if attempt.client_id is None:
        attempt.client_id = client.client_id
        _require_room(attempt)
    return exchange


def _require_room(attempt: Attempt) -> None:
    if attempt.client_id is not None and (limited := _find_limit(attempt, attempt.client_id)):
        raise limited


def _find_limit(attempt: Attempt, bucket: str) -> TooManyFailures | None:
    try:
        limiter.require_room(attempt.address or "", bucket)
    except RateLimited as limited:
        return TooManyFailures(limited.retry_after)
    return None


def _refuse(attempt: Attempt, refusal: OAuthError) -> Response:
    """Count the failure, write its event and answer in the style of the path."""
    db.session.rollback()
    refusal = _counted(attempt, refusal)
    if _is_logged(attempt, refusal):
        record_refused(attempt, refusal, now())
        db.session.commit()
    render = servicenow_oauth_error if request.path == SERVICENOW_PATH else oauth_error
    return render(refusal)


def _counted(attempt: Attempt, refusal: OAuthError) -> OAuthError:
    """Count a failure, and return the refusal or, where no client proved itself too often, that of the limit.

    Failures without a proven client share one bucket whether the client exists or not: names that are made up would
    be free tries, and a bucket for real ones alone would tell which are real. No proven client is held up by it.
    """
    if isinstance(refusal, TooManyFailures | TemporarilyUnavailable):
        return refusal
    if attempt.exchange is None:
        if limited := _find_limit(attempt, NO_CLIENT):
            return limited
        limiter.count(attempt.address or "", NO_CLIENT)
    is_real = attempt.exchange is not None or refusal.reason in {"client_secret_bad", "client_inactive"}
    if attempt.client_id is not None and is_real:
        limiter.count(attempt.address or "", attempt.client_id)
    return refusal


def _is_logged(attempt: Attempt, refusal: OAuthError) -> bool:
    """Tell whether a refusal gets an event: all do, but of a flood that is held up only the first in a minute."""
    if not isinstance(refusal, TooManyFailures):
        return True
    if _find_limit(attempt, LOGGED_LIMITS):
        return False
    limiter.count(attempt.address or "", LOGGED_LIMITS)
    return True


def _token_response(issued: IssuedToken) -> Response:
    body = {
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": int(issued.lifespan.total_seconds()),
        "scope": issued.scope,
    }
    return json_response(body, headers={**NO_STORE, "X-Request-Id": correlation_id()})
