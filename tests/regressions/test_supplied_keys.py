"""The attacker brings the key, says where it is to be found, or has the key set fetched again and again."""

import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from changegate.errors import InputInvalid, JwksFetchFailed
from changegate.schemas.integration import SCHEMAS
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.integrations.saving import register_integration
from changegate.services.keys import jwks_fetch
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.jwks_fetch import fetch_jwks
from tests.conftest import Clock
from tests.regressions.attack import Attack, assert_refused, attacks
from tests.support.attack_forms import certificate, headed, signed_with
from tests.support.forge import NOW, b64, claims, ec_key, ed25519_key, forge, header, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import Answer, hang, misbehaving_jwks, raw, reply
from tests.support.token_desk import ISSUER, ROBOT, Integration, TokenDesk
from tests.support.trust import key_set, policy

COOLDOWN_SECONDS = 30
LOOPBACK = FetchPolicy(allow_loopback=True)


def embedded(**head: Any) -> str:
    """Return a token signed by a foreign key, which it carries."""
    return signed_with(rsa_key("foreign"), jwk=jwk(rsa_key("foreign"), **head), **head)


IDENTITY = b"\x01" + bytes(31)
# One point of each small order: their multiples are so few that a signature needs no private key.
LOW_ORDER = {
    "order-1": IDENTITY,
    "order-2": b"\xec" + b"\xff" * 30 + b"\x7f",
    "order-4": bytes(32),
    "order-8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
}


def signed_without_a_key(point: bytes) -> str:
    """Return a token with a signature that needs no private key and that the library accepts under this point."""
    for number in range(200):
        signing_input = forge(header(alg="EdDSA"), claims(jti=str(number))).rpartition(".")[0]
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(point).verify(IDENTITY + bytes(32), signing_input.encode())
            return f"{signing_input}.{b64(IDENTITY + bytes(32))}"
    raise AssertionError("no text was found that the point verifies")


@attacks(
    Attack("CVE-2018-0114", "embedded-jwk", embedded, "signature_invalid"),
    Attack("CVE-2026-27962", "embedded-jwk-unknown-kid", lambda: embedded(kid="mine"), "kid_unknown"),
    Attack("CVE-2025-24976", "embedded-jwk-empty-set", embedded, "kid_unknown", keys=list),
    Attack("jwt_tool -X i", "embedded-jwk-without-kid", lambda: embedded(kid=...), "signature_invalid"),
    Attack(
        "jwt_tool -X s",
        "self-signed-x5c",
        lambda: signed_with(rsa_key("foreign"), x5c=[b64(certificate("foreign").signature)], kid="mine"),
        "kid_unknown",
    ),
)
def test_refuses_a_key_that_came_with_the_token(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("CVE-2024-21643", "jwt_tool -X s")
def test_never_fetches_a_url_from_a_header() -> None:
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key("foreign"), "mine")))) as listener:
        urls = {"jku": listener.url(), "x5u": listener.url()}
        assert UnverifiedAssertion.parse(headed(**urls)).verify(policy(), key_set(), now=NOW).subject == "build-42"
        assert_refused(Attack("", "", lambda: signed_with(rsa_key("foreign"), **urls, kid="mine"), "kid_unknown"))
        assert listener.connections == 0


@attacks(
    Attack("CVE-2021-41106", "path", lambda: headed(kid="../../dev/null"), "kid_unknown"),
    Attack("jwt_tool -I", "kid-is-sql", lambda: headed(kid="' OR 1=1--"), "kid_unknown"),
    Attack("jwt_tool -I", "kid-with-encoded-nul", lambda: headed(kid="k1%00"), "kid_unknown"),
    Attack("jwt_tool -I", "kid-with-nul", lambda: headed(kid="k1\0"), "header_invalid"),
    Attack("jwt_tool -I", "kid-in-other-letters", lambda: headed(kid="к1"), "kid_unknown"),
    Attack("jwt_tool -I", "kid-with-other-direction", lambda: headed(kid="\u202e1k"), "header_invalid"),
    Attack("jwt_tool -I", "kid-is-proto", lambda: headed(kid="__proto__"), "kid_unknown"),
    Attack("jwt_tool -I", "kid-of-10-kB", lambda: headed(kid="k" * 10_000), "assertion_too_large"),
    Attack("jwt_tool -I", "kid-of-257", lambda: headed(kid="k" * 257), "header_invalid"),
    Attack("jwt_tool -I", "kid-is-empty", lambda: headed(kid=""), "header_invalid"),
    Attack("jwt_tool -I", "kid-is-null", lambda: headed(kid=None), "header_invalid"),
    Attack("jwt_tool -I", "kid-is-a-list", lambda: headed(kid=["k1"]), "header_invalid"),
    Attack("jwt_tool -I", "kid-in-capitals", lambda: headed(kid="K1"), "kid_unknown"),
)
def test_takes_a_kid_for_a_name_and_nothing_else(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[
        Attack(
            "PyJWT 2.15.1",
            f"ed25519-{name}",
            lambda p=point: signed_without_a_key(p),
            "kid_unknown",
            {"algorithms": frozenset({"EdDSA"})},
            keys=lambda p=point: [
                {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": b64(p)},
                jwk(ed25519_key("genuine"), "k3"),
            ],
        )
        for name, point in LOW_ORDER.items()
    ],
    *[
        Attack(
            "PyJWT 2.15.1",
            name,
            forge,
            "kid_unknown",
            keys=lambda m=members: [jwk(rsa_key(), **m), jwk(ec_key(), "k2")],
        )
        for name, members in {
            "key-for-encryption": {"use": "enc"},
            "operations-for-encryption": {"use": ..., "key_ops": ["encrypt"]},
            "private-key": {"d": "AQAB"},
            "standard-alphabet": {"n": "+/+/" * 86},
            "leading-zero": {"n": b64(bytes(1) + rsa_key().public_key().public_numbers().n.to_bytes(256))},
        }.items()
    ],
)
def test_ignores_a_published_key_that_the_library_would_take(attack: Attack) -> None:
    assert_refused(attack)


SCHEMES = ["file:///etc/passwd", "ftp://idp.example/keys", "data:application/json,{}", "gopher://idp.example:70/"]


@pytest.mark.regression("CVE-2026-48522", "pyjwt#1169")
@pytest.mark.parametrize("url", [*SCHEMES, "FILE:///etc/passwd", "HtTp://8.8.8.8/keys"])
def test_a_key_set_is_nowhere_but_behind_https(desk: TokenDesk, integration: Integration, url: str) -> None:
    wanted = {"name": "Other", "provider_name": "x", "issuer": ISSUER, "run_as": ROBOT, "jwks_url": url}
    with desk.app.app_context(), pytest.raises(InputInvalid) as refused:
        register_integration(SCHEMAS["jwt_bearer"].load(wanted), by="admin")
    assert list(refused.value.fields) == ["jwks_url"]

    desk.set(integration, jwks_url=url)
    assert desk.exchange(integration).status_code == 503
    assert "https" in desk.last_event().detail


@pytest.mark.regression("CVE-2026-102267", "CVE-2026-4366")
@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("location", ["http://169.254.169.254/", "http://127.0.0.1:{other}/keys", "/jwks.json"])
def test_a_key_set_is_not_fetched_from_where_its_server_points(status: int, location: str) -> None:
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key())))) as other:
        answer = reply(status=status, Location=location.format(other=other.port))
        with misbehaving_jwks(answer) as server, pytest.raises(JwksFetchFailed, match=f"redirects .status {status}"):
            fetch_jwks(server.url(), LOOPBACK)
        assert (server.hits, other.connections) == (1, 0)


FLOOD = pytest.mark.regression("CVE-2026-48524", "CVE-2026-101917", "GHSA-fhv5-28vv-h8m8")


@FLOOD
def test_a_flood_of_invented_kids_costs_one_fetch_for_each_cooldown(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    desk.token(integration)
    for cooldown in (1, 2):
        for number in range(500):
            forged = desk.assertion(header(kid=f"{cooldown}-{number}"))
            assert desk.exchange(integration, assertion=forged).status_code == 400
        assert desk.jwks.hits == 1 + cooldown
        clock.advance(seconds=COOLDOWN_SECONDS + 1)


@FLOOD
def test_a_rotation_during_a_flood_is_served_after_the_cooldown(
    desk: TokenDesk, integration: Integration, clock: Clock
) -> None:
    desk.exchange(integration, assertion=desk.assertion(header(kid="invented")))
    desk.jwks.answer = reply(key_set_document(jwk(rsa_key(), "new")))
    assert desk.exchange(integration, assertion=desk.assertion(header(kid="new"))).status_code == 400

    clock.advance(seconds=COOLDOWN_SECONDS + 1)

    desk.token(integration, assertion=desk.assertion(header(kid="new")))


@FLOOD
@pytest.mark.parametrize(
    "answer",
    [reply(status=500), hang(), raw(b""), reply(key_set_document()), reply(b"<html>", content_type="text/html")],
    ids=["error", "timeout", "silence", "no keys", "web page"],
)
def test_a_bad_answer_leaves_the_good_keys_until_they_are_too_old(
    desk: TokenDesk, integration: Integration, clock: Clock, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwks_fetch, "READ_SECONDS", 0.1)
    desk.token(integration)
    desk.jwks.answer = answer

    clock.advance(hours=12)
    desk.token(integration)
    assert desk.jwks.hits == 2

    clock.advance(hours=14)
    assert desk.exchange(integration).status_code == 503
    assert desk.last_event().reason == "jwks_stale_expired"


@pytest.mark.regression("CVE-2026-102274", "CVE-2026-102275")
@pytest.mark.parametrize(
    "poison",
    [
        jwk(rsa_key(), "poison", n="AQAB", e="AQAB"),
        jwk(rsa_key(), "poison", e="!"),
        jwk(rsa_key(), "poison", alg=["RS256"]),
        jwk(rsa_key(), "poison", kty={}),
        jwk(ed25519_key(), "poison", d=b64(bytes(32))),
        jwk(ec_key(), "poison", x=7),
        "poison",
        None,
    ],
    ids=["short RSA", "no base64", "alg a list", "kty an object", "another private half", "x a number", "text", "null"],
)
def test_one_poisonous_key_costs_the_others_nothing(desk: TokenDesk, integration: Integration, poison: object) -> None:
    desk.jwks.answer = reply(json.dumps({"keys": [poison, jwk(rsa_key()), poison]}).encode())

    desk.token(integration)

    desk.jwks.answer = reply(json.dumps({"keys": [poison]}).encode())
    unrelated = desk.register("Only poison", issuer="https://poison.example.com")
    assert desk.exchange(unrelated).status_code == 503
