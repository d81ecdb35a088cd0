"""Assertions on order, true ones and false ones."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask.testing import FlaskClient
from jwt import PyJWK
from jwt.utils import base64url_decode

from tests.demo_idp.conftest import ISSUER, NOW, Post

Order = Callable[..., str]
Published = Callable[[], list[dict[str, str]]]

ISSUED_AT = int(NOW.timestamp())


def claims_of(assertion: str) -> dict[str, Any]:
    return jwt.decode(assertion, options={"verify_signature": False})


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_signs_what_its_published_key_verifies(order: Order, published: Published, algorithm: str) -> None:
    assertion = order(alg=algorithm)
    jwk = next(jwk for jwk in published() if jwk["alg"] == algorithm)
    header = jwt.get_unverified_header(assertion)
    assert header == {"alg": algorithm, "kid": jwk["kid"], "typ": "JWT"}
    # The clock of this provider stands still, the library's does not.
    options = {"verify_exp": False}
    claims = jwt.decode(assertion, PyJWK(jwk), [algorithm], options, audience="client-1", issuer=ISSUER)
    assert claims["sub"] == "deploy-bot"


def test_sets_the_registered_claims_and_answers_them(post: Post) -> None:
    answer = post("/sign", sub="deploy-bot", aud=["client-1", "other"], lifetime_seconds=60)
    claims = answer.get_json()["claims"]
    assert claims_of(answer.get_json()["assertion"]) == claims
    UUID(claims.pop("jti"))
    assert claims == {
        "iss": ISSUER,
        "sub": "deploy-bot",
        "aud": ["client-1", "other"],
        "iat": ISSUED_AT,
        "nbf": ISSUED_AT,
        "exp": ISSUED_AT + 60,
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_is_valid_for_five_minutes_by_default(order: Order) -> None:
    assert claims_of(order())["exp"] == ISSUED_AT + 300


def test_no_two_assertions_share_an_id(order: Order) -> None:
    assert claims_of(order())["jti"] != claims_of(order())["jti"]


@pytest.mark.parametrize(
    "lie",
    [
        {"iss": "https://evil.example"},
        {"iss": [ISSUER]},
        {"exp": ISSUED_AT - 1},
        {"exp": "tomorrow"},
        {"aud": []},
        {"sub": 7},
        {"sub": "\ud800"},
        {"act": {"sub": "somebody else"}},
        {"repository": "org/app", "ratio": 0.5},
    ],
    ids=str,
)
def test_lies_on_request(order: Order, lie: dict[str, Any]) -> None:
    claims = claims_of(order(claims=lie))
    assert {name: claims[name] for name in lie} == lie


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"])
def test_leaves_a_claim_out_that_is_null(order: Order, name: str) -> None:
    assert name not in claims_of(order(claims={name: None}))


def test_writes_another_type_into_the_header(order: Order) -> None:
    assert jwt.get_unverified_header(order(typ="at+jwt"))["typ"] == "at+jwt"


def test_leaves_type_and_kid_out_of_the_header_when_they_are_null(order: Order) -> None:
    header = base64url_decode(order(typ=None, kid=None).split(".")[0])
    assert header == b'{"alg":"RS256"}'


def test_signs_with_an_overlapping_key_that_is_asked_for_by_kid(
    order: Order, client: FlaskClient, published: Published
) -> None:
    old = published()[0]
    client.post("/behaviors/rotate")
    assertion = order(kid=old["kid"])
    options = {"verify_exp": False, "verify_aud": False}
    assert jwt.decode(assertion, PyJWK(old), ["RS256"], options)["sub"] == "deploy-bot"


@pytest.mark.parametrize("kid", ["unknown", "../../etc/passwd", ""])
def test_signs_with_the_current_key_under_an_unknown_kid(order: Order, published: Published, kid: str) -> None:
    assertion = order(kid=kid)
    assert jwt.get_unverified_header(assertion)["kid"] == kid
    options = {"verify_exp": False, "verify_aud": False}
    assert jwt.decode(assertion, PyJWK(published()[0]), ["RS256"], options)["sub"] == "deploy-bot"
