"""Genuine tokens for another audience, another purpose, or another time."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.discovery import discover
from tests.regressions.attack import Attack, assert_refused, attacks
from tests.support.attack_forms import headed, resigned, said, signed_with
from tests.support.forge import AUDIENCE, ISSUER, NOW, forge, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import misbehaving_jwks, reply
from tests.support.token_desk import Integration, TokenDesk

SECONDS = int(NOW.timestamp())
OTHER = "https://other.example/token"
NO_SKEW = {"clock_skew": timedelta(0)}
FOREIGN_TYPES = [
    "client-authentication+jwt",
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "entity-statement+jwt",
    "at+jwt",
    "application/at+jwt",
    "application/application/jwt",
    "",
    None,
    1,
    ["JWT"],
]
ISSUERS = [
    ("CVE-2024-53861", "prefix", ISSUER[:-1]),
    ("CVE-2024-53861", "one-letter", "h"),
    ("CVE-2024-53861", "empty", ""),
    ("CVE-2024-53861", "longer", ISSUER + "d"),
    ("CVE-2024-53861", "suffix", ISSUER[8:]),
    ("CVE-2025-30144", "list", [ISSUER]),
    ("CVE-2025-30144", "list-with-another", ["https://evil.example", ISSUER]),
    ("CVE-2018-15801", "other", "https://idp.example/xyz"),
    ("CVE-2018-15801", "missing", ...),
    ("CVE-2018-15801", "null", None),
    ("RFC 7523 §3", "slash", ISSUER + "/"),
    ("RFC 7523 §3", "capitals", ISSUER.upper()),
    ("RFC 7523 §3", "homoglyph", ISSUER.replace("a", "\N{CYRILLIC SMALL LETTER A}")),
]
AUDIENCES = [
    ("CVE-2020-26160", "empty-list", []),
    ("CVE-2020-26160", "empty-text-in-list", [""]),
    ("CVE-2020-26160", "null", None),
    ("CVE-2020-26160", "object", {AUDIENCE: AUDIENCE}),
    ("CVE-2020-26160", "number", 0),
    ("CVE-2020-26160", "missing", ...),
    ("CVE-2020-26160", "nested-list", [[AUDIENCE]]),
    ("CVE-2020-26160", "list-with-null", [AUDIENCE, None]),
    ("CVE-2024-5798", "part", AUDIENCE[:-1]),
    ("CVE-2024-5798", "longer", AUDIENCE + "0"),
    ("CVE-2023-22482", "another", "argo-cd"),
    ("CVE-2026-55459", "another-in-a-list", ["argo-cd"]),
    ("RFC 7523 §3", "capitals", AUDIENCE.upper()),
    ("RFC 7523 §3", "joined", f"{AUDIENCE} {OTHER}"),
]


@attacks(
    *[Attack(flaw, name, lambda v=value: said(iss=v), "iss_mismatch") for flaw, name, value in ISSUERS],
    Attack("CVE-2024-47807", "null-in-the-policy", lambda: said(iss=None), "iss_mismatch", {"issuer": None}),
    Attack("CVE-2024-47807", "empty-in-the-policy", lambda: said(iss=""), "iss_mismatch", {"issuer": ""}),
)
def test_refuses_an_issuer_that_is_not_the_same_byte_for_byte(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[Attack(flaw, name, lambda v=value: said(aud=v), "aud_mismatch") for flaw, name, value in AUDIENCES],
    Attack("CVE-2024-47806", "none-in-the-policy", forge, "aud_mismatch", {"audiences": frozenset()}),
    Attack("CVE-2023-36820", "empty-in-the-policy", lambda: said(aud=""), "aud_mismatch", {"audiences": {""}}),
    Attack("CVE-2026-55689", "null-in-the-policy", forge, "payload_invalid", {"audiences": None}),
    Attack("CVE-2025-27371", "another-server", lambda: said(aud=OTHER, client_id=AUDIENCE), "aud_mismatch"),
    Attack(
        "CVE-2024-5798",
        "additional-audiences-need-ours",
        lambda: said(aud=[OTHER, "argo-cd"]),
        "aud_mismatch",
        {"allow_additional_audiences": True},
    ),
)
def test_refuses_a_token_for_another_audience(attack: Attack) -> None:
    assert_refused(attack)


NO_AUDIENCE = ("CVE-2024-47806", "CVE-2023-36820", "CVE-2026-40946", "CVE-2026-50627", "CVE-2026-55689")


@pytest.mark.regression(*NO_AUDIENCE)
@pytest.mark.parametrize("audiences", [None, [], [""]])
def test_an_integration_whose_audience_went_missing_admits_nothing(desk: TokenDesk, audiences: Any) -> None:
    integration = desk.register()
    desk.set(integration, audiences=audiences)

    for audience in (..., None, "", [], integration.client_id, "https://change.example.com"):
        assert desk.exchange(integration, assertion=desk.assertion(aud=audience)).status_code == 400
        assert desk.last_event().reason == "aud_mismatch"


@pytest.mark.regression(*NO_AUDIENCE)
@pytest.mark.parametrize("audiences", [..., [], ["", " "]])
def test_an_integration_saved_without_an_audience_expects_its_own_id(desk: TokenDesk, audiences: Any) -> None:
    integration = desk.register(audiences=audiences)

    assert desk.exchange(integration, assertion=desk.assertion(aud="https://api.example.com")).status_code == 400
    assert desk.exchange(integration, assertion=desk.assertion(aud=integration.client_id)).status_code == 200


@attacks(
    Attack("CVE-2025-27370", "ours-and-another", lambda: said(aud=[AUDIENCE, OTHER]), "aud_multiple"),
    Attack("CVE-2025-27370", "another-and-ours", lambda: said(aud=[OTHER, AUDIENCE]), "aud_multiple"),
    Attack("CVE-2025-27370", "ours-twice", lambda: said(aud=[AUDIENCE, AUDIENCE]), "aud_multiple"),
)
def test_refuses_a_token_that_others_could_use_too(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("CVE-2025-27370", "CVE-2025-27371")
def test_no_metadata_says_what_a_token_for_us_looks_like() -> None:
    with misbehaving_jwks(reply()) as server:
        issuer = server.url(path="")
        told = {"issuer": issuer, "jwks_uri": server.url(), "audience": OTHER, "token_endpoint": OTHER}
        server.answer = reply(json.dumps(told).encode())
        found = discover(issuer, FetchPolicy(allow_loopback=True))
    assert (found.issuer, found.jwks_uri) == (issuer, server.url())
    assert OTHER not in str(asdict(found))


@attacks(
    *[Attack("CVE-2025-27371", f"typ-{typ}", lambda t=typ: headed(typ=t), "typ_not_allowed") for typ in FOREIGN_TYPES],
)
def test_refuses_a_kind_of_token_that_is_no_grant(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("CVE-2026-45069", "no-exp", lambda: said(exp=...), "exp_missing"),
    Attack("CVE-2026-45069", "no-iat", lambda: said(iat=...), "iat_invalid"),
    Attack("CVE-2026-45069", "no-jti", lambda: said(jti=...), "jti_missing"),
    Attack("CVE-2026-45069", "empty-jti", lambda: said(jti=""), "jti_missing"),
    Attack("CVE-2026-45069", "jti-is-a-number", lambda: said(jti=7), "jti_missing"),
    Attack("CVE-2026-45069", "jti-of-256", lambda: said(jti="j" * 256), "jti_missing"),
    Attack("RFC 7519 §4.1.7", "null-jti", lambda: said(jti=None), "jti_missing", {"replay_policy": "once-if-present"}),
)
def test_refuses_a_token_without_the_claims_it_must_have(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("keycloak#38576", "days", lambda: said(exp=SECONDS + 300_000, iat=SECONDS - 5), "lifetime_too_long"),
    Attack("RFC 7523 §3", "year-long", lambda: said(exp=SECONDS + 31_536_000), "lifetime_too_long"),
    Attack("RFC 7523 §3", "long-by-a-second", lambda: said(exp=SECONDS + 3601), "lifetime_too_long"),
    Attack("RFC 7523 §3", "long-without-iat", lambda: said(exp=SECONDS + 9_000, iat=...), "lifetime_too_long"),
    Attack("RFC 7523 §3", "issued-ahead", lambda: said(iat=SECONDS + 61), "iat_invalid"),
    Attack("RFC 7523 §3", "issued-after-expiry", lambda: said(exp=SECONDS + 5, iat=SECONDS + 6), "iat_invalid"),
    Attack("PyJWT 2.15.1", "iat-is-true", lambda: said(iat=True), "iat_invalid"),
    Attack("PyJWT 2.15.1", "exp-is-text", lambda: said(exp=str(SECONDS + 60)), "exp_missing"),
    Attack("PyJWT 2.15.1", "iat-is-text", lambda: said(iat=str(SECONDS)), "iat_invalid"),
    Attack("PyJWT 2.15.1", "nbf-is-text", lambda: said(nbf=str(SECONDS)), "not_yet_valid"),
    Attack("RFC 7523 §3", "nbf-ahead", lambda: said(nbf=SECONDS + 61), "not_yet_valid"),
    Attack("RFC 7523 §3", "nbf-is-null", lambda: said(nbf=None), "not_yet_valid"),
    Attack("clock skew", "0-exp-is-now", lambda: said(exp=SECONDS), "expired", NO_SKEW),
    Attack("clock skew", "0-exp-has-been", lambda: said(exp=SECONDS - 1), "expired", NO_SKEW),
    Attack("clock skew", "0-iat-ahead", lambda: said(iat=SECONDS + 1), "iat_invalid", NO_SKEW),
    Attack("clock skew", "60-exp-a-minute-ago", lambda: said(iat=SECONDS - 300, exp=SECONDS - 60), "expired"),
    Attack("clock skew", "null", forge, "payload_invalid", {"clock_skew": None}),
)
def test_refuses_a_token_for_another_time(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("RFC 7800 §3", "sender-constrained", lambda: said(cnf={"jkt": "x"}), "payload_invalid"),
    Attack("RFC 7800 §3", "null-cnf", lambda: said(cnf=None), "payload_invalid"),
    Attack("RFC 8693 §4.1", "delegated", lambda: said(act={"sub": "admin"}), "payload_invalid"),
)
def test_refuses_confirmation_and_actor_claims(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("Storm-0558", "same-kid-other-key", lambda: signed_with(rsa_key("consumer")), "signature_invalid"),
    Attack("Storm-0558", "right-key-other-iss", lambda: said(iss="https://consumer.example"), "iss_mismatch"),
)
def test_refuses_a_key_that_vouches_for_anothers_issuer(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("Storm-0558")
def test_one_kid_is_another_key_for_each_integration(desk: TokenDesk, integration: Integration) -> None:
    theirs = "https://consumer.example.com"
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key("consumer"))))) as provider:
        consumer = desk.register("Consumer", issuer=theirs, jwks_url=provider.url())

        assert _reason(desk, consumer, resigned(desk.assertion(iss=theirs), rsa_key("consumer"))) is None
        assert (
            _reason(desk, integration, resigned(desk.assertion(iss=theirs), rsa_key("consumer"))) == "signature_invalid"
        )
        assert _reason(desk, integration, resigned(desk.assertion(), rsa_key("consumer"))) == "signature_invalid"
        assert _reason(desk, integration, desk.assertion(iss=theirs)) == "iss_mismatch"
        assert _reason(desk, consumer, desk.assertion(iss=theirs)) == "signature_invalid"


def _reason(desk: TokenDesk, integration: Integration, assertion: str) -> str | None:
    desk.exchange(integration, assertion=assertion)
    reason: str | None = desk.last_event().reason
    return reason
