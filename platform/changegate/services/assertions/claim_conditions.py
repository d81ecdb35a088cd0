"""Claim conditions: what an assertion must contain beyond its registered claims.

See docs/reference/inbound-integrations.md#claim-validations.

Values are never converted: a missing claim fails its condition, and so does a claim of another type.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from changegate.services.assertions.claim_comparisons import MISSING, Test, compile_comparison, describe, has_type
from changegate.services.assertions.hints import SUBJECT_NUMBERED, TYPE_DIFFERS
from changegate.services.assertions.report import RuleCheck

REASON = "claim_condition_failed"
MEMBERS = frozenset({"claim", "operator", "value_type", "value", "report_only"})
# In repositories created or renamed since July 2026, GitHub's subjects contain the ids of the owner and the repository.
_NUMBERED_SUBJECT = re.compile(r"repo:[^/]+@\d+/[^:]+@\d+:")
_BARE_TILDE = re.compile("~(?![01])")

StoredCondition = Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class ClaimCondition:
    """A compiled condition; `path` holds the member names that lead to the claim, outermost first.

    If the value type is `string`, a string is shown in reports without its type. With `allows_numbered`, a value of the
    condition is a numbered subject of GitHub.
    """

    claim: str
    path: tuple[str, ...]
    expected: str
    is_met_by: Test
    report_only: bool
    value_type: object
    rule: str
    is_understood: bool = True
    allows_numbered: bool = False

    def evaluate(self, claims: Mapping[str, object]) -> RuleCheck:
        """Compare the claim; never raises, whatever the claims are."""
        path = self.path
        value = claims.get(path[0], MISSING) if len(path) == 1 else _walk(claims, path)
        received = value if type(value) is str and self.value_type == "string" else describe(value)
        if self.is_met_by(value):
            return RuleCheck(self.rule, None, self.expected, received)
        return RuleCheck(self.rule, REASON, self.expected, received, self._find_hint_code(value))

    def _find_hint_code(self, value: object) -> str | None:
        if value is MISSING:
            return None
        if not has_type(value, self.value_type):
            return TYPE_DIFFERS
        is_numbered = isinstance(value, str) and _NUMBERED_SUBJECT.match(value) is not None
        return SUBJECT_NUMBERED if is_numbered and not self.allows_numbered else None


def load_conditions(stored: object) -> tuple[ClaimCondition, ...]:
    """Return the compiled conditions of an integration; `None` means no conditions.

    A stored condition that cannot be understood becomes a condition that always fails, and so does any other value.
    """
    if stored is None:
        return ()
    return tuple(map(_load, stored if isinstance(stored, list | tuple) else [None]))


def evaluate_conditions(conditions: Iterable[ClaimCondition], claims: Mapping[str, object]) -> list[RuleCheck]:
    """Evaluate all enforced conditions, even after one has failed."""
    return [condition.evaluate(claims) for condition in conditions if not condition.report_only]


def evaluate_report_only(conditions: Iterable[ClaimCondition], claims: Mapping[str, object]) -> list[RuleCheck]:
    """Evaluate the conditions that only report; the results are for `Report.note`, which never refuses."""
    return [condition.evaluate(claims) for condition in conditions if condition.report_only]


def path_of(claim: str) -> tuple[str, ...]:
    """Return the member names that lead to a claim: the claim's name, or the steps of a JSON pointer (RFC 6901).

    Raises `ValueError` for an invalid pointer.
    """
    if not claim.startswith("/"):
        return (claim,)
    return tuple(_unescape(step) for step in claim[1:].split("/"))


def claim_at(claims: Mapping[str, object], claim: str) -> object:
    """Return the claim of a name or JSON pointer, or None. Raises `ValueError` for an invalid pointer."""
    value = _walk(claims, path_of(claim))
    return None if value is MISSING else value


def _unescape(step: str) -> str:
    if _BARE_TILDE.search(step):
        raise ValueError("in a JSON pointer ~ is written ~0")
    return step.replace("~1", "/").replace("~0", "~")


def _walk(claims: Mapping[str, object], path: tuple[str, ...]) -> object:
    """Follow the path through objects; list positions are not supported, because they are not stable."""
    value: object = claims.get(path[0], MISSING)
    for name in path[1:]:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(name, MISSING)
    return value


def _load(stored: object) -> ClaimCondition:
    try:
        if not isinstance(stored, Mapping) or not MEMBERS.issuperset(stored):
            raise ValueError("not a condition, or one of another release")
        return _compile(stored)
    except (KeyError, TypeError, ValueError):
        return _not_understood(stored)


def _compile(stored: StoredCondition) -> ClaimCondition:
    claim, report_only = stored["claim"], stored.get("report_only", False)
    if not isinstance(claim, str) or not claim or not isinstance(report_only, bool):
        raise ValueError("not a claim's name, or neither true nor false")
    operator = stored["operator"]
    value_type = "any" if operator == "exists" else stored["value_type"]
    expected, test = compile_comparison(operator, value_type, stored.get("value"))
    return ClaimCondition(
        claim=claim,
        path=path_of(claim),
        expected=expected,
        is_met_by=test,
        report_only=report_only,
        value_type=value_type,
        rule=f"claim {claim}",
        allows_numbered=any(_NUMBERED_SUBJECT.match(text) for text in _texts_of(stored.get("value"))),
    )


def _texts_of(value: object) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def _not_understood(stored: object) -> ClaimCondition:
    claim = stored.get("claim") if isinstance(stored, Mapping) else None
    shown = claim if isinstance(claim, str) else "condition"
    return ClaimCondition(
        claim=shown,
        path=(shown,),
        expected="a stored condition that can be understood: save it again",
        is_met_by=lambda _value: False,
        # Fail closed, except that a condition that was stored as report-only continues to only report.
        report_only=isinstance(stored, Mapping) and stored.get("report_only") is True,
        value_type="any",
        rule=f"claim {shown}",
        is_understood=False,
    )
