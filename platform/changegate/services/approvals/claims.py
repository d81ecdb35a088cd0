"""Verified claims of a change and the record of its pipeline, and conditions on both.

No caller can write these facts: they are copied from the verified claims of the token that created the change. They
are compared exactly, because `refs/heads/Main` is another branch than `refs/heads/main`. A missing fact is not false: a
condition that depends on it is undecided, and then people decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import orjson
from sqlalchemy import String, and_, case, func, or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid
from changegate.models import ChgHistory, Task
from changegate.models.base import Entry, UTCDateTime, utc_now
from changegate.services.history.actors import SYSTEM
from changegate.services.history.chain import CHANGES
from changegate.services.tables.queries.encoded_query import Condition, Term, parse_encoded_query

# The claims that identify a pipeline; its record is that of the changes with the same values.
PIPELINE = ("oauth_entity", "source_repository", "source_workflow", "source_environment")
CLAIMS = (*PIPELINE, "oauth_issuer", "oauth_subject", "source_ref")
RECORD = {
    "pipeline.changes": Entry("integer", "Implemented changes of the pipeline"),
    "pipeline.success_rate": Entry("integer", "Successful changes of the pipeline in percent, rounded down"),
    "pipeline.lower_bound": Entry("integer", "Lower bound of the pipeline's success rate in percent, rounded down"),
}
# Recorded fields that do not belong to the content of a change: other callers may move, hold, and close it.
_OF_PROCESS = frozenset({"state", "on_hold", "on_hold_reason", "close_code", "close_notes"})
# The standard normal deviate of a confidence of 95 %.
_DEVIATE = 1.959964
_CLOSED, _CANCELED, _IMPLEMENT, _REVIEW = 3, 4, -1, 0
_LEFT_OPEN = timedelta(days=1)
Facts = Mapping[str, Any]
Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class ClaimsCondition:
    """A condition on verified claims: alternatives joined by OR, each a conjunction of OR chains of (fact, test)."""

    alternatives: tuple[tuple[tuple[tuple[str, Test], ...], ...], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the facts, in the order of the text."""
        terms = (name for group in self.alternatives for chain in group for name, _ in chain)
        return tuple(dict.fromkeys(terms))

    def evaluate(self, facts: Facts) -> bool | None:
        """Return whether the facts pass, or None if that depends on a missing fact."""
        at_worst, at_best = (self._passes(facts, missing) for missing in (False, True))
        return at_best if at_worst == at_best else None

    def _passes(self, facts: Facts, missing: bool) -> bool:
        """Return whether the facts pass if all terms about missing facts have the value of `missing`."""

        def passes(name: str, test: Test) -> bool:
            return missing if facts.get(name) is None else test(facts[name])

        return any(all(any(passes(*term) for term in chain) for chain in group) for group in self.alternatives)


def parse_claims_condition(text: str) -> ClaimsCondition:
    """Return the condition of an encoded query. Raises `InputInvalid` naming the first invalid term."""
    query = parse_encoded_query(text)
    if query.unreadable or query.orders or not query.alternatives:
        term = query.unreadable[0] if query.unreadable else text
        raise _invalid(f"{term[:100]!r} is not a condition such as source_ref=refs/heads/main.")
    alternatives = tuple(tuple(tuple(map(_test_of, chain)) for chain in group) for group in query.alternatives)
    return ClaimsCondition(alternatives)


def _invalid(sentence: str) -> InputInvalid:
    return InputInvalid({"condition": [sentence]})


def _test_of(term: Term) -> tuple[str, Test]:
    if not isinstance(term, Condition):
        raise _invalid("RLQUERY and JOIN are not possible here. Use verified claims such as source_repository.")
    is_number = term.field in RECORD
    if not is_number and term.field not in CLAIMS:
        names = ", ".join((*CLAIMS, *RECORD))
        raise _invalid(f"{term.field[:100]!r} is not a verified claim. Use one of {names}.")
    operators = _OF_NUMBERS if is_number else _OF_TEXTS
    if term.operator not in operators or not term.value:
        raise _invalid(f"{term.field}: use one of {', '.join(operators)} with a value.")
    if is_number and not term.value.isdecimal():
        raise _invalid(f"{term.field}: {term.value[:100]!r} is not a whole number.")
    compare, value = operators[term.operator], int(term.value) if is_number else term.value
    return term.field, lambda fact: bool(compare(fact, value))


def _is_listed(fact: str, text: str) -> bool:
    return fact in {item.strip() for item in text.split(",")}


_OF_TEXTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "!=": ne,
    "IN": _is_listed,
    "NOT IN": lambda fact, text: not _is_listed(fact, text),
    "STARTSWITH": str.startswith,
}
_OF_NUMBERS: Mapping[str, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def claims_of(change: Mapping[str, Any], before: int | None = None) -> dict[str, Any]:
    """Return the verified claims of a change and the record of its pipeline; missing facts are None.

    They are all missing once another caller has edited what the pipeline created; with `before`, only entries of the
    history with lower numbers count.
    """
    if not change.get("oauth_entity") or find_editor(change, before):
        return dict.fromkeys((*CLAIMS, *RECORD))
    return {**{name: change.get(name) for name in CLAIMS}, **_record_of(change)}


def find_editor(change: Mapping[str, Any], before: int | None = None) -> str | None:
    """Return the name of a caller other than the pipeline that has edited what it created, or None.

    A caller is the pipeline if its token belongs to the same integration and has the same claims.
    """
    for row in _EDITS.all({"change": change["sys_id"]}):
        if before is not None and row.seq >= before:
            break
        actor, changes = orjson.loads(row.actor), orjson.loads(row.facts).get(CHANGES, {})
        if actor == SYSTEM:
            # A job has recalculated the risk.
            continue
        origin = {**actor, "oauth_entity": actor.get("integration")}
        if changes.keys() - _OF_PROCESS and any(origin.get(name) != change.get(name) for name in CLAIMS):
            return str(actor["user_name"])
    return None


def _record_of(change: Mapping[str, Any]) -> dict[str, int | None]:
    """Return how many changes the same pipeline has implemented, and how many of them were successful.

    Changes that are past their planned end and not closed, and canceled ones that were begun, are unsuccessful: a
    pipeline reports its own close codes, and could otherwise leave out its failures.
    """
    pipeline = {name: change.get(name) for name in PIPELINE}
    if not all(pipeline.values()):
        return dict.fromkeys(RECORD)
    now = utc_now()
    row = _RECORD.first({**pipeline, "now": now, "left_open": now - _LEFT_OPEN})
    count, successes = (row.how_many, row.successes or 0) if row else (0, 0)
    rate, bound = (100 * successes // count, int(100 * lower_bound(successes, count))) if count else (0, 0)
    return {"pipeline.changes": count, "pipeline.success_rate": rate, "pipeline.lower_bound": bound}


def lower_bound(successes: int, count: int) -> float:
    """Return the lower bound of a success rate at a confidence of 95 % (the score interval of Wilson)."""
    rate, square = successes / count, _DEVIATE**2
    spread = _DEVIATE * sqrt(rate * (1 - rate) / count + square / (4 * count**2))
    return max(0.0, (rate + square / (2 * count) - spread) / (1 + square / count))


def _record() -> Any:
    columns = Task.__table__.c
    is_of_pipeline = (columns[name] == parameter(name, String) for name in PIPELINE)
    folded = func.lower(columns["source_repository"]) == func.lower(parameter("source_repository", String))
    is_overdue = or_(
        columns["end_date"] < parameter("now", UTCDateTime()),
        and_(columns["end_date"].is_(None), columns["opened_at"] < parameter("left_open", UTCDateTime())),
    )
    is_counted = or_(
        columns["state"] == _CLOSED,
        and_(columns["state"] == _CANCELED, columns["work_start"].is_not(None)),
        and_(or_(columns["state"] == _IMPLEMENT, columns["state"] == _REVIEW), is_overdue),
    )
    is_success = and_(columns["state"] == _CLOSED, columns["close_code"] == "successful")
    counts = (func.count().label("how_many"), func.sum(case((is_success, 1), else_=0)).label("successes"))
    # The folded comparison uses an index; the exact one decides.
    return select(*counts).where(folded, *is_of_pipeline, columns["sys_class_name"] == "change_request", is_counted)


_RECORD = Prepared(_record())
_EDITS = Prepared(
    select(ChgHistory.seq, ChgHistory.actor, ChgHistory.facts)
    .where(
        ChgHistory.subject_table == "change_request",
        ChgHistory.subject_id == parameter("change", String),
        or_(*(ChgHistory.kind == kind for kind in ("edited", "deviated", "moved"))),
    )
    .order_by(ChgHistory.seq)
)
