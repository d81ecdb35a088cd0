"""JSON answers, and the error envelopes of the two audiences: Table API clients and OAuth clients."""

from typing import Any

import orjson
from flask import Response, g

from changegate.errors import (
    ChangegateError,
    OAuthError,
    RateLimited,
    RequestUnreadable,
    TemporarilyUnavailable,
    TooManyFailures,
)
from changegate.extensions import now
from changegate.models.oauth_entity import new_correlation_id

JSON = "application/json;charset=UTF-8"
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
SECONDS_UNTIL_RETRY = 5
OAUTH_FAULTS = {500: "server_error", 503: "temporarily_unavailable"}
CHALLENGE = 'BASIC realm="Service-now"'


def correlation_id() -> str:
    """Return the id that ties this answer to the event log: 32 hex digits, one for each request."""
    if "correlation_id" not in g:
        g.correlation_id = new_correlation_id(now())
    found: str = g.correlation_id
    return found


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    response = Response(orjson.dumps(body), status, content_type=JSON)
    if headers:
        response.headers.update(headers)
    return response


def refusal(status: int, message: str, detail: str | None = None) -> ChangegateError:
    """Return a domain error for what HTTP itself refuses."""
    error = ChangegateError(message, detail)
    error.status = status
    return error


def table_error(error: ChangegateError) -> Response:
    """Return the Table API's envelope (rest_api.md §1.6)."""
    body = {"error": {"message": error.message, "detail": error.detail}, "status": "failure"}
    return json_response(body, error.status, _headers(error, error.status))


def oauth_error(error: OAuthError) -> Response:
    """Return the envelope of RFC 6749 §5.2; the correlation id is the caller's handle to the reason."""
    description = f"{error.description} (correlation id {correlation_id()})"
    return _oauth_response(error, error.status, error.error, description)


def servicenow_oauth_error(error: OAuthError) -> Response:
    """Return what ServiceNow's own token endpoint says to nearly everything (oauth_jwt.md §3.6)."""
    status = 401 if error.status in {400, 401} else error.status
    return _oauth_response(error, status, "server_error", "access_denied")


def oauth_fault(error: ChangegateError) -> Response:
    """Return the OAuth envelope of what failed before it was a token request, or through no fault of its sender."""
    return _oauth_response(error, error.status, OAUTH_FAULTS.get(error.status, "invalid_request"), error.message)


def _oauth_response(error: ChangegateError, status: int, code: str, description: str) -> Response:
    body = {"error": code, "error_description": description, "correlation_id": correlation_id()}
    return json_response(body, status, {**NO_STORE, **_headers(error, status)})


def too_large(length: int | None, most: int) -> RequestUnreadable:
    """Return the refusal of a body over the limit, in bytes."""
    return RequestUnreadable(
        f"Rejected large REST payload with content-length = {length} bytes. Max allowed: {most} bytes."
    )


def _headers(error: ChangegateError, status: int) -> dict[str, str]:
    headers = {"X-Request-Id": correlation_id()}
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, TemporarilyUnavailable):
        headers["Retry-After"] = str(SECONDS_UNTIL_RETRY)
    if isinstance(error, RateLimited | TooManyFailures):
        headers["Retry-After"] = str(error.retry_after)
    return headers
