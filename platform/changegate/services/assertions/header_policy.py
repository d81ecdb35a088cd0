"""The rules for the header of an assertion (RFC 7515 §4.1, RFC 8725 §3)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.assertions.trust_policy import MEDIA_TYPE_PREFIX, TrustPolicy
from changegate.services.keys.signing_key import MAX_KID_LENGTH
from changegate.services.keys.strict_json import parse_json_strictly

MAX_HEADER_DEPTH = 4

_PLAIN_HEADER = RuleCheck("header", None, "a plain header", "a plain header")
_KID = f"absent, or 1 to {MAX_KID_LENGTH} printable characters"

# Unsupported extensions (crit, b64), compression bombs (zip), and nested or encrypted tokens (cty, enc). Members that
# carry or point to keys (jwk, jku, x5u, x5c) are not listed: legitimate providers send them, and no code reads them.
_FORBIDDEN = (
    ("crit", "crit_present"),
    ("b64", "header_invalid"),
    ("zip", "header_invalid"),
    ("cty", "header_invalid"),
    ("enc", "header_invalid"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """A well-formed header; nothing in it is verified."""

    algorithm: str
    kid: str | None
    members: Mapping[str, object]


def read_header(data: bytes, report: Report) -> Header:
    """Parse the header; raises `AssertionRefused` unless it is strict JSON without forbidden members."""
    try:
        members = parse_json_strictly(data, max_depth=MAX_HEADER_DEPTH)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        report.add(RuleCheck("header", "header_invalid", "a JSON object, each name once", "something else"))
        raise AssertionRefused("header_invalid", report=report)
    report.add(_check_members(members), _check_kid(members))
    report.require_passed()
    # Only the type of `alg` is checked here. Which algorithms are allowed depends on the integration, which may be
    # unknown until the payload is read (`check_alg`).
    algorithm, kid = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str):
        report.add(RuleCheck("alg", "alg_not_allowed", "the name of an algorithm", algorithm))
        raise AssertionRefused("alg_not_allowed", report=report)
    return Header(algorithm, kid, members)


def check_typ(header: Header, policy: TrustPolicy) -> RuleCheck:
    """Check the type of the token (RFC 8725 §3.11), so that a token for another purpose is refused."""
    # RFC 7519 §5.1 makes `typ` optional, and many providers omit it.
    if "typ" not in header.members:
        return RuleCheck("typ", "typ_not_allowed" if policy.typ_required else None, policy.accepted_typ, None)
    typ = header.members["typ"]
    accepted = isinstance(typ, str) and typ.lower().removeprefix(MEDIA_TYPE_PREFIX) in policy.accepted_typ
    return RuleCheck("typ", None if accepted else "typ_not_allowed", policy.accepted_typ, typ)


def check_alg(header: Header, policy: TrustPolicy, supported: Collection[str]) -> RuleCheck:
    """Check the algorithm: the integration must allow it, and it must fit its keys (public keys or shared keys)."""
    # The header only selects from sets that are fixed before it is read. Otherwise `none`, or an HMAC with the public
    # key as its secret, would be accepted (RFC 8725 §2.1).
    allowed = header.algorithm in policy.algorithms and header.algorithm in supported
    return RuleCheck("alg", None if allowed else "alg_not_allowed", policy.algorithms, header.algorithm)


def _check_members(members: Mapping[str, object]) -> RuleCheck:
    for name, reason in _FORBIDDEN:
        if name in members:
            return RuleCheck("header", reason, f"no {name}", f"{name} is present")
    return _PLAIN_HEADER


def _check_kid(members: Mapping[str, object]) -> RuleCheck:
    # The sender chooses the kid. It is compared, logged, and shown before the signature is verified, so that its length
    # and characters are limited.
    kid = members.get("kid")
    is_valid = isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH and kid.isprintable()
    reason = None if is_valid or "kid" not in members else "header_invalid"
    return RuleCheck("kid", reason, _KID, kid)
