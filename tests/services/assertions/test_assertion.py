import json
import logging
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import changegate
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions import assertion as assertion_module
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.claim_checks import MAX_CLAIMS
from changegate.services.assertions.compact_form import MAX_ASSERTION_LENGTH, MAX_PAYLOAD_BYTES
from changegate.services.assertions.trust_policy import accepted_typ
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.signing_key import MAX_KID_LENGTH, SigningKey
from changegate.services.keys.verifying_keys import Validity
from tests.support.attack_forms import headed, rewritten_ecdsa, said
from tests.support.forge import (
    AUDIENCE,
    ISSUER,
    NOW,
    claims,
    ec_key,
    forge,
    header,
    jwk,
    key_for,
    key_set_document,
    rsa_key,
)
from tests.support.trust import key_set, policy

SECONDS = int(NOW.timestamp())
ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split()


def verify(token: str, keys: KeySet | None = None, **demands: Any) -> VerifiedAssertion:
    return UnverifiedAssertion.parse(token).verify(policy(**demands), keys or key_set(), now=NOW)


def refused(token: str, keys: KeySet | None = None, **demands: Any) -> AssertionRefused:
    with pytest.raises(AssertionRefused) as caught:
        verify(token, keys, **demands)
    return caught.value


def test_returns_the_content_of_a_valid_assertion() -> None:
    verified = verify(forge())
    assert (verified.subject, verified.issuer, verified.audience) == ("build-42", ISSUER, (AUDIENCE,))
    assert (verified.kid, verified.algorithm, verified.jti) == ("k1", "RS256", "one")
    assert verified.thumbprint == key_set().candidates("k1", "RS256")[0].thumbprint
    assert verified.issued_at == NOW
    assert verified.expires_at == NOW + timedelta(minutes=5)
    assert dict(verified.claims) == json.loads(verified.report.payload or b"") == claims()


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_verifies_every_public_key_algorithm(alg: str) -> None:
    keys = KeySet.parse(key_set_document(jwk(key_for(alg))))
    assert verify(forge(alg=alg), keys, algorithms=frozenset({alg})).algorithm == alg


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_refuses_every_algorithm_under_another_key_of_its_kind(alg: str) -> None:
    keys = KeySet.parse(key_set_document(jwk(key_for(alg, "next"))))
    assert refused(forge(alg=alg), keys, algorithms=frozenset({alg})).reason == "signature_invalid"


def test_unverified_properties_show_issuer_audience_and_subject() -> None:
    unverified = UnverifiedAssertion.parse(forge(key=rsa_key("foreign")))
    assert unverified.unverified_issuer == ISSUER
    assert unverified.unverified_audience == (AUDIENCE,)
    assert unverified.unverified_kid == "k1"
    assert unverified.unverified_algorithm == "RS256"


@pytest.mark.parametrize("payload", [b"\xff", "[]", {"iss": ["x"], "aud": {}}, {"x": 1}])
def test_unverified_properties_are_empty_if_the_payload_cannot_be_read(payload: object) -> None:
    unverified = UnverifiedAssertion.parse(forge(payload=payload))
    assert unverified.unverified_issuer is None
    assert unverified.unverified_audience == ()


def test_only_a_verified_assertion_has_a_subject() -> None:
    public = {name for name in dir(UnverifiedAssertion) if not name.startswith("_")}
    facts = public - {"parse", "verify", "find_signature_fault"}
    assert facts
    assert all(name.startswith("unverified_") for name in facts)


def test_only_verifying_makes_a_verified_assertion() -> None:
    root = Path(changegate.__file__).parent
    makers = [path for path in root.rglob("*.py") if "VerifiedAssertion(\n" in path.read_text()]
    assert makers == [Path(assertion_module.__file__)]


def test_a_verified_assertion_cannot_be_changed() -> None:
    verified = verify(forge())
    with pytest.raises(FrozenInstanceError):
        verified.subject = "admin"  # type: ignore[misc]
    with pytest.raises(TypeError):
        verified.claims["sub"] = "admin"  # type: ignore[index]


def test_repr_contains_neither_claims_nor_the_token() -> None:
    token = forge()
    unverified = UnverifiedAssertion.parse(token)
    shown = f"{unverified!r} {unverified.verify(policy(), key_set(), now=NOW)!r}"
    assert "build-42" not in shown
    assert not any(segment in shown for segment in token.split("."))


def test_can_be_verified_again_after_the_keys_were_fetched_again() -> None:
    unverified = UnverifiedAssertion.parse(forge(header(kid="k9"), key=rsa_key("next")))
    with pytest.raises(AssertionRefused) as caught:
        unverified.verify(policy(), key_set(), now=NOW)
    assert caught.value.reason == "kid_unknown"
    fetched = KeySet.parse(key_set_document(jwk(rsa_key()), jwk(rsa_key("next"), "k9")))
    verified = unverified.verify(policy(), fetched, now=NOW)
    assert verified.kid == "k9"
    assert verified.report.reason is None


def test_tries_each_of_several_keys_with_one_kid() -> None:
    keys = KeySet.parse(key_set_document(jwk(rsa_key("next")), jwk(ec_key()), jwk(rsa_key())))
    assert verify(forge(), keys).subject == "build-42"


def test_kid_may_be_missing_if_the_policy_allows_it() -> None:
    assert verify(headed(kid=...)).kid is None


@pytest.mark.parametrize(
    ("is_kid_optional", "keys", "reason"),
    [(False, 1, "kid_missing"), (False, 2, "kid_missing"), (True, 1, None), (True, 2, "kid_ambiguous")],
)
def test_without_kid_only_a_single_stored_key_is_accepted(is_kid_optional: bool, keys: int, reason: str | None) -> None:
    document = key_set_document(*[jwk(rsa_key(), "k1"), jwk(rsa_key("other"), "k2")][:keys])
    known = replace(KeySet.parse(document), is_kid_optional=is_kid_optional)
    if reason is None:
        assert verify(headed(kid=...), known, allow_missing_kid=False).kid is None
    else:
        assert refused(headed(kid=...), known, allow_missing_kid=False).reason == reason


PAST, PRESENT, FUTURE = (Validity(NOW + timedelta(days=days), NOW + timedelta(days=days + 1)) for days in (-3, 0, 3))


def dated(*spans: Validity) -> KeySet:
    """Return keys with the kid of the assertion and a validity each; the first one signs."""
    members = [jwk(rsa_key(name)) for name, _ in zip(("ours", "next"), spans, strict=False)]
    found = KeySet.parse(key_set_document(*members))
    keys = tuple(replace(key, validity=span) for key, span in zip(found.keys, spans, strict=True))
    return replace(found, keys=keys)


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ((PAST,), "certificate_expired"),
        ((FUTURE,), "certificate_not_yet_valid"),
        ((PAST, FUTURE), "certificate_expired"),
        ((FUTURE, PAST), "certificate_not_yet_valid"),
        ((PAST, PRESENT), "signature_invalid"),
    ],
)
def test_a_key_is_not_used_outside_its_validity(spans: tuple[Validity, ...], reason: str) -> None:
    refusal = refused(forge(), dated(*spans))
    assert refusal.reason == reason
    if reason != "signature_invalid":
        (result,) = [result for result in refusal.report.results if result.rule == "key"]
        assert result.received == f"k1: {spans[0]}"


def test_a_verified_assertion_has_the_end_of_its_keys_validity() -> None:
    assert verify(forge(), dated(PRESENT, FUTURE)).key_ends_at == PRESENT.ends_at
    assert verify(forge()).key_ends_at is None


def test_a_missing_kid_is_refused_before_the_dates_of_a_key() -> None:
    assert refused(headed(kid=...), dated(PAST), allow_missing_kid=False).reason == "kid_missing"
    assert refused(headed(kid=...), dated(PAST), allow_missing_kid=True).reason == "certificate_expired"


def test_the_audience_may_be_a_claim_of_another_name() -> None:
    token = said(aud=..., client_id=AUDIENCE)
    assert verify(token, audience_claim="client_id").audience == (AUDIENCE,)
    unverified = UnverifiedAssertion.parse(token)
    assert (unverified.unverified_audience_by("client_id"), unverified.unverified_audience) == ((AUDIENCE,), ())
    assert refused(said(client_id="other"), audience_claim="client_id").reason == "aud_mismatch"


def test_the_event_of_a_refusal_names_the_assertion_by_its_unique_claim() -> None:
    first, second = (UnverifiedAssertion.parse(said(jti=jti)) for jti in ("one", "two"))
    assert first.unverified_replay_digest("jti") == verify(said(jti="one")).replay_digest
    assert second.unverified_replay_digest("jti") != first.unverified_replay_digest("jti")
    for unusable in (7, "half a character: \ud800"):
        unverified = UnverifiedAssertion.parse(said(jti=unusable))
        assert unverified.unverified_replay_digest("jti") == unverified.unverified_replay_digest("absent")


def test_reports_that_no_key_fits_an_assertion_without_kid() -> None:
    keys = KeySet.parse(key_set_document(jwk(ec_key())))
    assert refused(headed(kid=...), keys).reason == "key_unusable"


RSA, EC = jwk(rsa_key()), jwk(ec_key(), "k2")
NO_KID, CHOSEN = {"allow_missing_kid": False}, {"allow_missing_kid": True}
BLOCKED = {"blocked_keys": frozenset({SigningKey.from_jwk(RSA).thumbprint})}


@pytest.mark.parametrize(
    ("kid", "keys", "is_kid_optional", "demands", "reason"),
    [
        ("k9", [RSA], False, NO_KID, "kid_unknown"),
        ("k9", [RSA], True, NO_KID, "kid_unknown"),
        ("k2", [RSA, EC], False, NO_KID, "key_unusable"),
        ("k1", [RSA], False, NO_KID | BLOCKED, "key_blocked"),
        (..., [EC], False, NO_KID, "kid_missing"),
        (..., [EC], False, CHOSEN, "key_unusable"),
        (..., [EC], True, NO_KID, "key_unusable"),
        (..., [RSA], False, CHOSEN | BLOCKED, "key_blocked"),
        (..., [RSA], False, NO_KID | BLOCKED, "kid_missing"),
    ],
)
def test_reports_why_no_key_fits(
    kid: object, keys: list[dict[str, Any]], is_kid_optional: bool, demands: dict[str, Any], reason: str
) -> None:
    known = replace(KeySet.parse(key_set_document(*keys)), is_kid_optional=is_kid_optional)
    refusal = refused(headed(kid=kid), known, **demands)
    assert refusal.reason == reason
    assert [result.rule for result in refusal.report.results if not result.passed] == ["key"]


def test_never_tries_more_than_four_keys() -> None:
    others = [jwk(rsa_key(f"foreign-{number}"), None) for number in range(4)]
    keys = KeySet.parse(key_set_document(*others, jwk(rsa_key(), None)))
    assert refused(headed(kid=...), keys).reason == "kid_ambiguous"


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "application/jwt", "Application/JWT"])
def test_accepts_every_spelling_of_the_type_jwt(typ: object) -> None:
    assert verify(headed(typ=typ)).subject == "build-42"


def test_accepts_another_token_type_if_the_integration_requires_it() -> None:
    accepted = frozenset({"jwt", "at+jwt"})
    assert verify(headed(typ="at+jwt"), accepted_typ=accepted).subject == "build-42"


@pytest.mark.parametrize(
    ("token", "demands", "rule", "reason"),
    [
        (headed(typ=...), {"typ_required": True}, "typ", "typ_not_allowed"),
        (headed(typ="at+jwt"), {}, "typ", "typ_not_allowed"),
        (forge(alg="PS256"), {}, "alg", "alg_not_allowed"),
        (headed(alg="HS256"), {"algorithms": frozenset({"HS256"})}, "alg", "alg_not_allowed"),
        (said(**{f"c{number}": number for number in range(MAX_CLAIMS - 5)}), {}, "payload", "payload_invalid"),
        (forge(payload="[]"), {}, "payload", "payload_invalid"),
        (forge("[]"), {}, "header", "header_invalid"),
        (headed(crit=["exp"]), {}, "header", "crit_present"),
        (headed(alg=...), {}, "alg", "alg_not_allowed"),
        (headed(alg=["RS256"]), {}, "alg", "alg_not_allowed"),
        (headed(kid=None), {}, "kid", "header_invalid"),
        (headed(kid=""), {}, "kid", "header_invalid"),
        (headed(kid="\u200b"), {}, "kid", "header_invalid"),
        (headed(kid="k"), {}, "key", "kid_unknown"),
        (headed(kid="k" * MAX_KID_LENGTH), {}, "key", "kid_unknown"),
        (headed(kid="k" * (MAX_KID_LENGTH + 1)), {}, "kid", "header_invalid"),
        ("a" * (MAX_ASSERTION_LENGTH + 1), {}, "size", "assertion_too_large"),
        (said(text="a" * MAX_PAYLOAD_BYTES), {}, "size", "assertion_too_large"),
        ("a.b", {}, "form", "assertion_not_compact_jws"),
    ],
    ids=lambda value: "token" if len(value) > 99 else None,  # keys differ from worker to worker
)
def test_each_defect_is_refused_by_its_own_rule(token: str, demands: dict[str, Any], rule: str, reason: str) -> None:
    refusal = refused(token, **demands)
    assert (refusal.reason, refusal.report.reason) == (reason, reason)
    assert [result.rule for result in refusal.report.results if not result.passed] == [rule]


@pytest.mark.parametrize(
    ("token", "received"),
    [
        ("{}", "a JSON serialisation"),
        ("YQ.YQ", "2 segments"),
        ("YQ.YQ.YQ.YQ.YQ", "5 segments (an encrypted token)"),
        ("YQ..YQ", "an empty segment"),
        ("YR.YQ.Y!", "other characters in: header, signature"),
    ],
)
def test_reports_why_a_text_is_not_a_compact_jws(token: str, received: str) -> None:
    (result,) = [result for result in refused(token).report.results if result.rule == "form"]
    assert (result.reason, result.received) == ("assertion_not_compact_jws", received)


def test_accepts_the_maximum_number_of_claims() -> None:
    token = said(**{f"c{number}": number for number in range(MAX_CLAIMS - 6)})
    assert len(verify(token).claims) == MAX_CLAIMS


@pytest.mark.parametrize("required", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_the_required_token_type_is_compared_without_case_and_prefix(required: str) -> None:
    assert accepted_typ(required) == {"at+jwt"}
    assert refused(forge(), accepted_typ=accepted_typ(required)).reason == "typ_not_allowed"
    assert verify(forge(), accepted_typ=accepted_typ(None)).subject == "build-42"


def test_checks_every_claim_once_the_signature_is_verified() -> None:
    report = refused(said(iss="x", aud="y", exp=1, jti=...)).report
    failed = [result.rule for result in report.results if not result.passed]
    assert failed == ["iss", "aud", "exp", "iat", "jti"]
    assert report.reason == "iss_mismatch"


def test_the_report_of_an_accepted_assertion_lists_every_rule_in_order() -> None:
    results = verify(forge()).report.results
    names = "size form header kid typ alg key signature payload iss aud sub exp lifetime iat nbf jti cnf act"
    assert [result.rule for result in results] == names.split()
    assert all(result.passed for result in results)


def test_the_report_never_contains_the_token() -> None:
    for token in (forge(), headed(kid="k9"), said(exp=1), said(sub="")):
        try:
            report = verify(token).report
        except AssertionRefused as refusal:
            report = refusal.report
        assert not any(segment in str(report.as_rows()) for segment in token.split("."))


def test_the_digest_is_of_the_unique_claim() -> None:
    assert verify(forge()).replay_digest == sha256(b"one").digest()
    assert verify(said(uti="two"), jti_claim="uti").replay_digest == sha256(b"two").digest()


def test_the_digest_is_the_same_for_a_rewritten_signature() -> None:
    token = forge(header(alg="ES256", kid="k2"), claims(jti=...), alg="ES256")
    first = verify(token, replay_policy="once-if-present")
    second = verify(rewritten_ecdsa(token), replay_policy="once-if-present")
    assert rewritten_ecdsa(token) != token
    assert first.jti is second.jti is None
    assert first.replay_digest == second.replay_digest == sha256(token.rpartition(".")[0].encode()).digest()


@pytest.mark.parametrize(("place", "reason"), [("check_typ", "signature_invalid"), ("check_claims", "payload_invalid")])
def test_an_unexpected_exception_is_a_refusal_and_logged_without_the_token(
    place: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = forge()

    def fail(*_arguments: object) -> None:
        raise RuntimeError(token)

    monkeypatch.setattr(assertion_module, place, fail)
    with caplog.at_level(logging.ERROR):
        assert refused(token).reason == reason
    assert "RuntimeError" in caplog.text
    assert token not in caplog.text


def test_an_unexpected_exception_in_the_header_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(assertion_module, "read_header", fail)
    assert refused(forge()).reason == "header_invalid"


def test_checks_times_against_the_given_clock() -> None:
    unverified = UnverifiedAssertion.parse(forge())
    with pytest.raises(AssertionRefused):
        unverified.verify(policy(), key_set(), now=datetime(2027, 1, 1, tzinfo=UTC))
    assert unverified.verify(policy(), key_set(), now=NOW + timedelta(minutes=5, seconds=59)).subject


def test_accepts_times_with_fractions() -> None:
    verified = verify(said(iat=SECONDS - 0.5, exp=SECONDS + 299.9))
    assert verified.expires_at == NOW + timedelta(seconds=299)
