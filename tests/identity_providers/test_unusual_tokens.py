"""Unusual tokens that genuine providers send, each from a provider that sends no others."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.identity_providers.conftest import ReasonFor
from tests.identity_providers.onboarding import Console
from tests.support.forge import ec_key, forge, jwk, key_set_document, rsa_key
from tests.support.live_desk import AUDIENCE, LiveDesk
from tests.support.misbehaving_jwks import misbehaving_jwks, reply

LONG_KID = "https://vault.example.com/v1/keys/pipelines/2026-03-01/0123456789abcdef012345678"
RSA = jwk(rsa_key(), "rsa-1")
EC = jwk(ec_key(), "ec-1")
BARE = {"use": ..., "alg": ...}


@contextmanager
def onboarded(administrator: Console, *keys: dict[str, Any], **choices: Any) -> Iterator[LiveDesk]:
    """Serve a key set, and trust it by the form."""
    with misbehaving_jwks(reply(key_set_document(*keys))) as server:
        issuer = f"http://127.0.0.1:{server.port}"
        with administrator.onboarded(issuer, jwks_url=server.url(), **choices) as desk:
            yield desk


def signed(desk: LiveDesk, head: Mapping[str, Any], **claims: Any) -> str:
    """Sign what the provider would, with changes; a member given as `...` is left out."""
    now = int(time.time())
    usual = {"iss": desk.idp_url, "sub": "build-42", "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
    payload = usual | {"jti": str(uuid.uuid4())} | claims
    header = {"alg": "RS256", "typ": "JWT", "kid": "rsa-1"} | head
    kept = [{name: value for name, value in part.items() if value is not ...} for part in (header, payload)]
    return forge(json.dumps(kept[0]), json.dumps(kept[1]), alg=str(header["alg"]))


@pytest.mark.parametrize("required", ["at+jwt", "at+JWT", "application/at+jwt"])
def test_a_typ_is_the_same_in_capitals_and_with_its_long_name(administrator: Console, required: str) -> None:
    with onboarded(administrator, RSA, required_typ=required) as desk:
        for typ in ("at+jwt", "at+JWT", "AT+JWT", "application/at+jwt", "Application/At+Jwt"):
            desk.token(signed(desk, {"typ": typ}))


def test_a_required_typ_refuses_the_usual_one_and_none(administrator: Console, reason: ReasonFor) -> None:
    with onboarded(administrator, RSA, required_typ="at+jwt") as desk:
        for typ in ("JWT", ...):
            assert reason(desk.exchange(signed(desk, {"typ": typ}))) == "typ_not_allowed"


def test_keys_need_neither_alg_nor_use(administrator: Console) -> None:
    bare = jwk(rsa_key(), "rsa-1", **BARE), jwk(ec_key(), "ec-1", **BARE)
    assert not {"alg", "use", "key_ops"} & {name for key in bare for name in key}
    with onboarded(administrator, *bare) as desk:
        desk.token(signed(desk, {}))
        desk.token(signed(desk, {"alg": "ES256", "kid": "ec-1"}))


def test_one_key_set_may_have_rsa_and_ec_keys(administrator: Console, reason: ReasonFor) -> None:
    with onboarded(administrator, RSA, EC) as desk:
        desk.token(signed(desk, {}))
        desk.token(signed(desk, {"alg": "ES256", "kid": "ec-1"}))
        crossed = signed(desk, {"alg": "ES256", "kid": "rsa-1"})
        assert reason(desk.exchange(crossed)) == "key_unusable"


def test_an_rsa_and_an_ec_key_may_have_one_kid(administrator: Console) -> None:
    with onboarded(administrator, jwk(rsa_key(), "2026"), jwk(ec_key(), "2026")) as desk:
        for algorithm in ("RS256", "ES256"):
            desk.token(signed(desk, {"alg": algorithm, "kid": "2026"}))


def test_nbf_may_be_missing(administrator: Console) -> None:
    with onboarded(administrator, RSA) as desk:
        desk.token(signed(desk, {}, nbf=...))


def test_a_kid_may_have_80_characters(administrator: Console) -> None:
    assert len(LONG_KID) == 80
    with onboarded(administrator, jwk(rsa_key(), LONG_KID)) as desk:
        desk.token(signed(desk, {"kid": LONG_KID}))


def test_a_token_without_kid_is_refused_until_the_form_allows_it(administrator: Console, reason: ReasonFor) -> None:
    with onboarded(administrator, RSA) as desk:
        assert reason(desk.exchange(signed(desk, {"kid": ...}))) == "kid_missing"
    with onboarded(administrator, RSA, EC, allow_missing_kid="on") as desk:
        desk.token(signed(desk, {"kid": ...}))


def test_more_audiences_than_ours_are_refused_until_the_form_allows_them(
    administrator: Console, reason: ReasonFor
) -> None:
    both = [AUDIENCE, "https://kubernetes.default.svc"]
    with onboarded(administrator, RSA) as desk:
        assert reason(desk.exchange(signed(desk, {}, aud=both))) == "aud_multiple"
        desk.token(signed(desk, {}, aud=[AUDIENCE]))
    with onboarded(administrator, RSA, allow_additional_audiences="on") as desk:
        desk.token(signed(desk, {}, aud=both))
        assert reason(desk.exchange(signed(desk, {}, aud=both[1:]))) == "aud_mismatch"
