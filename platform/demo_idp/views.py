"""The provider's routes, without authentication: for demonstration only."""

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from demo_idp.provider import MISBEHAVIORS, IdentityProvider, Misbehavior
from demo_idp.request_body import read_json_object
from demo_idp.schemas import MisbehaveSchema, RetireSchema, RotateSchema, SignSchema
from demo_idp.signing_key import ALGORITHMS

JWKS_PATH = "/.well-known/jwks.json"
JWKS_MAX_AGE_SECONDS = 60

bp = Blueprint("demo_idp", __name__)


@bp.get(JWKS_PATH)
def show_key_set() -> ResponseReturnValue:
    """Return the key set, cacheable for a minute, with ETag."""
    provider = get_provider()
    if provider.misbehavior is Misbehavior.DOWN:
        abort(503, "The key set is not available at the moment.")
    response = jsonify(provider.get_key_set())
    response.cache_control.max_age = JWKS_MAX_AGE_SECONDS
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/.well-known/openid-configuration")
def show_metadata() -> ResponseReturnValue:
    """Return the provider metadata (OpenID Connect Discovery 1.0 §3)."""
    issuer = get_provider().issuer
    return jsonify(
        issuer=issuer,
        jwks_uri=issuer + JWKS_PATH,
        token_endpoint=f"{issuer}/sign",
        response_types_supported=[],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=list(ALGORITHMS),
    )


@bp.post("/sign")
def sign() -> ResponseReturnValue:
    """Return the ordered assertion."""
    signed = get_provider().sign(SignSchema().load(read_json_object()))
    response = jsonify(assertion=signed.assertion, claims=signed.claims)
    response.cache_control.no_store = True
    return response


@bp.post("/rotate")
def rotate() -> ResponseReturnValue:
    """Generate new signing keys."""
    provider = get_provider()
    provider.keys.rotate(overlap=RotateSchema().load(read_json_object())["overlap"])
    return jsonify(describe_state(provider))


@bp.post("/retire")
def retire() -> ResponseReturnValue:
    """Remove the keys that no longer sign from the key set."""
    RetireSchema().load(read_json_object())
    provider = get_provider()
    dropped = provider.keys.retire()
    return jsonify(retired=[key.kid for key in dropped], **describe_state(provider))


@bp.post("/misbehave")
def misbehave() -> ResponseReturnValue:
    """Switch to a fault, or to none."""
    provider = get_provider()
    provider.misbehave(MisbehaveSchema().load(read_json_object())["mode"])
    return jsonify(describe_state(provider))


@bp.get("/healthz")
def show_health() -> ResponseReturnValue:
    """Return that the process runs."""
    return jsonify(status="ok")


@bp.get("/")
def show_page() -> ResponseReturnValue:
    """Show a page about the provider."""
    provider = get_provider()
    page = render_template(
        "demo_idp.html", provider=provider, jwks_url=provider.issuer + JWKS_PATH, misbehaviors=MISBEHAVIORS
    )
    response = Response(page)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def get_provider() -> IdentityProvider:
    """Return the provider of this app."""
    provider: IdentityProvider = current_app.extensions["identity_provider"]
    return provider


def describe_state(provider: IdentityProvider) -> dict[str, object]:
    """Return the fault, the signing kid by algorithm, and all published kids."""
    return {
        "mode": provider.misbehavior,
        "signing": {algorithm: provider.keys.get_current(algorithm).kid for algorithm in ALGORITHMS},
        "published": [key.kid for key in provider.keys.published],
    }
