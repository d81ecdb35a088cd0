"""The same flaws where a provider's token is sent straight to an API: there is no other door without the locks."""

import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.regressions.attack import slug
from tests.regressions.test_fuzzing import CRASHES, fuzzed, json_values, octets
from tests.support.attack_forms import ORDER_P256
from tests.support.forge import as_bytes, b64, ec_key, forge, header, jwk, key_set_document, rsa_key, unb64
from tests.support.id_token_desk import register_id_token
from tests.support.misbehaving_jwks import reply
from tests.support.token_desk import TokenDesk

EVERY_ALGORITHM = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]


def payload_of(desk: TokenDesk) -> str:
    return desk.assertion().split(".")[1]


def signed_with_the_public_key(desk: TokenDesk) -> str:
    spelled = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signing_input = f"{b64(json.dumps(header(alg='HS256')).encode())}.{payload_of(desk)}"
    return f"{signing_input}.{b64(hmac.digest(spelled, signing_input.encode(), 'sha256'))}"


def with_empty_signature(desk: TokenDesk) -> str:
    return f"{b64(json.dumps(header(alg='none')).encode())}.{payload_of(desk)}.{b64(b'none')}"


def signed_with_zeros(desk: TokenDesk) -> str:
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
    return f"{b64(json.dumps(header(alg='ES256')).encode())}.{payload_of(desk)}.{b64(bytes(64))}"


def signed_with_a_key_that_it_brings(desk: TokenDesk) -> str:
    foreign = rsa_key("foreign")
    return forge(header(jwk=jwk(foreign)), unb64(payload_of(desk)), key=foreign)


def signed_with_the_key_of_another_integration(desk: TokenDesk) -> str:
    theirs = key_set_document(jwk(rsa_key("theirs"))).decode()
    elsewhere = {"issuer": "https://theirs.example.com", "key_source": "jwks", "jwks_url": ..., "jwks": theirs}
    register_id_token(desk, "Theirs", **elsewhere)
    return forge(header(), unb64(payload_of(desk)), key=rsa_key("theirs"))


FORGED = [
    ("CVE-2015-9235", signed_with_the_public_key, "alg_not_allowed"),
    ("CVE-2015-2951", with_empty_signature, "alg_not_allowed"),
    ("CVE-2022-21449", signed_with_zeros, "signature_invalid"),
    ("CVE-2018-0114", signed_with_a_key_that_it_brings, "signature_invalid"),
    ("Storm-0558", signed_with_the_key_of_another_integration, "signature_invalid"),
]


@pytest.mark.parametrize(
    ("make", "reason"),
    [pytest.param(make, why, id=slug(flaw), marks=pytest.mark.regression(flaw)) for flaw, make, why in FORGED],
)
def test_opens_no_api_to_a_forged_token(desk: TokenDesk, make: Callable[[TokenDesk], str], reason: str) -> None:
    register_id_token(desk, algorithms=EVERY_ALGORITHM)

    assert desk.call(make(desk)).status_code == 401
    assert desk.last_event().reason == reason


@pytest.mark.regression("replay: second spelling")
def test_another_spelling_of_a_used_token_serves_no_call(desk: TokenDesk) -> None:
    register_id_token(desk, replay_policy="once-if-present", enable_jti_verification=True)
    desk.jwks.answer = reply(key_set_document(jwk(ec_key())))
    said = unb64(desk.assertion(jti=...).split(".")[1])
    token = forge(header(alg="ES256"), said, alg="ES256")
    signed, _, signature = token.rpartition(".")
    r, s = unb64(signature)[:32], int.from_bytes(unb64(signature)[32:])
    assert desk.call(token).status_code == 201

    assert desk.call(f"{signed}.{b64(r + (ORDER_P256 - s).to_bytes(32))}").status_code == 401
    assert desk.last_event().reason == "jti_replayed"
    assert desk.call(f"{token}==").status_code == 401


@pytest.mark.regression("replay: token outlives trust")
def test_a_disabled_integration_ends_its_providers_tokens_for_good(desk: TokenDesk) -> None:
    straight = register_id_token(desk)
    token = desk.assertion()
    assert desk.call(token).status_code == 201
    for is_active in (False, True):
        desk.set_active(straight, is_active=is_active)
        assert desk.call(token).status_code == 401


@CRASHES
@given(
    head=octets | st.just(as_bytes(header())),
    payload=octets,
    changes=st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "jti", "email"]), json_values),
)
@settings(fuzzed, max_examples=60)
def test_any_token_is_answered(desk: TokenDesk, head: bytes, payload: bytes, changes: dict[str, Any]) -> None:
    if not desk.events():
        register_id_token(desk, run_as=..., user_field="email", user_claim="email")
    for token in (forge(head, payload), desk.assertion(**changes), forge(head, payload)[1:], f"..{b64(payload)}"):
        assert desk.call(token).status_code == 401
