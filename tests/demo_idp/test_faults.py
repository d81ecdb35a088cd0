"""Faults of the key set as a verifier sees them, and the way back."""

import json
import threading
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jwt import PyJWK

from demo_idp.provider import Fault
from tests.demo_idp.conftest import ISSUER, Post

Order = Callable[..., str]
Published = Callable[[], list[dict[str, str]]]

JWKS = "/.well-known/jwks.json"
OPTIONS: Any = {"verify_exp": False, "verify_aud": False}


def test_is_down(client: FlaskClient, post: Post) -> None:
    assert post("/behaviors/down").get_json()["fault"] == "down"
    response = client.get(JWKS)
    assert (response.status_code, response.get_json()["error"]) == (503, "service_unavailable")
    assert client.get("/healthz").status_code == 200


def test_publishes_nothing(post: Post, published: Published, order: Order) -> None:
    post("/behaviors/empty")
    assert published() == []
    assert order()


def test_publishes_far_too_much(client: FlaskClient, post: Post, published: Published) -> None:
    genuine = published()
    post("/behaviors/oversized")
    response = client.get(JWKS)
    assert len(response.data) > 1024 * 1024
    assert response.get_json()["keys"] == genuine


def test_publishes_a_foreign_key_under_each_kid_that_signs(post: Post, published: Published, order: Order) -> None:
    genuine = published()
    post("/behaviors/duplicate-kid")
    foreign = published()[:2]
    assert published()[2:] == genuine
    assert [jwk["kid"] for jwk in foreign] == [jwk["kid"] for jwk in genuine]
    jwt.decode(order(), PyJWK(genuine[0]), ["RS256"], OPTIONS)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(order(), PyJWK(foreign[0]), ["RS256"], OPTIONS)


def test_the_foreign_keys_follow_a_rotation(client: FlaskClient, post: Post, published: Published) -> None:
    post("/behaviors/duplicate-kid")
    client.post("/behaviors/rotate")
    assert [jwk["kid"] for jwk in published()[:2]] == [jwk["kid"] for jwk in published()[2:4]]


def test_is_cut_off(client: FlaskClient, post: Post) -> None:
    post("/behaviors/malformed")
    with pytest.raises(json.JSONDecodeError):
        json.loads(client.get(JWKS).data)


def test_redirects(client: FlaskClient, post: Post) -> None:
    post("/behaviors/redirect")
    response = client.get(JWKS)
    assert (response.status_code, response.headers["Location"]) == (302, f"{ISSUER}{JWKS}?moved")


def test_is_slow_until_it_recovers(idp: Flask, client: FlaskClient, post: Post) -> None:
    post("/behaviors/slow")
    answers: list[int] = []
    fetch = threading.Thread(target=lambda: answers.append(idp.test_client().get(JWKS).status_code))
    fetch.start()
    fetch.join(0.1)
    assert answers == []
    post("/behaviors/recover")
    fetch.join()
    assert answers == [200]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_signs_with_the_key_that_was_retired_last(
    client: FlaskClient, post: Post, published: Published, algorithm: str
) -> None:
    old = next(jwk for jwk in published() if jwk["alg"] == algorithm)
    client.post("/behaviors/rotate")
    client.post("/behaviors/retire")
    kept = published()
    assertion = post("/behaviors/retired-key", alg=algorithm).get_json()["assertion"]
    assert jwt.get_unverified_header(assertion)["kid"] == old["kid"]
    jwt.decode(assertion, PyJWK(old), [algorithm], OPTIONS)
    assert published() == kept


def test_retires_the_current_keys_when_it_must_sign_with_a_retired_one_and_has_none(
    post: Post, published: Published
) -> None:
    old = published()[0]
    assertion = post("/behaviors/retired-key").get_json()["assertion"]
    assert jwt.get_unverified_header(assertion)["kid"] == old["kid"]
    assert old not in published()


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_behaves_again(client: FlaskClient, post: Post, order: Order, published: Published, fault: Fault) -> None:
    post(f"/behaviors/{fault}")
    assert f"Current fault: <strong>{fault}</strong>" in client.get("/").text
    assert post("/behaviors/recover").get_json()["fault"] == "none"
    assert len(published()) == 2
    jwt.decode(order(), PyJWK(published()[0]), ["RS256"], OPTIONS)
