"""Misbehavior on tap: each mode as a verifier meets it, and the way back."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from jwt import PyJWK

from tests.demo_idp.conftest import Post

Order = Callable[..., str]
Published = Callable[[], list[dict[str, str]]]

JWKS = "/.well-known/jwks.json"
OPTIONS: Any = {"verify_exp": False, "verify_aud": False}


def test_is_down(client: FlaskClient, post: Post) -> None:
    assert post("/misbehave", mode="down").get_json()["mode"] == "down"
    response = client.get(JWKS)
    assert (response.status_code, response.get_json()["error"]) == (503, "service_unavailable")
    assert client.get("/healthz").status_code == 200


def test_publishes_nothing(post: Post, published: Published, order: Order) -> None:
    post("/misbehave", mode="empty")
    assert published() == []
    assert order()


def test_publishes_far_too_much(client: FlaskClient, post: Post, published: Published) -> None:
    honest = published()
    post("/misbehave", mode="oversized")
    response = client.get(JWKS)
    assert len(response.data) > 1024 * 1024
    assert response.get_json()["keys"] == honest


def test_publishes_a_strangers_key_under_each_kid_that_signs(post: Post, published: Published, order: Order) -> None:
    honest = published()
    post("/misbehave", mode="duplicate_kid")
    strangers = published()[:2]
    assert published()[2:] == honest
    assert [jwk["kid"] for jwk in strangers] == [jwk["kid"] for jwk in honest]
    jwt.decode(order(), PyJWK(honest[0]), ["RS256"], OPTIONS)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(order(), PyJWK(strangers[0]), ["RS256"], OPTIONS)


def test_the_strangers_follow_a_rotation(client: FlaskClient, post: Post, published: Published) -> None:
    post("/misbehave", mode="duplicate_kid")
    client.post("/rotate")
    assert [jwk["kid"] for jwk in published()[:2]] == [jwk["kid"] for jwk in published()[2:4]]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_signs_with_the_key_that_was_retired_last(
    client: FlaskClient, post: Post, published: Published, order: Order, algorithm: str
) -> None:
    old = next(jwk for jwk in published() if jwk["alg"] == algorithm)
    client.post("/rotate")
    client.post("/retire")
    kept = published()
    post("/misbehave", mode="retired_key")
    assertion = order(alg=algorithm)
    assert jwt.get_unverified_header(assertion)["kid"] == old["kid"]
    jwt.decode(assertion, PyJWK(old), [algorithm], OPTIONS)
    assert published() == kept


def test_retires_the_current_keys_when_it_must_sign_with_a_retired_one_and_has_none(
    post: Post, published: Published, order: Order
) -> None:
    old = published()[0]
    post("/misbehave", mode="retired_key")
    assert jwt.get_unverified_header(order())["kid"] == old["kid"]
    assert old not in published()


@pytest.mark.parametrize("mode", ["down", "empty", "oversized", "duplicate_kid", "retired_key"])
def test_behaves_again(client: FlaskClient, post: Post, order: Order, published: Published, mode: str) -> None:
    post("/misbehave", mode=mode)
    assert f"<strong>{mode}</strong>" in client.get("/").text
    assert post("/misbehave", mode="none").get_json()["mode"] == "none"
    assert len(published()) == 2
    jwt.decode(order(), PyJWK(published()[0]), ["RS256"], OPTIONS)
