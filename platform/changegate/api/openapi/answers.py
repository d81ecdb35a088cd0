"""OpenAPI responses: the errors of each API with their headers, and successful responses."""

from collections.abc import Mapping
from typing import Any

from changegate.api.openapi.values import JsonSchema, ref

Answers = dict[str, Any]
JSON = "application/json"
XML = "application/xml"

ERROR: JsonSchema = {
    "description": "The envelope of every error but those of the token endpoint.",
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"description": "What kind of refusal this is.", "type": "string"},
                "detail": {"description": "What exactly is wrong, by field.", "type": ["string", "null"]},
            },
            "required": ["message", "detail"],
            "additionalProperties": False,
        },
        "status": {"const": "failure"},
    },
    "required": ["error", "status"],
    "additionalProperties": False,
}
OAUTH_ERROR: JsonSchema = {
    "description": "The envelope of RFC 6749 §5.2; under `/oauth_token.do` it contains as little as ServiceNow's.",
    "type": "object",
    "properties": {
        "error": {"type": "string", "examples": ["invalid_grant"]},
        "error_description": {"type": "string"},
        "correlation_id": {
            "description": "What the administrator finds the reason by, in the event log.",
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
        },
    },
    "required": ["error", "error_description", "correlation_id"],
    "additionalProperties": False,
}


def header(description: str, *, is_required: bool = True, **schema: Any) -> dict[str, Any]:
    """Return a header of a response."""
    described: dict[str, Any] = {"description": description, "schema": {"type": "string", **schema}}
    return {**described, "required": True} if is_required else described


REQUEST_ID = {"X-Request-Id": header("The correlation ID of the request.", pattern="^[0-9a-f]{32}$")}
RETRY_AFTER = {"Retry-After": header("Seconds to wait before the next try.", type="integer", minimum=1)}
CHALLENGE = {"WWW-Authenticate": header("The authentication scheme.")}
ETAG = {"ETag": header("The version of the record.", pattern='^"[0-9]+-[0-9]+"$')}
SOMETIMES_RETRY_AFTER = {
    "Retry-After": header("Seconds to wait before the next try.", is_required=False, type="integer", minimum=1)
}
# By status: the name of the component, its description, and its headers in addition to those of every error.
ERRORS: Mapping[int, tuple[str, str, dict[str, Any]]] = {
    400: ("BadRequest", "The request is malformed, a value does not fit its field, or the table does not exist.", {}),
    401: ("NotAuthenticated", "Credentials are missing, unknown, or refused.", CHALLENGE),
    403: ("Refused", "The caller's roles or scopes do not cover this, or a rule of the table aborts it.", {}),
    404: ("NotFound", "The record does not exist, or the caller may not see it.", {}),
    406: ("NotAcceptable", "The caller accepts neither JSON nor XML.", {}),
    409: ("Conflict", "The Idempotency-Key was used for another creation.", {}),
    411: ("LengthRequired", "Content-Length is missing.", {}),
    412: ("PreconditionFailed", "`If-Match` does not contain the stored version.", ETAG),
    415: ("UnsupportedMediaType", "The media type or encoding of the body is not supported.", {}),
    428: ("PreconditionRequired", "`If-Match` is missing; this write requires the version that was read.", {}),
    429: ("TooManyRequests", "Too many failed attempts, long requests, or creations of the caller.", RETRY_AFTER),
    503: ("Unavailable", "The database or the keys of an ID token are unavailable.", SOMETIMES_RETRY_AFTER),
}
OAUTH_ERRORS: Mapping[int, tuple[str, str, dict[str, Any]]] = {
    400: ("GrantRefused", "The request is malformed, or its grant is invalid or not allowed for this client.", {}),
    401: ("ClientRefused", "The client did not authenticate. `/oauth_token.do` returns 401 instead of 400.", CHALLENGE),
    429: ("TooManyFailures", "Too many failed requests of this client.", RETRY_AFTER),
    503: ("KeysUnavailable", "The signing keys or the database are unavailable.", SOMETIMES_RETRY_AFTER),
}
# Statuses of every operation that requires authentication.
OF_CALLERS = (400, 401, 403, 429, 503)


def error_components() -> dict[str, Answers]:
    """Return the errors of both envelopes by the name of their component."""
    in_table_style = {JSON: {"schema": ref("Error")}, XML: {"schema": {"type": "object"}}}
    in_oauth_style = {JSON: {"schema": ref("OAuthError")}}
    of_table_api = {name: _error(text, headers, in_table_style) for name, text, headers in ERRORS.values()}
    return of_table_api | {name: _error(text, headers, in_oauth_style) for name, text, headers in OAUTH_ERRORS.values()}


def _error(description: str, headers: Mapping[str, Any], content: Mapping[str, Any]) -> Answers:
    return {"description": description, "headers": {**REQUEST_ID, **headers}, "content": {**content}}


def errors(*statuses: int) -> dict[str, str]:
    """Return the component names of errors by status, including the errors of every authenticated operation."""
    return {str(status): ERRORS[status][0] for status in sorted({*OF_CALLERS, *statuses})}


def oauth_errors() -> dict[str, str]:
    """Return the component names of the errors of the token endpoint by status."""
    return {str(status): name for status, (name, _, _) in OAUTH_ERRORS.items()}


def answer(
    description: str,
    schema: JsonSchema | None = None,
    headers: Mapping[str, Any] | None = None,
    *,
    has_xml: bool = True,
) -> Answers:
    """Return a successful response; without a schema it has no body."""
    response: Answers = {"description": description}
    if headers:
        response["headers"] = dict(headers)
    if schema is not None:
        response["content"] = {JSON: {"schema": schema}}
        if has_xml:
            response["content"][XML] = {"schema": {"type": "object"}}
    return response
