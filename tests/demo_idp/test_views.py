"""What the provider publishes, and rotation as a caller sees it."""

from collections.abc import Callable

import jwt
import pytest
from flask.testing import FlaskClient
from jwt import PyJWK

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
    post("/rotate")
    assert client.get("/.well-known/jwks.json", headers=condition).status_code == 200


def test_describes_itself(client: FlaskClient) -> None:
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["issuer"] == ISSUER
    assert metadata["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"
    assert metadata["token_endpoint"] == f"{ISSUER}/sign"
    assert metadata["id_token_signing_alg_values_supported"] == ["RS256", "ES256"]


def test_says_that_it_is_well(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json() == {"status": "ok"}


@pytest.mark.parametrize("body", [{}, {"overlap": True}])
def test_rotates_with_overlap_unless_told_otherwise(
    client: FlaskClient, order: Order, published: Published, body: dict[str, bool]
) -> None:
    old = order()
    state = client.post("/rotate", json=body).get_json()
    new = order()
    assert kid_of(new) == state["signing"]["RS256"] != kid_of(old)
    assert is_signed_by_any(old, published())
    assert is_signed_by_any(new, published())
    assert [jwk["kid"] for jwk in published()] == state["published"]


def test_rotates_without_overlap_on_request(post: Post, order: Order, published: Published) -> None:
    old = order()
    assert post("/rotate", overlap=False).status_code == 200
    assert not is_signed_by_any(old, published())
    assert is_signed_by_any(order(), published())


def test_retires_the_overlapping_keys(client: FlaskClient, order: Order, published: Published) -> None:
    old = order()
    client.post("/rotate")
    answer = client.post("/retire").get_json()
    assert kid_of(old) in answer["retired"]
    assert not is_signed_by_any(old, published())
    assert len(published()) == 2


def test_the_page_lists_the_keys_and_the_routes(client: FlaskClient, published: Published) -> None:
    client.post("/rotate")
    response = client.get("/")
    assert response.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    expected = [jwk["kid"] for jwk in published()]
    expected += [f"{ISSUER}{path}" for path in ("/sign", "/rotate", "/retire", "/misbehave")]
    assert [text for text in expected if text not in response.text] == []
    assert (response.text.count("<td>signs</td>"), response.text.count("<td>overlaps</td>")) == (2, 2)
