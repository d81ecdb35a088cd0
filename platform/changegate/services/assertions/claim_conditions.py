"""Claim conditions: what else an assertion must say, beyond its registered claims.

See docs/reference/inbound-integrations.md#claim-validations.

Nothing is converted: a claim of another type than the condition's fails it, and so does one that is missing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import orjson

from changegate.services.assertions.claim_comparisons import MISSING, Test, compile_comparison, describe
from changegate.services.assertions.report import Judgement

REASON = "claim_condition_failed"
MEMBERS = frozenset({"claim", "operator", "value_type", "value", "report_only"})
_BARE_TILDE = re.compile("~(?![01])")

Stored = Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class ClaimCondition:
    """One condition, ready to judge; `path` are the members that lead to the claim, from the outermost on.

    `expects_text` says that a text needs no word about its type when it is shown.
    """

    claim: str
    path: tuple[str, ...]
    expected: str
    is_met_by: Test
    report_only: bool
    expects_text: bool
    rule: str
    is_understood: bool = True

    def judge(self, claims: Mapping[str, object]) -> Judgement:
        """Compare the claim; never raises, whatever the claims are."""
        path = self.path
        value = claims.get(path[0], MISSING) if len(path) == 1 else _walk(claims, path)
        reason = None if self.is_met_by(value) else REASON
        # What is plain text needs no rendering, and nearly all claims are.
        is_plain = self.expects_text and type(value) is str
        return self.rule, reason, self.expected, value if is_plain else partial(describe, value)


def load_conditions(stored: Sequence[Stored] | None) -> tuple[ClaimCondition, ...]:
    """Return conditions as they are stored in an integration, ready to judge; None is none.

    What cannot be understood becomes a condition that nothing meets. Costs a microsecond for what was loaded before.
    """
    if stored is None:
        return ()
    try:
        text = orjson.dumps(stored, default=dict)
    except TypeError:
        return _NOT_UNDERSTOOD
    return parse_conditions(text)


@lru_cache(maxsize=512)
def parse_conditions(text: bytes | str) -> tuple[ClaimCondition, ...]:
    """Return the conditions in a JSON text; see `load_conditions`."""
    try:
        stored = orjson.loads(text)
    except ValueError:
        return _NOT_UNDERSTOOD
    return tuple(_load(item) for item in stored) if isinstance(stored, list) else _NOT_UNDERSTOOD


def judge_conditions(conditions: Iterable[ClaimCondition], claims: Mapping[str, object]) -> list[Judgement]:
    """Judge what is enforced; every condition, also after one has failed."""
    return [condition.judge(claims) for condition in conditions if not condition.report_only]


def judge_report_only(conditions: Iterable[ClaimCondition], claims: Mapping[str, object]) -> list[Judgement]:
    """Judge what only reports; these judgements are for `Report.note`, which refuses nothing."""
    return [condition.judge(claims) for condition in conditions if condition.report_only]


def path_of(claim: str) -> tuple[str, ...]:
    """Return the members that lead to a claim: a name is one, a JSON pointer (RFC 6901) has one for each step.

    Raises `ValueError` for a pointer that is none.
    """
    if not claim.startswith("/"):
        return (claim,)
    return tuple(_unescape(step) for step in claim[1:].split("/"))


def _unescape(step: str) -> str:
    if _BARE_TILDE.search(step):
        raise ValueError("in a JSON pointer ~ is written ~0")
    return step.replace("~1", "/").replace("~0", "~")


def _walk(claims: Mapping[str, object], path: tuple[str, ...]) -> object:
    """Follow the path through objects; a place in a list is no name, because it says nothing that would last."""
    value: object = claims.get(path[0], MISSING)
    for name in path[1:]:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(name, MISSING)
    return value


def _load(stored: object) -> ClaimCondition:
    try:
        if not isinstance(stored, dict) or not MEMBERS.issuperset(stored):
            raise ValueError("not a condition, or one of another release")
        return _compile(stored)
    except (KeyError, TypeError, ValueError):
        return _not_understood(stored)


def _compile(stored: Stored) -> ClaimCondition:
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
        expects_text=value_type == "string",
        rule=f"claim {claim}",
    )


def _not_understood(stored: object) -> ClaimCondition:
    claim = stored.get("claim") if isinstance(stored, dict) else None
    shown = claim if isinstance(claim, str) else "condition"
    return ClaimCondition(
        claim=shown,
        path=(shown,),
        expected="a stored condition that can be understood: save it again",
        is_met_by=lambda _value: False,
        # What was written to only report goes on doing so; whatever else is unclear refuses.
        report_only=isinstance(stored, dict) and stored.get("report_only") is True,
        expects_text=True,
        rule=f"claim {shown}",
        is_understood=False,
    )


_NOT_UNDERSTOOD = (_not_understood(None),)
