"""The token endpoint as paths of the document: RFC 7523 under two names."""

from collections.abc import Mapping
from typing import Any

from changegate.api.oauth import RFC_PATH, SERVICENOW_PATH
from changegate.api.openapi.answers import REQUEST_ID, answer, oauth_errors
from changegate.api.openapi.values import JsonSchema, ref
from changegate.api.token_form import FORM
from changegate.schemas.token_request import LONGEST
from changegate.services.oauth.grants import JWT_BEARER

Operation = dict[str, Any]
TAG = "Tokens"
TOKEN: JsonSchema = {
    "type": "object",
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"description": "In seconds.", "type": "integer", "minimum": 1},
        "scope": {"description": "What the token is good for, by blanks.", "type": "string"},
    },
    "required": ["access_token", "token_type", "expires_in", "scope"],
    "additionalProperties": False,
}
_DESCRIPTIONS = {
    "client_id": "The integration; it may stand in a Basic header, or be left to the assertion.",
    "client_secret": "Of an integration that is no public client; it may stand in a Basic header.",
    "scope": "Scopes to be granted, by blanks; all of the integration's without it.",
}


def token_paths() -> Mapping[str, dict[str, Operation]]:
    """Return both paths of the token endpoint, which differ in how they refuse."""
    return {
        RFC_PATH: {"post": _exchange("exchange", "Refusals follow RFC 6749 §5.2.")},
        SERVICENOW_PATH: {"post": _exchange("exchange_do", "Refusals follow ServiceNow: nearly all are 401.")},
    }


def _exchange(name: str, style: str) -> Operation:
    content = {FORM: {"schema": ref("TokenRequest")}}
    return {
        "tags": [TAG],
        "operationId": name,
        "summary": "Exchange an assertion for an access token",
        "description": f"The JWT bearer grant (RFC 7523): one assertion buys one token. {style}",
        "security": [],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer("The token.", ref("Token"), REQUEST_ID, has_xml=False), **oauth_errors()},
    }


def token_request() -> JsonSchema:
    """Return the schema of a token request."""
    optional = {
        name: {"description": _DESCRIPTIONS[name], "type": "string", "maxLength": most}
        for name, most in LONGEST.items()
    }
    assertion = {"description": "A JWT that the identity provider has signed.", "type": "string"}
    return {
        "type": "object",
        "properties": {"grant_type": {"const": JWT_BEARER}, "assertion": assertion, **optional},
        "required": ["grant_type", "assertion"],
    }
