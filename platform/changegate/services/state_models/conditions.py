"""Conditions over facts: encoded queries that are evaluated in Python, without the database.

Facts are the fields of a change and computed values such as `task.active`. A query of the Table API drops an unknown
field; here, every term must be valid, because a dropped term would allow what it was meant to prevent.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import ge, gt, le, lt
from typing import Any

from changegate.errors import InputInvalid, RequestUnreadable
from changegate.models.base import Entry
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Term, parse_encoded_query
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import parse_value

Facts = Mapping[str, Any]
Test = Callable[[Any], bool]
FactsTest = Callable[[Facts], bool]
TABLE = "change_request"
# The computed facts, beside the fields of a change.
COMPUTED = {
    "task.active": Entry("integer", "Active change tasks"),
    "task.active_work": Entry("integer", "Active change tasks other than reviews"),
    "task.active_manual": Entry("integer", "Active change tasks that were added by hand"),
    "template.active": Entry("integer", "Active standard change template of the change"),
    "review.missing": Entry("integer", "Review tasks that an emergency or unauthorized change lacks"),
    "approval.requested": Entry("integer", "Approvals that wait for an answer"),
    "approval.approved": Entry("integer", "Approvals that were given"),
    "approval.rejected": Entry("integer", "Approvals that were refused"),
    "approval.missing": Entry("integer", "Approval rules that still need answers"),
    "freeze.planned": Entry("integer", "Freezes within the planned window"),
    "freeze.planned_hard": Entry("integer", "Hard freezes within the planned window"),
    "freeze.now": Entry("integer", "Freezes that are in force"),
    "freeze.now_hard": Entry("integer", "Hard freezes that are in force"),
    "conflict.count": Entry("integer", "Conflicts with other changes"),
    "event": Entry("string", "What has just happened: task_closed, or nothing"),
}


@dataclass(frozen=True, slots=True)
class FactCondition:
    """A condition, with the names of its facts in the order of the text. Without any, it always passes.

    `matches` returns whether facts pass. It raises `KeyError` if one is missing: a missing fact is never a pass.
    """

    text: str
    fields: tuple[str, ...] = ()
    matches: FactsTest = lambda _facts: True


def parse_condition(text: str, more: Mapping[str, Entry] | None = None, *, field: str = "condition") -> FactCondition:
    """Return the condition of an encoded query over a change, the computed facts, and the facts in `more`.

    Raises `InputInvalid`, which names `field` and the first invalid term.
    """
    query = parse_encoded_query(text)
    try:
        _require_conditions_only(query)
        if not query.alternatives:
            return FactCondition(text)
        # Alternatives are joined by OR, and each is a conjunction of OR chains.
        groups = (
            _joined(all, (_joined(any, (_fact_test(term, more or {}) for term in chain)) for chain in group))
            for group in query.alternatives
        )
        matches = _joined(any, groups)
    except ValueError as problem:
        raise InputInvalid({field: [str(problem)]}) from None
    return FactCondition(text, tuple(dict.fromkeys(term.field for term in query.terms)), matches)


def _joined(join: Callable[[Iterable[bool]], bool], tests: Iterable[FactsTest]) -> FactsTest:
    """Return the test that joins some; a single one is its own."""
    single, *others = every = [*tests]
    return (lambda facts: join(test(facts) for test in every)) if others else single


def _require_conditions_only(query: EncodedQuery) -> None:
    if query.unreadable:
        raise ValueError(f"{query.unreadable[0][:100]!r} is not a condition such as task.active=0.")
    if query.orders:
        raise ValueError(f"ORDERBY{query.orders[0].field[:100]} sorts, and a condition cannot. Remove it.")


def _fact_test(term: Term, more: Mapping[str, Entry]) -> FactsTest:
    if not isinstance(term, Condition):
        raise ValueError("RLQUERY and JOIN are not possible here. Use a computed fact such as task.active.")
    entry = more.get(term.field) or _entries().get(term.field)
    if entry is None:
        computed = ", ".join({**COMPUTED, **more})
        raise ValueError(f"{term.field[:100]!r} is neither a field of a change nor one of the facts {computed}.")
    operator = _OPERATORS.get(term.operator)
    if operator is None:
        raise ValueError(f"{term.operator} is not possible here. Use one of {', '.join(_OPERATORS)}.")
    name, test = term.field, operator(_Operand(term.field, term.value, entry))
    return lambda facts: test(facts[name])


@lru_cache(maxsize=1)
def _entries() -> Mapping[str, Entry]:
    table = get_table(TABLE)
    return {**{name: table.entries[name] for name in table.columns}, **COMPUTED}


@dataclass(frozen=True, slots=True)
class _Operand:
    """The text of a term and the dictionary entry of its fact."""

    name: str
    text: str
    entry: Entry

    def value(self, text: str) -> Any:
        """Return the comparable value of a text; None for an empty one. Raises `ValueError` if it is invalid."""
        if text.startswith("javascript:"):
            raise ValueError(f"{self.name}: {text[:100]!r} is code, which is never evaluated. Write the value.")
        if self.entry.kind == "reference" and text and (len(text) != 32 or not text.isalnum()):
            raise ValueError(f"{self.name}: {text[:100]!r} is not a sys_id, which has 32 letters and digits.")
        choices, folded = self.entry.choices or {}, text.strip().lower()
        is_value = folded in {value.lower() for value in choices}
        labeled = (value for value, label in choices.items() if label.lower() == folded)
        try:
            return _folded(parse_value(self.name, self.entry, text if is_value else next(labeled, text)))
        except RequestUnreadable as problem:
            raise ValueError(f"{problem.detail}.") from None

    def required_value(self, text: str) -> Any:
        """Return the comparable value of a text that must not be empty."""
        if text == "":
            raise ValueError(f"{self.name}: a value is missing after the operator.")
        return self.value(text)

    @property
    def is_text(self) -> bool:
        return self.entry.kind in {"string", "choice", "reference", "glide_list", "domain_id", "GUID"}


def _folded(value: Any) -> Any:
    """Return a value for comparison: text without regard to case, and an empty text as None."""
    return (value.lower() or None) if isinstance(value, str) else value


def _equals(operand: _Operand) -> Test:
    expected = operand.value(operand.text)
    return lambda fact: _folded(fact) == expected


def _is_listed(operand: _Operand) -> Test:
    values = [operand.required_value(item.strip()) for item in operand.text.split(",")]
    return lambda fact: _folded(fact) in values


def _is_not(positive: Callable[[_Operand], Test], operand: _Operand) -> Test:
    """Return the negation, which empty facts fail, except for booleans (docs/reference/encoded-queries.md)."""
    test, counts_empty = positive(operand), operand.entry.kind == "boolean"
    return lambda fact: not test(fact) and (counts_empty or _folded(fact) is not None)


def _compares(compare: Callable[[Any, Any], bool], operand: _Operand) -> Test:
    limit = operand.required_value(operand.text)
    return lambda fact: _folded(fact) is not None and compare(_folded(fact), limit)


def _is_between(operand: _Operand) -> Test:
    lowest, separator, highest = operand.text.partition("@")
    if not separator:
        raise ValueError(f"{operand.name}: BETWEEN needs two values with an @ between them.")
    low, high = operand.required_value(lowest), operand.required_value(highest)
    return lambda fact: _folded(fact) is not None and low <= _folded(fact) <= high


def _finds(find: Callable[[str, str], bool], operand: _Operand) -> Test:
    if not operand.is_text or not operand.text:
        raise ValueError(f"{operand.name}: a piece of text is expected, for a fact that is text.")
    piece = operand.text.lower()
    return lambda fact: fact is not None and find(fact.lower(), piece)


def _is_empty(operand: _Operand) -> Test:
    if operand.text:
        raise ValueError(f"{operand.name}: {operand.text[:100]!r} follows an operator that takes no value.")
    return lambda fact: _folded(fact) is None


def _is_filled(operand: _Operand) -> Test:
    test = _is_empty(operand)
    return lambda fact: not test(fact)


_OPERATORS: Mapping[str, Callable[[_Operand], Test]] = {
    "=": _equals,
    "!=": partial(_is_not, _equals),
    "<": partial(_compares, lt),
    "<=": partial(_compares, le),
    ">": partial(_compares, gt),
    ">=": partial(_compares, ge),
    "BETWEEN": _is_between,
    "IN": _is_listed,
    "NOT IN": partial(_is_not, _is_listed),
    "LIKE": partial(_finds, str.__contains__),
    "NOT LIKE": partial(_is_not, partial(_finds, str.__contains__)),
    "STARTSWITH": partial(_finds, str.startswith),
    "ENDSWITH": partial(_finds, str.endswith),
    "ISEMPTY": _is_empty,
    "ISNOTEMPTY": _is_filled,
}


CONDITION_OPERATORS = frozenset(_OPERATORS)


def field_labels(names: tuple[str, ...]) -> Iterator[str]:
    """Yield the labels of facts."""
    return (_entries()[name].label for name in names)
