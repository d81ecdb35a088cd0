"""OpenAPI paths of revocation (RFC 7009) and introspection (RFC 7662)."""

from collections.abc import Mapping
from typing import Any

from changegate.api.introspection import PATH as INTROSPECTION_PATH
from changegate.api.openapi.answers import REQUEST_ID, answer, oauth_errors
from changegate.api.openapi.tokens import CLIENT_ASSERTION, TAG, Operation
from changegate.api.openapi.values import JsonSchema, ref
from changegate.api.revocation import RFC_PATH, SERVICENOW_PATHS
from changegate.api.token_form import FORM
from changegate.schemas.token_request import LONGEST
from changegate.services.oauth.grant_types import REFRESH_TOKEN

_TEXT: JsonSchema = {"type": "string"}
_TOKEN: JsonSchema = {
    "description": "An access token, opaque or in JWT format, or a refresh token.",
    "type": "string",
    "minLength": 1,
}
TOKEN_REFERENCE: JsonSchema = {
    "type": "object",
    "properties": {
        "token": _TOKEN,
        "token_type_hint": {"description": "Ignored: the format of a token shows its type.", "type": "string"},
        "client_id": {"description": "The client ID; can be sent in a Basic header instead.", "type": "string"},
        "client_secret": {
            "description": "The secret, if the client has one; can be sent in a Basic header instead.",
            "type": "string",
            "maxLength": LONGEST["client_secret"],
        },
        **CLIENT_ASSERTION,
    },
    "required": ["token"],
}
INTROSPECTION: JsonSchema = {
    "description": "The state and the grants of a token; only `active` if it is unknown, expired, or foreign.",
    "type": "object",
    "properties": {
        "active": {"type": "boolean"},
        "scope": {"description": "The current scopes of the token, separated by spaces.", "type": "string"},
        "client_id": {"description": "The integration.", "type": "string"},
        "username": {"description": "The user that the token acts as.", "type": "string"},
        "token_type": {
            "description": "A refresh token is reported to its own client only, and no API accepts it.",
            "enum": ["Bearer", REFRESH_TOKEN],
        },
        **{name: {"description": "In seconds since 1970.", "type": "integer"} for name in ("exp", "iat", "nbf")},
        "sub": {"description": "The sys_id of the user.", "type": "string"},
        "aud": _TEXT,
        "iss": _TEXT,
        "jti": {"description": "The correlation ID of the exchange.", "type": "string"},
    },
    "required": ["active"],
    "additionalProperties": False,
}
_IN_QUERY = {
    "name": "token",
    "in": "query",
    "description": "The token to revoke. URLs may be logged by proxies, so prefer the form.",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}


def token_service_paths() -> Mapping[str, dict[str, Operation]]:
    """Return the paths of revocation and introspection."""
    by_form = _revoke("revoke", "By form (RFC 7009). A client that identifies itself can revoke only its own tokens.")
    return {
        RFC_PATH: {"post": {**by_form, "requestBody": _body(ref("TokenReference"))}},
        SERVICENOW_PATHS[0]: _servicenow("revoke_token_do"),
        SERVICENOW_PATHS[1]: _servicenow("revoke_do"),
        INTROSPECTION_PATH: {"post": _introspect()},
    }


def _servicenow(name: str) -> dict[str, Operation]:
    style = "As ServiceNow does: any holder of a token may revoke it."
    token_alone: JsonSchema = {"type": "object", "properties": {"token": _TOKEN}, "required": ["token"]}
    by_post = _revoke(name, f"{style} The token can be sent in the query string instead.")
    return {
        "get": {**_revoke(f"{name}_by_get", style), "parameters": [_IN_QUERY]},
        "post": {**by_post, "requestBody": _body(token_alone)},
    }


def _revoke(name: str, style: str) -> Operation:
    return {
        "tags": [TAG],
        "operationId": name,
        "summary": "Revoke an access token, or a refresh token with the access tokens issued for it",
        "description": f"The token is refused from the next request on. An unknown token is not an error. {style}",
        "security": [],
        "responses": {"200": answer("The token is no longer valid.", headers=REQUEST_ID), **oauth_errors()},
    }


def _introspect() -> Operation:
    return {
        "tags": [TAG],
        "operationId": "introspect",
        "summary": "Introspect a token",
        "description": "Authenticated clients can introspect their own tokens, and with a scope all access tokens.",
        "security": [],
        "requestBody": _body(ref("TokenReference")),
        "responses": {
            "200": answer(
                "Whether the token is active, and what it grants.", ref("Introspection"), REQUEST_ID, has_xml=False
            ),
            **oauth_errors(),
        },
    }


def _body(schema: JsonSchema) -> dict[str, Any]:
    return {"required": True, "content": {FORM: {"schema": schema}}}
