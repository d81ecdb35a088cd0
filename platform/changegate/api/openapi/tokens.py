"""The token endpoint as paths of the document, RFC 7523 under two names, and the keys of tokens in JWT format."""

from collections.abc import Mapping
from typing import Any

from changegate.api.oauth import RFC_PATH, SERVICENOW_PATH
from changegate.api.openapi.answers import ERRORS, REQUEST_ID, answer, header, oauth_errors
from changegate.api.openapi.values import JsonSchema, ref
from changegate.api.token_form import FORM
from changegate.api.token_keys import PATH as KEY_SET_PATH
from changegate.schemas.token_request import LONGEST
from changegate.services.oauth.client_assertions import ASSERTION_TYPE
from changegate.services.oauth.grants import JWT_BEARER

Operation = dict[str, Any]
TAG = "Tokens"
FIXED_MEMBERS = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
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
KEY_SET: JsonSchema = {
    "type": "object",
    "properties": {
        "keys": {
            "type": "array",
            "items": {
                "description": "A JWK (RFC 7517 §4); `kid` is its thumbprint.",
                "type": "object",
                "properties": {
                    **{name: {"const": value} for name, value in FIXED_MEMBERS.items()},
                    **{name: {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"} for name in ("kid", "x", "y")},
                },
                "required": [*FIXED_MEMBERS, "kid", "x", "y"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["keys"],
    "additionalProperties": False,
}
CACHING = {
    "Cache-Control": header("For how long the keys may be kept."),
    "ETag": header("What to send as If-None-Match the next time."),
}
CLIENT_ASSERTION: JsonSchema = {
    "client_assertion": {"description": "A JWT by which a client without a secret proves itself.", "type": "string"},
    "client_assertion_type": {"const": ASSERTION_TYPE},
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


def key_set_path() -> Mapping[str, dict[str, Operation]]:
    """Return the path of the key set."""
    operation = {
        "tags": [TAG],
        "operationId": "key_set",
        "summary": "Get the keys that access tokens in JWT format are signed by",
        "description": "A new key is here before it signs, and stays for 105 days after it did.",
        "security": [],
        "responses": {
            "200": answer("The key set.", ref("KeySet"), CACHING, has_xml=False),
            "304": answer("It is what If-None-Match says."),
            "503": ERRORS[503][0],
        },
    }
    return {KEY_SET_PATH: {"get": operation}}


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
        "properties": {"grant_type": {"const": JWT_BEARER}, "assertion": assertion, **optional, **CLIENT_ASSERTION},
        "required": ["grant_type", "assertion"],
    }
