"""The condition builder: rows of a form, from a query and back to one.

A row has a field, an operator, a value, and how it joins the rows before it. Terms that no row can express, such as
conditions on related records, stay as the text of an encoded query.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from werkzeug.datastructures import MultiDict

from changegate.console.local_times import parse_local, time_zone
from changegate.console.records.record_form import CHOICE, ReferenceChoice
from changegate.console.records.relative_times import EXPECTED, parse_relative, relative_words
from changegate.models.base import Entry
from changegate.printable import typed
from changegate.services.tables.queries.encoded_query import (
    AllOf,
    Condition,
    EncodedQuery,
    Term,
    parse_encoded_query,
    render_term,
)
from changegate.services.tables.queries.operators import ME, MY_GROUPS
from changegate.services.tables.values import INSTANT_FORMAT, local_text

AND, OR, ALTERNATIVE = "and", "or", "new"
JOINS: Mapping[str, str] = {AND: "and", OR: "or", ALTERNATIVE: "or all of"}
MOST_CONDITIONS = 30
MOST_VALUE_CHARACTERS = 1000
# The operator of a row whose value is an encoded query.
ENCODED = "encoded query"


@dataclass(frozen=True, slots=True)
class BuilderOperator:
    """An operator as the builder offers it: its name, its label, and the kinds of fields that it compares."""

    name: str
    label: str
    kinds: frozenset[str]
    takes_value: bool = True


_TEXTS = frozenset({"string", "GUID", "glide_list", "domain_id"})
_CHOSEN = frozenset({"choice"})
_REFERENCES = frozenset({"reference"})
_NUMBERS = frozenset({"integer"})
_DATES = frozenset({"glide_date_time", "glide_date"})
_ALL = _TEXTS | _CHOSEN | _REFERENCES | _NUMBERS | _DATES
OPERATORS = (
    BuilderOperator("LIKE", "contains", _TEXTS | _REFERENCES),
    BuilderOperator("NOT LIKE", "does not contain", _TEXTS | _REFERENCES),
    BuilderOperator("=", "is", _TEXTS | _CHOSEN | _REFERENCES | _NUMBERS | frozenset({"boolean"})),
    BuilderOperator("!=", "is not", _TEXTS | _CHOSEN | _REFERENCES | _NUMBERS | frozenset({"boolean"})),
    BuilderOperator("IN", "is one of", _TEXTS | _CHOSEN | _NUMBERS),
    BuilderOperator("NOT IN", "is not one of", _TEXTS | _CHOSEN | _NUMBERS),
    BuilderOperator("STARTSWITH", "starts with", _TEXTS),
    BuilderOperator("ENDSWITH", "ends with", _TEXTS),
    BuilderOperator("DYNAMIC", "is me", _REFERENCES, takes_value=False),
    BuilderOperator("MY GROUPS", "is one of my groups", _REFERENCES, takes_value=False),
    BuilderOperator("ON", "is on or within", _DATES),
    BuilderOperator("NOTON", "is not on or within", _DATES),
    BuilderOperator(">=", "is at or after, at least", _NUMBERS | _DATES),
    BuilderOperator("<=", "is at or before, at most", _NUMBERS | _DATES),
    BuilderOperator(">", "is after, more than", _NUMBERS | _DATES),
    BuilderOperator("<", "is before, less than", _NUMBERS | _DATES),
    BuilderOperator("RELATIVEGE", "is at or after, relative", _DATES),
    BuilderOperator("RELATIVELE", "is at or before, relative", _DATES),
    BuilderOperator("RELATIVEGT", "is after, relative", _DATES),
    BuilderOperator("RELATIVELT", "is before, relative", _DATES),
    BuilderOperator("RELATIVEEE", "is on, relative", _DATES),
    BuilderOperator("ISEMPTY", "is empty", _ALL, takes_value=False),
    BuilderOperator("ISNOTEMPTY", "is not empty", _ALL, takes_value=False),
)
OPERATORS_BY_NAME: Mapping[str, BuilderOperator] = {operator.name: operator for operator in OPERATORS}
# The dynamic filters, which are operators of their own in the builder.
DYNAMIC_FILTERS: Mapping[str, str] = {"DYNAMIC": ME, "MY GROUPS": MY_GROUPS}
COMPARED_TIMES = frozenset({">=", "<=", ">", "<"})
RELATIVE = "RELATIVE"
# What `is on or within` takes besides a day.
PERIODS = ("Today", "Yesterday", "Tomorrow", "This week", "Last week", "Next week", "This month", "Last month",
           "Last 7 days", "Last 30 days")  # fmt: skip


def kind_of(entry: Entry) -> str:
    """Return the kind of a field for operators: integers with choices are chosen from."""
    return "choice" if entry.choices is not None else entry.kind


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One row of the builder; `error` is why it is not a condition.

    `known` is the sys_id of the record whose name was shown as the value, and `choices` are the records that the value
    could mean.
    """

    join: str
    field: str = ""
    operator: str = ""
    value: str = ""
    error: str = ""
    known: str = ""
    choices: Sequence[ReferenceChoice] = ()


def rows_of_query(query: EncodedQuery, entries: Mapping[str, Entry]) -> list[ConditionRow]:
    """Return the rows of a query."""
    return [
        _row(join, term, entries)
        for group_at, group in enumerate(query.alternatives)
        for join, term in _joined_terms(group, is_first=group_at == 0)
    ]


def rows_of_form(form: MultiDict[str, str]) -> list[ConditionRow]:
    """Return the rows of a sent form."""
    columns = (form.getlist(name) for name in ("join", "field", "operator", "value"))
    sent = zip(*columns, itertools.chain(form.getlist("known"), itertools.repeat("")), strict=False)
    return [
        ConditionRow(
            join if join in JOINS else AND,
            typed(field),
            operator,
            typed(form.get(f"value-{at}{CHOICE}", value))[:MOST_VALUE_CHARACTERS].strip(),
            known=known,
        )
        for at, (join, field, operator, value, known) in enumerate(itertools.islice(sent, MOST_CONDITIONS))
    ]


def query_of_rows(
    rows: Sequence[ConditionRow], entries: Mapping[str, Entry]
) -> tuple[EncodedQuery, list[ConditionRow]]:
    """Return the query of rows, and the rows with their errors; the query is that of the rows without any."""
    filled = (row for row in rows if row.field or row.operator == ENCODED)
    checked = [row if row.operator == ENCODED or row.error else _checked(row, entries) for row in filled]
    alternatives: list[list[list[Term]]] = []
    for row in checked:
        terms = [] if row.error else list(_terms(row, entries))
        for term in terms:
            if row.join == ALTERNATIVE or not alternatives:
                alternatives.append([[term]])
            elif row.join == OR and alternatives[-1]:
                alternatives[-1][-1].append(term)
            else:
                alternatives[-1].append([term])
    return EncodedQuery(tuple(tuple(tuple(chain) for chain in group) for group in alternatives)), checked


def _joined_terms(group: AllOf, *, is_first: bool) -> Iterator[tuple[str, Term]]:
    for chain_at, chain in enumerate(group):
        for term_at, term in enumerate(chain):
            yield (OR if term_at else AND if chain_at or is_first else ALTERNATIVE), term


def _row(join: str, term: Term, entries: Mapping[str, Entry]) -> ConditionRow:
    entry = entries.get(term.field) if isinstance(term, Condition) else None
    operator = operator_of(term) if isinstance(term, Condition) else None
    if not isinstance(term, Condition) or entry is None or operator is None:
        return ConditionRow(join, operator=ENCODED, value=render_term(term))
    return ConditionRow(join, term.field, operator.name, shown_value(term, entry))


def operator_of(condition: Condition) -> BuilderOperator | None:
    """Return the operator of the builder that a condition has, or None if the builder has none."""
    if condition.operator == "DYNAMIC":
        found = (name for name, sys_id in DYNAMIC_FILTERS.items() if sys_id == condition.value)
        return OPERATORS_BY_NAME.get(next(found, ""))
    if condition.operator.startswith(RELATIVE) and relative_words(condition.value) is None:
        return None
    return None if condition.operator in DYNAMIC_FILTERS else OPERATORS_BY_NAME.get(condition.operator)


def shown_value(condition: Condition, entry: Entry) -> str:
    """Return the value of a condition as the builder shows it: times in the user's time zone."""
    value = condition.value if OPERATORS_BY_NAME[condition.operator].takes_value else ""
    if condition.operator.startswith(RELATIVE):
        return relative_words(value) or value
    if entry.kind == "glide_date_time" and condition.operator in COMPARED_TIMES and not value.startswith("javascript:"):
        try:
            return local_text(time_zone(), value)
        except ValueError:
            return value
    return value


def _checked(row: ConditionRow, entries: Mapping[str, Entry]) -> ConditionRow:
    return replace(row, error=_error_of(row, entries))


def _error_of(row: ConditionRow, entries: Mapping[str, Entry]) -> str:
    entry, operator = entries.get(row.field), OPERATORS_BY_NAME.get(row.operator)
    if entry is None:
        return f"There is no field {row.field!r}."
    if operator is None or kind_of(entry) not in operator.kinds:
        return f"Choose an operator for {entry.label}."
    if operator.name.startswith(RELATIVE) and parse_relative(row.value) is None:
        return EXPECTED
    return "Enter a value, or choose the operator “is empty”." if operator.takes_value and not row.value else ""


def _terms(row: ConditionRow, entries: Mapping[str, Entry]) -> Iterator[Term]:
    if row.operator == ENCODED:
        for group in parse_encoded_query(row.value).alternatives:
            for chain in group:
                yield from chain
        return
    if not OPERATORS_BY_NAME[row.operator].takes_value:
        dynamic = DYNAMIC_FILTERS.get(row.operator)
        yield Condition(row.field, "DYNAMIC" if dynamic else row.operator, dynamic or "")
        return
    value = parse_relative(row.value) or row.value if row.operator.startswith(RELATIVE) else row.value
    if entries[row.field].kind == "glide_date_time" and row.operator in COMPARED_TIMES:
        time = parse_local(value)
        value = time.strftime(INSTANT_FORMAT) if time else value
    yield Condition(row.field, row.operator, value)
