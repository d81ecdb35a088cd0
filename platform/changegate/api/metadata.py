"""OAuth metadata of the authorization server (RFC 8414) and the protected resource (RFC 9728).

There is no OpenID discovery document, since Changegate issues no ID tokens.
"""

from typing import Any

from flask import Blueprint, Response, abort

from changegate.api import introspection, oauth, revocation, token_keys
from changegate.api.auth import allow_anyone
from changegate.api.envelopes import public_response
from changegate.api.well_known import AUTHORIZATION_SERVER, PROTECTED_RESOURCE, base_path
from changegate.extensions import settings
from changegate.services.oauth.client_assertions import ALGORITHMS
from changegate.services.oauth.grant_types import list_grant_types
from changegate.services.scopes.scopes import list_scopes

APIS = ("/api/now", "/api/sn_chg_rest")
# In seconds; short, because administrators can add scopes at any time.
METADATA_MAX_AGE = 300
PROOFS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
# Client authentication by endpoint. A public client may use the first two: its assertion, or the token, is the proof.
AUTHENTICATION = {"token": (*PROOFS, "none"), "revocation": (*PROOFS, "none"), "introspection": PROOFS}
bp = Blueprint("oauth_metadata", __name__)
bp.before_request(allow_anyone)


@bp.get(AUTHORIZATION_SERVER)
@bp.get(f"{AUTHORIZATION_SERVER}/<path:described>")
def authorization_server_view(described: str = "") -> Response:
    """Return the metadata of the authorization server; a path must be that of the base URL."""
    if described and f"/{described}" != base_path():
        abort(404)
    return _document(authorization_server())


@bp.get(PROTECTED_RESOURCE)
@bp.get(f"{PROTECTED_RESOURCE}/<path:described>")
def protected_resource_view(described: str = "") -> Response:
    """Return the metadata of the resource at a path: the product, or one of its APIs."""
    resources = {"": "", base_path(): "", **{base_path() + api: api for api in APIS}}
    path = f"/{described}" if described else ""
    if path not in resources:
        abort(404)
    return _document(protected_resource(resources[path]))


def authorization_server() -> dict[str, Any]:
    """Return the metadata of RFC 8414 §2; `response_types_supported` would be empty and is left out (decision 0021)."""
    issuer = settings().base_url
    endpoints = {"token": oauth.RFC_PATH, "revocation": revocation.RFC_PATH, "introspection": introspection.PATH}
    metadata: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": issuer + token_keys.PATH,
        "scopes_supported": _scopes(),
        "grant_types_supported": list_grant_types(),
    }
    for name, path in endpoints.items():
        metadata[f"{name}_endpoint"] = issuer + path
        metadata[f"{name}_endpoint_auth_methods_supported"] = list(AUTHENTICATION[name])
        metadata[f"{name}_endpoint_auth_signing_alg_values_supported"] = sorted(ALGORITHMS)
    return metadata


def protected_resource(path: str) -> dict[str, Any]:
    """Return the metadata of RFC 9728 §2 for a path of this product."""
    issuer = settings().base_url
    return {
        "resource": issuer + path,
        "authorization_servers": [issuer],
        "scopes_supported": _scopes(),
        "bearer_methods_supported": ["header"],
    }


def _scopes() -> list[str]:
    return [scope.name for scope in list_scopes()]


def _document(body: dict[str, Any]) -> Response:
    """Return metadata as JSON, without empty lists (RFC 8414 §3.2, RFC 9728 §3.2)."""
    return public_response({name: value for name, value in body.items() if value != []}, METADATA_MAX_AGE)
