"""Checks of the registered claims of an assertion (RFC 7523 §3, RFC 7519 §4.1), one function per rule.

Each rule takes the claims, the policy, and the time in seconds since 1970. A claim of the wrong type fails its rule:
values are never converted.
"""

from collections.abc import Callable, Mapping
from typing import TypeGuard, cast

from changegate.services.assertions.phrases import LAST_SECOND, Phrase
from changegate.services.assertions.report import RuleCheck
from changegate.services.assertions.trust_policy import TrustPolicy

MAX_CLAIMS = 64
MAX_TEXT_LENGTH = 255
_ABSENT = {name: RuleCheck(name, None, "absent", "absent") for name in ("cnf", "act")}
_SUBJECT = f"1 to {MAX_TEXT_LENGTH} printable characters"

Claims = Mapping[str, object]
ClaimRule = Callable[[Claims, TrustPolicy, float], RuleCheck]


def check_claims(claims: Claims, policy: TrustPolicy, now: float) -> list[RuleCheck]:
    """Check every rule, even after one has failed, so that an administrator sees all failures at once."""
    return [rule(claims, policy, now) for rule in RULES]


def audiences_of(claims: Claims, name: str = "aud") -> tuple[str, ...]:
    """Return the audience as a tuple; empty if it is missing or has a member that is not a string."""
    audience = claims.get(name)
    members = audience if isinstance(audience, list) else [audience]
    texts = tuple(member for member in members if isinstance(member, str))
    # One member of another type makes the whole list unusable. If it were dropped, a malformed list could pass as a
    # list for this service alone.
    return texts if len(texts) == len(members) else ()


def check_issuer(claims: Claims, policy: TrustPolicy, _now: float) -> RuleCheck:
    """Compare the issuer byte for byte; an empty issuer in the policy matches nothing."""
    issuer = claims.get("iss")
    matches = isinstance(issuer, str) and issuer != "" and issuer == policy.issuer
    return RuleCheck("iss", None if matches else "iss_mismatch", policy.issuer, issuer)


def check_audience(claims: Claims, policy: TrustPolicy, _now: float) -> RuleCheck:
    """Require an accepted audience, and no additional audiences unless the policy allows them."""
    name = policy.audience_claim
    audiences = audiences_of(claims, name)
    ours = [audience for audience in audiences if audience and audience in policy.audiences]
    reason = None
    if not ours:
        reason = "aud_mismatch"
    # Every other service that is named holds the same assertion, and could present it here as the client.
    elif len(audiences) > 1 and not policy.allow_additional_audiences:
        reason = "aud_multiple"
    return RuleCheck(name, reason, policy.audiences, claims.get(name))


def check_subject(claims: Claims, _policy: TrustPolicy, _now: float) -> RuleCheck:
    """Require a printable subject without blanks around it, so that administrators read it as it is compared."""
    subject = claims.get("sub")
    is_valid = is_text(subject) and subject.isprintable() and subject == subject.strip()
    reason = None if is_valid else "payload_invalid"
    return RuleCheck("sub", reason, _SUBJECT, subject)


def check_expiry(claims: Claims, policy: TrustPolicy, now: float) -> RuleCheck:
    """Require an expiry in the future; with a clock skew of 0, an assertion is expired in the second that it names."""
    expires = seconds_of(claims, "exp")
    limit = now - policy.clock_skew.total_seconds()
    reason = None
    if expires is None:
        reason = "exp_missing"
    elif expires <= limit:
        reason = "expired"
    return RuleCheck("exp", reason, Phrase("after", limit), _instant(claims, "exp", expires))


def check_lifetime(claims: Claims, policy: TrustPolicy, now: float) -> RuleCheck:
    """Limit the time between issue and expiry; without a usable time of issue, limit the remaining time."""
    expires, issued = seconds_of(claims, "exp"), seconds_of(claims, "iat")
    cap = policy.max_assertion_lifetime.total_seconds()
    if expires is None:
        return RuleCheck("lifetime", "exp_missing", Phrase("at most seconds", cap), "unknown")
    # Without `iat`, from the latest instant that the clock skew allows: an assertion with exactly the longest lifetime
    # must pass, even if the provider's clock is ahead.
    lifetime = expires - (now + policy.clock_skew.total_seconds() if issued is None else issued)
    reason = None if lifetime <= cap else "lifetime_too_long"
    return RuleCheck("lifetime", reason, Phrase("at most seconds", cap), Phrase("seconds", lifetime))


def check_issue(claims: Claims, policy: TrustPolicy, now: float) -> RuleCheck:
    """Require a time of issue that is not in the future, not after expiry, and not too long ago."""
    issued, expires = seconds_of(claims, "iat"), seconds_of(claims, "exp")
    skew = policy.clock_skew.total_seconds()
    earliest = now - policy.max_assertion_lifetime.total_seconds() - skew
    latest = now + skew if expires is None else min(now + skew, expires)
    reason = None if issued is not None and earliest <= issued <= latest else "iat_invalid"
    return RuleCheck("iat", reason, Phrase("between", earliest, latest), _instant(claims, "iat", issued))


def check_start(claims: Claims, policy: TrustPolicy, now: float) -> RuleCheck:
    """Require that the start of validity, if the assertion names one, has passed."""
    latest = now + policy.clock_skew.total_seconds()
    # The presence of the claim counts, and not its value: `"nbf": null` is a claim of the wrong type, and is refused.
    if "nbf" not in claims:
        return RuleCheck("nbf", None, Phrase("until", latest), None)
    start = seconds_of(claims, "nbf")
    reason = "not_yet_valid" if start is None or start > latest else None
    return RuleCheck("nbf", reason, Phrase("until", latest), _instant(claims, "nbf", start))


def check_jti(claims: Claims, policy: TrustPolicy, _now: float) -> RuleCheck:
    """Require a unique claim if the policy does; a unique claim that is present must be usable in any case."""
    name = policy.jti_claim
    unique = claims.get(name)
    usable = is_text(unique) or (name not in claims and not policy.jti_required)
    # Where the policy names another unique claim, `jti` must still have its registered type (RFC 7519 §4.1.7).
    usable = usable and isinstance(claims.get("jti", ""), str)
    return RuleCheck("jti", None if usable else "jti_missing", Phrase("characters", name, MAX_TEXT_LENGTH), unique)


def check_confirmation(claims: Claims, _policy: TrustPolicy, _now: float) -> RuleCheck:
    """Refuse a sender-constrained token (RFC 7800), because the server does not check the proof of possession."""
    return _check_absence(claims, "cnf")


def check_actor(claims: Claims, _policy: TrustPolicy, _now: float) -> RuleCheck:
    """Refuse a delegated token (RFC 8693 §4.1), because its subject is not the acting party."""
    return _check_absence(claims, "act")


# The order matters: the reason code of a refusal is that of the first rule that fails.
RULES: tuple[ClaimRule, ...] = (
    check_issuer,
    check_audience,
    check_subject,
    check_expiry,
    check_lifetime,
    check_issue,
    check_start,
    check_jti,
    check_confirmation,
    check_actor,
)


def seconds_of(claims: Claims, name: str) -> int | None:
    """Return a NumericDate claim (RFC 7519 §2) in whole seconds; None for any other value."""
    value = claims.get(name)
    # Not isinstance, because a bool is an int in Python. Infinity and NaN fail the comparison.
    if (type(value) is int or type(value) is float) and 0 <= value <= LAST_SECOND:
        return int(value)
    return None


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a claim is a string of 1 to 255 characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_LENGTH


def _check_absence(claims: Claims, name: str) -> RuleCheck:
    return RuleCheck(name, "payload_invalid", "absent", "present") if name in claims else _ABSENT[name]


def _instant(claims: Claims, name: str, seconds: int | None) -> object:
    value = claims.get(name)
    return value if seconds is None else Phrase("instant", cast("float", value))
