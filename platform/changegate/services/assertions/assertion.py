"""Assertions (RFC 7523): a type for untrusted ones, and another for those that have passed every check."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from traceback import extract_tb
from types import MappingProxyType
from typing import Self, cast

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.claim_checks import MAX_CLAIMS, Claims, audiences_of, check_claims, seconds_of
from changegate.services.assertions.claim_conditions import evaluate_conditions, evaluate_report_only
from changegate.services.assertions.compact_form import CompactForm, split_compact
from changegate.services.assertions.header_policy import Header, check_alg, check_typ, read_header
from changegate.services.assertions.key_choice import choose_keys
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.assertions.trust_policy import MEDIA_TYPE_PREFIX, SIGNATURE_ONLY, TrustPolicy
from changegate.services.keys.strict_json import parse_json_strictly
from changegate.services.keys.verifying_keys import K, VerifyingKey, VerifyingKeys

MAX_PAYLOAD_DEPTH = 8
_PAYLOAD = f"a JSON object of 1 to {MAX_CLAIMS} claims, each name once"
_IS_OBJECT = RuleCheck("payload", None, _PAYLOAD, "a JSON object")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class VerifiedAssertion:
    """The content of an assertion that has passed every rule; only `UnverifiedAssertion.verify` makes one.

    `replay_digest` is the same for every spelling of one assertion: SHA-256 of the unique claim if there is one, else
    of the signing input. The signature is left out, because an ECDSA signature can be changed without the key and stays
    valid. `thumbprint` identifies the key. `key_ends_at` is the end of its validity, None if it is not limited in time.
    """

    subject: str
    issuer: str
    audience: tuple[str, ...]
    claims: Mapping[str, object]
    kid: str | None
    algorithm: str
    thumbprint: str
    jti: str | None
    expires_at: datetime
    issued_at: datetime
    replay_digest: bytes
    report: Report
    key_ends_at: datetime | None = None


class UnverifiedAssertion:
    """A well-formed assertion that is not verified; use it to choose an integration, and for nothing else."""

    __slots__ = ("_claims", "_form", "_header", "_report")

    def __init__(self, form: CompactForm, header: Header, report: Report) -> None:
        self._form = form
        self._header = header
        self._report = report
        self._claims: dict[str, object] | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an assertion; raises `AssertionRefused` for faults that no integration would accept."""
        report = Report()
        try:
            form = split_compact(text, report)
            return cls(form, read_header(form.header, report), report)
        except AssertionRefused:
            raise
        except Exception as problem:
            raise _unexpected(problem, "header_invalid", report) from None

    @property
    def unverified_algorithm(self) -> str:
        """The algorithm in the header."""
        return self._header.algorithm

    @property
    def unverified_kid(self) -> str | None:
        """The key id in the header."""
        return self._header.kid

    @property
    def unverified_typ(self) -> str | None:
        """The type in the header, lower-case and without `application/`; None if it has none."""
        typ = self._header.members.get("typ")
        return typ.lower().removeprefix(MEDIA_TYPE_PREFIX) if isinstance(typ, str) else None

    @property
    def unverified_claims(self) -> Mapping[str, object]:
        """The claims in the payload; empty if they cannot be read."""
        return MappingProxyType(self._read_claims())

    @property
    def unverified_issuer(self) -> str | None:
        """The issuer in the payload; None if it has none or cannot be read."""
        issuer = self._read_claims().get("iss")
        return issuer if isinstance(issuer, str) else None

    @property
    def unverified_audience(self) -> tuple[str, ...]:
        """The audience in the payload; empty if it has none or cannot be read."""
        return audiences_of(self._read_claims())

    def unverified_audience_by(self, claim: str) -> tuple[str, ...]:
        """Return the audience from a claim with another name than `aud`."""
        return audiences_of(self._read_claims(), claim)

    @property
    def unverified_subject(self) -> str | None:
        """The subject in the payload; None if it has none or cannot be read."""
        subject = self._read_claims().get("sub")
        return subject if isinstance(subject, str) else None

    def unverified_replay_digest(self, jti_claim: str) -> bytes:
        """Return the digest that a replay is recognized by: of the unique claim, or of the signing input."""
        jti = self._read_claims().get(jti_claim)
        return self._replay_digest(jti if isinstance(jti, str) else None)

    def verify(self, policy: TrustPolicy, key_set: VerifyingKeys[K], *, now: datetime) -> VerifiedAssertion:
        """Verify the signature, check every claim against the policy, and return the verified assertion.

        Raises `AssertionRefused` with the reason of the first failed rule and a report of all rules checked. Claims are
        checked only after the signature. With the reason `kid_unknown`, the caller may refetch the key set and call
        again.
        """
        # A copy for each call, because a caller may verify again after it has refetched the key set.
        report = Report(self._report.checks)
        try:
            key = self._find_signer(policy, key_set, now, report)
            claims = self._read_claims()
            report.add(_check_payload(claims))
            report.require_passed()
            report.payload = self._form.payload
            self._check_claims(claims, policy, now, report)
            return self._build_verified(claims, policy, key, report)
        except AssertionRefused:
            raise
        except Exception as problem:
            reason = "payload_invalid" if report.has_passed("signature") else "signature_invalid"
            raise _unexpected(problem, reason, report) from None

    def find_signature_fault(self, key_set: VerifyingKeys[K], *, now: datetime) -> Report | None:
        """Return the report of the rules of header, key, and signature if one of them failed, else None.

        Says only whether one of the keys signed the assertion: no claim is checked, so that nothing may rely on them.
        """
        report = Report(self._report.checks)
        policy = replace(SIGNATURE_ONLY, accepted_typ=frozenset({self.unverified_typ or ""}))
        try:
            self._find_signer(policy, key_set, now, report)
        except AssertionRefused:
            return report
        except Exception as problem:
            _unexpected(problem, "signature_invalid", report)
            return report
        return None

    def _check_claims(self, claims: Claims, policy: TrustPolicy, now: datetime, report: Report) -> None:
        report.add(*check_claims(claims, policy, now.timestamp()))
        if policy.conditions:
            report.add(*evaluate_conditions(policy.conditions, claims))
            report.note(*evaluate_report_only(policy.conditions, claims))
        report.require_passed()

    def _find_signer(self, policy: TrustPolicy, key_set: VerifyingKeys[K], now: datetime, report: Report) -> K:
        report.add(check_typ(self._header, policy), check_alg(self._header, policy, key_set.supported))
        report.require_passed()
        algorithm, form = self._header.algorithm, self._form
        expected = f"a valid {algorithm} signature by this key"
        for key in choose_keys(key_set, self._header, policy, now, report):
            if key_set.is_signed_by(key, algorithm, form.signing_input, form.signature):
                report.add(RuleCheck("signature", None, expected, "valid"))
                return key
        report.add(RuleCheck("signature", "signature_invalid", expected, "not valid"))
        raise AssertionRefused("signature_invalid", report=report)

    def _read_claims(self) -> dict[str, object]:
        """Return the payload's members, parsed once from the bytes that are signed; empty if they cannot be read."""
        if self._claims is None:
            try:
                payload = parse_json_strictly(self._form.payload, max_depth=MAX_PAYLOAD_DEPTH)
            except ValueError:
                payload = None
            self._claims = payload if isinstance(payload, dict) and len(payload) <= MAX_CLAIMS else {}
        return self._claims

    def _build_verified(
        self, claims: dict[str, object], policy: TrustPolicy, key: VerifyingKey, report: Report
    ) -> VerifiedAssertion:
        jti = cast("str | None", claims.get(policy.jti_claim))
        return VerifiedAssertion(
            subject=cast("str", claims["sub"]),
            issuer=cast("str", claims["iss"]),
            audience=audiences_of(claims, policy.audience_claim),
            claims=MappingProxyType(claims),
            kid=self._header.kid,
            algorithm=self._header.algorithm,
            thumbprint=key.thumbprint,
            jti=jti,
            expires_at=_moment(claims, "exp"),
            issued_at=_moment(claims, "iat"),
            replay_digest=self._replay_digest(jti),
            report=report,
            key_ends_at=key.validity.ends_at if key.validity else None,
        )

    def _replay_digest(self, jti: str | None) -> bytes:
        return sha256(self._form.signing_input if jti is None else jti.encode()).digest()


def _check_payload(claims: Claims) -> RuleCheck:
    if claims:
        return _IS_OBJECT
    return RuleCheck("payload", "payload_invalid", _PAYLOAD, "something else")


def _moment(claims: Claims, name: str) -> datetime:
    return datetime.fromtimestamp(cast("int", seconds_of(claims, name)), UTC)


def _unexpected(problem: Exception, reason: str, report: Report) -> AssertionRefused:
    """Turn an unexpected exception into a refusal.

    Only its type and place are logged, because its message may quote the assertion.
    """
    place = extract_tb(problem.__traceback__)[-1]
    kind = type(problem).__name__
    logger.error("%s while checking an assertion, in %s line %s", kind, place.name, place.lineno)
    report.add(RuleCheck("judgement", reason, "a judgement", "a fault, which is in the log"))
    return AssertionRefused(reason, report=report)
