"""Properties of verification that no list of examples can show."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import jwt.api_jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from changegate.models.integration_choices import REPLAY_POLICIES
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.assertions.trust_policy import TrustPolicy
from tests.support.attack_forms import rewritten_ecdsa
from tests.support.forge import AUDIENCE, ISSUER, NOW, as_bytes, claims, forge, header, key_for
from tests.support.trust import key_set, policy

SECONDS = int(NOW.timestamp())
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
    replay_policy=st.sampled_from(sorted(REPLAY_POLICIES)),
    jti_claim=st.sampled_from(["jti", "uti"]),
    allow_additional_audiences=st.booleans(),
)
KIDS = {"RS256": "k1", "PS256": "k1", "ES256": "k2", "EdDSA": "k3"}


class FrozenClock(datetime):
    """The clock the library reads, standing at the tests' now."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW.astimezone(tz or UTC)


def accepted_claims(token: str, demands: TrustPolicy) -> dict[str, Any] | None:
    """Return what we take a token to say, or None when we refuse it."""
    try:
        return dict(UnverifiedAssertion.parse(token).verify(demands, key_set(), now=NOW).claims)
    except AssertionRefused:
        return None


def accepts(token: str, demands: TrustPolicy) -> bool:
    return accepted_claims(token, demands) is not None


def claims_of_the_library(token: str, alg: str, demands: TrustPolicy) -> dict[str, Any]:
    """Return what the library takes a token to say with one key and one algorithm; raises what it raises."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jwt.api_jwt, "datetime", FrozenClock)
        said: dict[str, Any] = jwt.decode(
            token,
            key_for(alg).public_key(),
            algorithms=[alg],
            audience=list(demands.audiences),
            issuer=demands.issuer,
            leeway=demands.clock_skew,
            options={"require": ["exp", "iat", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
    return said


@given(head=heads, said=changes, extra=st.one_of(st.just({}), extras), demands=policies)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_every_accepted_token_is_accepted_by_pyjwt_too(
    head: dict[str, Any], said: dict[str, Any], extra: dict[str, Any], demands: TrustPolicy
) -> None:
    alg = head["alg"]
    token = forge({"kid": KIDS[alg]} | head, claims(**said) | extra, alg=alg)
    for variant in {token, rewritten_ecdsa(token) if alg == "ES256" else token}:
        said = accepted_claims(variant, demands)
        assert said is None or said == claims_of_the_library(variant, alg, demands)


# What may be put into, or in place of, a part of a JSON text or a token: some of it changes nothing, some a little.
FRAGMENTS = st.sampled_from(
    [
        *(b"", b" ", b"\n", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"=", b"A", b"_", b"+", b"-", b"."),
        *(b"\\u0069", b"\\u0000", b'"', b",", b"{}", b"null", b".0", b"e0", b'"aud":[],', b'"exp":1,'),
        *(b'"iss":"https://idp.example/abd",', b'"x":{"y":[1e5,-0.0]},', b'"x":"\xc3\xa9",'),
    ]
)
# Between which characters it is put, at which of these places, and how much is taken away behind it.
CUTS = st.lists(
    st.tuples(
        st.sampled_from([b"{,", b"{,:", b'{}[],:".', b""]), st.integers(0, 999), st.sampled_from([0, 0, 1]), FRAGMENTS
    ),
    max_size=2,
)


def cut(text: bytes, cuts: list[tuple[bytes, int, int, bytes]]) -> bytes:
    """Change a text behind certain characters, or anywhere if the text has no such characters."""
    for behind, position, length, fragment in cuts:
        places = [n + 1 for n, octet in enumerate(text) if octet in behind] or range(len(text) + 1)
        place = places[position % len(places)]
        text = text[:place] + fragment + text[place + length :]
    return text


def test_pyjwt_reads_every_accepted_mutated_token_alike() -> None:
    accepted = []

    @given(
        alg=st.sampled_from(["RS256", "ES256", "EdDSA", "PS256"]),
        head=CUTS,
        payload=CUTS,
        token=st.one_of(st.just([]), st.just([]), CUTS),
    )
    @settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
    def verify_both(alg: str, head: Any, payload: Any, token: Any) -> None:
        demands = policy(algorithms=frozenset(KIDS))
        signed = forge(cut(as_bytes(header(alg=alg, kid=KIDS[alg])), head), cut(as_bytes(claims()), payload), alg=alg)
        mutated = cut(signed.encode(), token).decode("latin-1")
        said = accepted_claims(mutated, demands)
        if said is not None:
            accepted.append(head or payload or token)
            assert said == claims_of_the_library(mutated, alg, demands)

    verify_both()
    assert len([cuts for cuts in accepted if cuts]) > 5, "some of what was changed is still good"


@given(text=st.text(), dots=st.integers(0, 4))
@settings(max_examples=300)
def test_no_text_raises_anything_but_a_refusal(text: str, dots: int) -> None:
    for candidate in (text, ".".join([text] * (dots + 1))):
        assert not accepts(candidate, policy())


@given(head=st.binary(max_size=60), payload=st.binary(max_size=60))
@settings(max_examples=300)
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
@settings(max_examples=300)
def test_no_signed_json_raises_anything_but_a_refusal(changed: dict[str, Any]) -> None:
    with suppress(AssertionRefused):
        token = forge(header() | changed, claims() | changed)
        UnverifiedAssertion.parse(token).verify(policy(), key_set(), now=NOW).report.as_rows()
    with suppress(AssertionRefused):
        UnverifiedAssertion.parse(forge(payload=claims() | changed)).verify(policy(), key_set(), now=NOW)


@given(position=st.integers(0, 10_000), letter=st.sampled_from("ABCxyz019-_.=+/ \n\0é"))
@settings(max_examples=300)
def test_no_single_changed_letter_is_accepted(position: int, letter: str) -> None:
    token = forge()
    place = position % len(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert changed == token or not accepts(changed, policy())
