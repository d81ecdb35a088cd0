"""Responses in JSON and XML, and the error envelopes for Table API clients and OAuth clients."""

from collections.abc import Mapping
from typing import Any
from wsgiref.types import WSGIEnvironment

import orjson
from flask import Response, g
from werkzeug.datastructures import Headers

from changegate.api.negotiation import wants_xml
from changegate.api.preconditions import etag
from changegate.api.well_known import resource_metadata_url
from changegate.api.xml_records import render_xml
from changegate.errors import (
    ChangegateError,
    QuotaReached,
    RateLimited,
    RequestUnreadable,
    TokenRefused,
    TooManyLongRequests,
    VersionOutdated,
)
from changegate.extensions import now
from changegate.models.oauth_exchange import new_correlation_id
from changegate.oauth_errors import OAuthError, TooManyFailures
from changegate.services.tables.reading.records import Records
from changegate.unproxied import application_context, current_request

JSON = "application/json;charset=UTF-8"
XML = "application/xml;charset=UTF-8"
# Headers of all API responses: no caching, and no MIME sniffing in browsers.
COMMON = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
LOGGED_IN = ("X-Is-Logged-In", "true")
NOT_LOGGED_IN = ("X-Is-Logged-In", "false")
_JSON_ANSWER = [("Content-Type", JSON), *COMMON, LOGGED_IN]
_XML_ANSWER = [("Content-Type", XML), *COMMON, LOGGED_IN]
_EMPTY_ANSWER = [*COMMON, LOGGED_IN]
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
SECONDS_UNTIL_RETRY = 5
OAUTH_FAULTS = {500: "server_error", 503: "temporarily_unavailable"}
CHALLENGE = 'BASIC realm="Service-now"'
BEARER_CHALLENGE = 'BEARER realm="Service-now"'
BEARER_FAULT = ', error="invalid_token"'


def correlation_id() -> str:
    """Return the ID that links this response to the event log: 32 hex digits, one for each request."""
    kept = application_context().g
    identifier: str | None = kept.get("correlation_id")
    if identifier is None:
        identifier = kept.correlation_id = new_correlation_id(now())
    return identifier


class ApiResponse(Response):
    """A response with a body, whose headers are complete and ASCII: Werkzeug neither copies nor converts them."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """Return the headers, with the length of the body."""
        if "Content-Length" not in self.headers:
            self.headers["Content-Length"] = str(sum(map(len, self.iter_encoded())))
        return self.headers


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return ApiResponse(orjson.dumps(body), status, [("Content-Type", JSON), *(headers or {}).items()])


def public_response(body: Any, max_age: int) -> Response:
    """Return JSON that every cache may store for `max_age` seconds, or a 304 to a caller that has it."""
    response = Response(orjson.dumps(body), content_type=JSON, headers={"X-Content-Type-Options": "nosniff"})
    response.cache_control.public = True
    response.cache_control.max_age = max_age
    response.add_etag()
    response.make_conditional(current_request())
    return response


def api_response(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a response to an authenticated caller, in JSON or XML as requested."""
    own = headers.items() if headers else ()
    if wants_xml():
        return ApiResponse(render_xml(body), status, [*_XML_ANSWER, *own])
    records = body.get("result")
    sent = _dump_page(records) if isinstance(records, Records) else orjson.dumps(body)
    return ApiResponse(sent, status, [*_JSON_ANSWER, *own])


def result_response(
    result: Any, status: int = 200, headers: Mapping[str, str] | None = None, **beside: Any
) -> Response:
    """Return the JSON answer of an administrators' API; `beside` are members next to `result`."""
    return ApiResponse(orjson.dumps({"result": result, **beside}), status, [*_JSON_ANSWER, *(headers or {}).items()])


def _dump_page(records: Records) -> bytes | list[bytes]:
    """Return the JSON of a page; a large page in pieces, since building it whole takes several times its size."""
    pieces = [orjson.dumps(chunk)[1:-1] for chunk in records.chunks()]
    if len(pieces) <= 1:
        return b"".join((b'{"result":[', *pieces, b"]}"))
    separated = [part for piece in pieces if piece for part in (b",", piece)]
    return [b'{"result":[', *separated[1:], b"]}"]


def empty_response(status: int, headers: dict[str, str] | None = None) -> Response:
    """Return a response without a body to an authenticated caller."""
    response = Response(status=status, headers=[*_EMPTY_ANSWER, *(headers or {}).items()])
    del response.headers["Content-Type"]  # the body is empty
    return response


def is_body_unwanted() -> bool:
    """Return whether the caller asked for no response body (docs/reference/table-api.md#headers)."""
    return bool(current_request().environ.get("HTTP_X_NO_RESPONSE_BODY", "").strip().lower() == "true")


def refusal(status: int, message: str, detail: str | None = None) -> ChangegateError:
    """Return a domain error with an HTTP status."""
    error = ChangegateError(message, detail)
    error.status = status
    return error


def table_error(error: ChangegateError) -> Response:
    """Return the Table API's envelope (docs/reference/table-api.md#errors)."""
    body = {"error": {"message": error.message, "detail": error.detail}, "status": "failure"}
    headers = dict([*COMMON, LOGGED_IN if "caller" in g else NOT_LOGGED_IN]) | error_headers(error, error.status)
    response = (
        Response(render_xml(body), error.status, headers, content_type=XML)
        if wants_xml()
        else json_response(body, error.status, headers)
    )
    if error.status == 401:
        # ServiceNow's clients read the first challenge, which is Basic. This one has the metadata URL (RFC 9728 §5.1).
        fault = BEARER_FAULT if isinstance(error, TokenRefused) else ""
        challenge = f'{BEARER_CHALLENGE}{fault}, resource_metadata="{resource_metadata_url()}"'
        response.headers.add("WWW-Authenticate", challenge)
    return response


def oauth_error(error: OAuthError) -> Response:
    """Return the envelope of RFC 6749 §5.2; its correlation ID leads administrators to the reason."""
    description = f"{_described(error) or error.description} (correlation ID {correlation_id()})"
    return _oauth_response(error, error.status, error.error, description)


def servicenow_oauth_error(error: OAuthError) -> Response:
    """Return the envelope of ServiceNow's token endpoint: `access_denied`, unless the caller can correct the error."""
    # Clients that were written for ServiceNow look for exactly this status and these texts (decision 0008).
    status = 401 if error.status in {400, 401} else error.status
    return _oauth_response(error, status, "server_error", _described(error) or "access_denied")


def _described(error: OAuthError) -> str | None:
    return error.remedy and f"{error.description}: {error.remedy}"


def oauth_fault(error: ChangegateError) -> Response:
    """Return the OAuth envelope of an error other than an `OAuthError`, such as a wrong method or a busy database."""
    description = error.message
    if error.status == 403 and error.detail:
        description = f"{error.message}: {error.detail}"
    return _oauth_response(error, error.status, OAUTH_FAULTS.get(error.status, "invalid_request"), description)


def _oauth_response(error: ChangegateError, status: int, code: str, description: str) -> Response:
    body = {"error": code, "error_description": description, "correlation_id": correlation_id()}
    return json_response(body, status, {**NO_STORE, **error_headers(error, status)})


def too_large(length: int | None, most: int) -> RequestUnreadable:
    """Return the error for a body over the limit of `most` bytes; `length` is None for a chunked body."""
    size = "" if length is None else f" with content-length = {length} bytes"
    return RequestUnreadable(f"Rejected large REST payload{size}. Max allowed: {most} bytes.")


def error_headers(error: ChangegateError, status: int) -> dict[str, str]:
    """Return the headers that all error responses share, including HTML pages."""
    headers = {"X-Request-Id": correlation_id()}
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, VersionOutdated):
        headers |= etag(error.version)
    if status == 503:
        headers["Retry-After"] = str(SECONDS_UNTIL_RETRY)
    if isinstance(error, RateLimited | QuotaReached | TooManyFailures | TooManyLongRequests):
        headers["Retry-After"] = str(error.retry_after)
    return headers
