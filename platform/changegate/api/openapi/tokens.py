"""OpenAPI paths of the token endpoint and of the key set."""

from collections.abc import Mapping
from typing import Any

from changegate.api.oauth import RFC_PATH, SERVICENOW_PATH
from changegate.api.openapi.answers import ERRORS, REQUEST_ID, answer, header, oauth_errors
from changegate.api.openapi.values import JsonSchema, ref
from changegate.api.token_form import FORM
from changegate.api.token_keys import PATH as KEY_SET_PATH
from changegate.schemas.token_request import LONGEST
from changegate.services.oauth.client_assertions import ASSERTION_TYPE
from changegate.services.oauth.grant_types import CLIENT_CREDENTIALS, PASSWORD, REFRESH_TOKEN
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT

Operation = dict[str, Any]
TAG = "Tokens"
FIXED_MEMBERS = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
TOKEN: JsonSchema = {
    "type": "object",
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"const": "Bearer"},
        "expires_in": {"description": "In seconds.", "type": "integer", "minimum": 1},
        "scope": {"description": "The granted scopes, separated by spaces.", "type": "string"},
        "refresh_token": {
            "description": "Only for password integrations that issue refresh tokens; a refresh returns the same one.",
            "type": "string",
        },
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
    "Cache-Control": header("How long the keys may be cached."),
    "ETag": header("The value for If-None-Match in the next request."),
}
CLIENT_ASSERTION: JsonSchema = {
    "client_assertion": {
        "description": "The JWT with which a client without a secret authenticates.",
        "type": "string",
    },
    "client_assertion_type": {"const": ASSERTION_TYPE},
}
_OF_CLIENT: JsonSchema = {
    "client_id": {
        "description": "The client ID; can be sent in a Basic header, or left out if the assertion identifies it.",
        "type": "string",
        "maxLength": LONGEST["client_id"],
    },
    "client_secret": {
        "description": "Required unless the integration is a public client; can be sent in a Basic header instead.",
        "type": "string",
        "maxLength": LONGEST["client_secret"],
    },
    "scope": {
        "description": "The requested scopes, separated by spaces; by default, all scopes of the integration.",
        "type": "string",
        "maxLength": LONGEST["scope"],
    },
}
_GRANTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    JWT_BEARER_GRANT: ("RFC 7523 §2.1.", {"assertion": "A JWT that the identity provider has signed."}),
    CLIENT_CREDENTIALS: ("RFC 6749 §4.4: acts as the integration's OAuth Application User.", {}),
    PASSWORD: (
        "RFC 6749 §4.3, if the instance has it enabled.",
        {"username": "The user ID.", "password": "The password, including its spaces."},
    ),
    REFRESH_TOKEN: ("RFC 6749 §6.", {"refresh_token": "The refresh token of a password grant; it does not change."}),
}


def token_paths() -> Mapping[str, dict[str, Operation]]:
    """Return both paths of the token endpoint, which differ in their error responses."""
    return {
        RFC_PATH: {"post": _exchange("exchange", "Errors follow RFC 6749 §5.2.")},
        SERVICENOW_PATH: {"post": _exchange("exchange_do", "Errors follow ServiceNow: nearly all are 401.")},
    }


def key_set_path() -> Mapping[str, dict[str, Operation]]:
    """Return the path of the key set."""
    operation = {
        "tags": [TAG],
        "operationId": "key_set",
        "summary": "Get the keys that verify access tokens in JWT format",
        "description": "A new key is published before it signs, and stays for 105 days after it stops signing.",
        "security": [],
        "responses": {
            "200": answer("The key set.", ref("KeySet"), CACHING, has_xml=False),
            "304": answer("The key set has not changed since the version in If-None-Match."),
            "503": ERRORS[503][0],
        },
    }
    return {KEY_SET_PATH: {"get": operation}}


def _exchange(name: str, style: str) -> Operation:
    content = {FORM: {"schema": ref("TokenRequest")}}
    return {
        "tags": [TAG],
        "operationId": name,
        "summary": "Exchange a grant for an access token",
        "description": f"A client may use only the grant of its integration's connection type. {style}",
        "security": [],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer("The token.", ref("Token"), REQUEST_ID, has_xml=False), **oauth_errors()},
    }


def token_request() -> JsonSchema:
    """Return the schema of a token request, with one alternative for each grant."""
    return {"oneOf": [_request(name, says, of_grant) for name, (says, of_grant) in _GRANTS.items()]}


def _request(name: str, says: str, of_grant: Mapping[str, str]) -> JsonSchema:
    own = {field: _parameter(field, description) for field, description in of_grant.items()}
    proof = CLIENT_ASSERTION if name == JWT_BEARER_GRANT else {}
    return {
        "title": name,
        "description": says,
        "type": "object",
        "properties": {"grant_type": {"const": name}, **own, **_OF_CLIENT, **proof},
        "required": ["grant_type", *own],
    }


def _parameter(name: str, description: str) -> JsonSchema:
    limit = {"maxLength": LONGEST[name]} if name in LONGEST else {}
    return {"description": description, "type": "string", "minLength": 1, **limit}
