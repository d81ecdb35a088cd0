"""What the provider publishes, and rotation as a caller sees it."""

from collections.abc import Callable

import jwt
from flask.testing import FlaskClient
from jwt import PyJWK

from demo_idp.behaviors import BEHAVIORS
from demo_idp.layouts import LAYOUTS
from tests.demo_idp.conftest import ISSUER, Post

Published = Callable[[], list[dict[str, str]]]
Order = Callable[..., str]


def kid_of(assertion: str) -> str:
    return jwt.get_unverified_header(assertion)["kid"]


def is_signed_by_any(assertion: str, jwks: list[dict[str, str]]) -> bool:
    kid = kid_of(assertion)
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    for jwk in jwks:
        if jwk["kid"] == kid:
            jwt.decode(assertion, PyJWK(jwk), algorithms=[jwk["alg"]], options=options)
            return True
    return False


def test_publishes_a_key_set_that_may_be_cached_for_a_minute(client: FlaskClient) -> None:
    response = client.get("/.well-known/jwks.json")
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "max-age=60"
    assert [jwk["alg"] for jwk in response.get_json()["keys"]] == ["RS256", "ES256"]


def test_answers_304_until_the_keys_change(client: FlaskClient, post: Post) -> None:
    etag = client.get("/.well-known/jwks.json").headers["ETag"]
    condition = {"If-None-Match": etag}
    unchanged = client.get("/.well-known/jwks.json", headers=condition)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert unchanged.headers["Cache-Control"] == "max-age=60"
    post("/behaviors/rotate")
    assert client.get("/.well-known/jwks.json", headers=condition).status_code == 200


def test_publishes_a_discovery_document(client: FlaskClient) -> None:
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["issuer"] == ISSUER
    assert metadata["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"
    assert metadata["token_endpoint"] == f"{ISSUER}/token"
    assert metadata["authorization_endpoint"] == f"{ISSUER}/authorize"
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]


def test_says_that_it_is_well(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


def test_rotates_with_overlap(client: FlaskClient, order: Order, published: Published) -> None:
    old = order()
    state = client.post("/behaviors/rotate").get_json()
    new = order()
    assert kid_of(new) == state["signing"]["RS256"] != kid_of(old)
    assert is_signed_by_any(old, published())
    assert is_signed_by_any(new, published())
    assert [jwk["kid"] for jwk in published()] == state["published"]


def test_rotates_without_overlap(post: Post, order: Order, published: Published) -> None:
    old = order()
    assert post("/behaviors/rotate-abruptly").status_code == 200
    assert not is_signed_by_any(old, published())
    assert is_signed_by_any(order(), published())


def test_retires_the_overlapping_keys(client: FlaskClient, order: Order, published: Published) -> None:
    old = order()
    client.post("/behaviors/rotate")
    answer = client.post("/behaviors/retire").get_json()
    assert kid_of(old) not in answer["published"]
    assert not is_signed_by_any(old, published())
    assert len(published()) == 2


def test_lists_behaviors_and_layouts_as_data(client: FlaskClient) -> None:
    behaviors = {entry["name"]: entry for entry in client.get("/behaviors").get_json()}
    assert behaviors.keys() == BEHAVIORS.keys()
    assert behaviors["forged-key"]["reason"] == "signature_invalid"
    assert [entry["name"] for entry in client.get("/layouts").get_json()] == list(LAYOUTS)


def test_describes_the_issuer_of_a_layout(client: FlaskClient) -> None:
    metadata = client.get("/oauth2/default/.well-known/openid-configuration").get_json()
    assert (metadata["issuer"], metadata["jwks_uri"]) == (f"{ISSUER}/oauth2/default", f"{ISSUER}/.well-known/jwks.json")
