"""Properties of verification that no list of examples can show."""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import jwt.api_jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.errors import AssertionRefused
from changegate.services.oauth.assertion import UnverifiedAssertion
from changegate.services.oauth.trust_policy import TrustPolicy
from tests.support.attack_forms import json_serialised, rewritten_ecdsa
from tests.support.forge import AUDIENCE, ISSUER, NOW, b64, claims, forge, header, key_for
from tests.support.trust import key_set, policy

SECONDS = int(NOW.timestamp())
CPU_LIMIT = 0.05

times = st.one_of(
    st.integers(SECONDS - 4000, SECONDS + 4000),
    st.floats(SECONDS - 400, SECONDS + 400),
    st.sampled_from([SECONDS, SECONDS - 60, SECONDS + 60, SECONDS + 3600]),
    st.sampled_from([True, "5", None, -1, 10**18, 1e300]),
)
texts = st.one_of(st.text(max_size=8), st.none(), st.integers(), st.lists(st.text(max_size=3), max_size=2))
extra_names = st.sampled_from(["nbf", "azp", "nonce", "uti", "cnf", "x"])
extras = st.dictionaries(extra_names, st.one_of(times, texts), max_size=2)
changes = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.one_of(st.just(ISSUER), st.just(ISSUER + "/"), texts),
        "sub": st.one_of(st.just("build-42"), texts),
        "aud": st.one_of(st.just([AUDIENCE]), st.just([AUDIENCE, "other"]), texts),
        "exp": times,
        "iat": times,
        "nbf": times,
        "jti": texts,
    },
)
heads = st.fixed_dictionaries(
    {"alg": st.sampled_from(["RS256", "ES256", "EdDSA", "PS256"])},
    optional={
        "typ": st.sampled_from(["JWT", "jwt", "at+jwt", None]),
        "kid": st.sampled_from(["k1", "k2", "k3", "k9", None]),
        "crit": st.just(["x"]),
        "jku": st.just("https://evil.example"),
    },
)
policies = st.builds(
    policy,
    algorithms=st.just(frozenset({"RS256", "ES256", "EdDSA", "PS256"})),
    clock_skew=st.sampled_from([timedelta(0), timedelta(seconds=60)]),
    jti_required=st.booleans(),
    jti_claim=st.sampled_from(["jti", "uti"]),
    allow_additional_audiences=st.booleans(),
)
KIDS = {"RS256": "k1", "PS256": "k1", "ES256": "k2", "EdDSA": "k3"}


class FrozenClock(datetime):
    """The clock the library reads, standing at the tests' now."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz or UTC)


def accepts(token: str, demands: TrustPolicy) -> bool:
    try:
        UnverifiedAssertion.parse(token).verify(demands, key_set(), now=NOW)
    except AssertionRefused:
        return False
    return True


def library_accepts(token: str, alg: str, demands: TrustPolicy) -> bool:
    jwt.decode(
        token,
        key_for(alg).public_key(),
        algorithms=[alg],
        audience=list(demands.audiences),
        issuer=demands.issuer,
        leeway=demands.clock_skew,
        options={"require": ["exp", "iat", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
    )
    return True


@given(head=heads, said=changes, extra=st.one_of(st.just({}), extras), demands=policies)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_we_accept_the_library_accepts_too(
    head: dict[str, Any], said: dict[str, Any], extra: dict[str, Any], demands: TrustPolicy
) -> None:
    alg = head["alg"]
    token = forge({"kid": KIDS[alg]} | head, claims(**said) | extra, alg=alg)
    for variant in {token, rewritten_ecdsa(token) if alg == "ES256" else token}:
        if accepts(variant, demands):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(jwt.api_jwt, "datetime", FrozenClock)
                assert library_accepts(variant, alg, demands)


@given(text=st.text(), dots=st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_but_a_refusal(text: str, dots: int) -> None:
    for candidate in (text, ".".join([text] * (dots + 1))):
        assert not accepts(candidate, policy())


@given(head=st.binary(max_size=60), payload=st.binary(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_signed_bytes_raise_anything_but_a_refusal(head: bytes, payload: bytes) -> None:
    assert not accepts(forge(head, claims()), policy())
    assert not accepts(forge(header(), payload), policy())


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["alg", "typ", "kid", "crit", "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "cnf", "act"]


@given(changed=st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_no_signed_json_raises_anything_but_a_refusal(changed: dict[str, Any]) -> None:
    with suppress(AssertionRefused):
        token = forge(header() | changed, claims() | changed)
        UnverifiedAssertion.parse(token).verify(policy(), key_set(), now=NOW).report.as_dicts()
    with suppress(AssertionRefused):
        UnverifiedAssertion.parse(forge(payload=claims() | changed)).verify(policy(), key_set(), now=NOW)


@given(position=st.integers(0, 10_000), letter=st.sampled_from("ABCxyz019-_.=+/ \n\0é"))
@settings(max_examples=300, deadline=None)
def test_no_single_changed_letter_is_accepted(position: int, letter: str) -> None:
    token = forge()
    place = position % len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert changed == token or not accepts(changed, policy())


EXPENSIVE = {
    "60 kB of dots": "." * 60_000,
    "16 kB of dots": "." * 16_384,
    "a million letters": "a" * 1_000_000,
    "two dots in a million": f"{'a' * 500_000}.{'a' * 500_000}.a",
    "16 kB of padding": f"{'=' * 5_000}.{'=' * 5_000}.{'=' * 5_000}",
    "a header 200k deep": f"{b64(b'[' * 200_000)}.{b64(b'{}')}.{b64(b'x')}",
    "a header as deep as fits": f"{b64(b'[' * 2_048)}.{b64(b'{}')}.{b64(b'x')}",
    "a payload 200k deep": forge(payload="[" * 200_000),
    "a payload as deep as fits": forge(payload="[" * 8_192),
    "objects as deep as fit": forge(payload='{"a":' * 1_600),
    "a number as long as fits": forge(payload='{"exp":' + "9" * 8_000 + "}"),
    "an exponent as long as fits": forge(payload='{"exp":1e' + "9" * 8_000 + "}"),
    "a payload of escapes": forge(payload='"' + "\\u0041" * 1_300 + '"'),
    "a thousand claims": forge(payload={f"c{n}": n for n in range(500)}),
    "a JSON serialisation": json_serialised(flat=False),
}


@pytest.mark.parametrize("text", EXPENSIVE.values(), ids=EXPENSIVE)
def test_nothing_takes_long_to_refuse(text: str) -> None:
    keys = key_set()
    started = time.process_time()
    with pytest.raises(AssertionRefused):
        UnverifiedAssertion.parse(text).verify(policy(), keys, now=NOW)
    assert time.process_time() - started < CPU_LIMIT
