"""The choice of the keys that may have signed an assertion (RFC 7515 §4.1.4)."""

from datetime import datetime

from changegate.services.assertions.header_policy import Header
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.assertions.trust_policy import TrustPolicy
from changegate.services.keys.verifying_keys import K, VerifyingKeys


def choose_keys(
    key_set: VerifyingKeys[K], header: Header, policy: TrustPolicy, now: datetime, report: Report
) -> tuple[K, ...]:
    """Return the keys to try, at least one.

    Raises `AssertionRefused` if no key fits, too many keys fit, all are blocked, or none is valid at this time.
    """
    fitting = key_set.candidates(header.kid, header.algorithm)
    # Blocked and outdated keys are removed before any signature is verified. The steps are separate, so that the report
    # names the step that left no key.
    trusted = tuple(key for key in fitting if key.thumbprint not in policy.blocked_keys)
    keys = tuple(key for key in trusted if key.validity is None or not key.validity.fault(now))
    if keys:
        reason = None if header.kid is not None else _fault_without_kid(key_set, policy, len(keys))
        report.add(RuleCheck("key", reason, _describe_keys(key_set), header.kid or "no kid"))
    elif trusted and _is_kid_enough(key_set, header, policy):
        report.add(_validity_failure(trusted, now))
    else:
        report.add(_key_failure(key_set, header, policy, is_blocked=bool(fitting)))
    report.require_passed()
    return keys


def _is_kid_enough(key_set: VerifyingKeys[K], header: Header, policy: TrustPolicy) -> bool:
    return header.kid is not None or policy.allow_missing_kid or key_set.is_kid_optional


def _fault_without_kid(key_set: VerifyingKeys[K], policy: TrustPolicy, count: int) -> str | None:
    if policy.allow_missing_kid:
        return None
    if not key_set.is_kid_optional:
        return "kid_missing"
    return None if count == 1 else "kid_ambiguous"


def _validity_failure(keys: tuple[K, ...], now: datetime) -> RuleCheck:
    dated = [(key.validity.fault(now), f"{key.kid or 'no kid'}: {key.validity}") for key in keys if key.validity]
    return RuleCheck("key", dated[0][0], f"a certificate that is valid at {now:%Y-%m-%d %H:%M} UTC", dated[0][1])


def _key_failure(key_set: VerifyingKeys[K], header: Header, policy: TrustPolicy, *, is_blocked: bool) -> RuleCheck:
    reason = "kid_missing"
    if _is_kid_enough(key_set, header, policy):
        reason = "key_blocked" if is_blocked else _reason_without_key(key_set, header)
    return RuleCheck("key", reason, _describe_keys(key_set), header.kid or "no kid")


def _reason_without_key(key_set: VerifyingKeys[K], header: Header) -> str:
    if header.kid is None:
        is_fitting = any(header.algorithm in key.algorithms for key in key_set.keys)
        return "kid_ambiguous" if is_fitting else "key_unusable"
    return "key_unusable" if key_set.has_kid(header.kid) else "kid_unknown"


def _describe_keys(key_set: VerifyingKeys[K]) -> str:
    return ", ".join(f"{key.kid or 'no kid'} ({'/'.join(sorted(key.algorithms))})" for key in key_set.keys)
