"""The comparison of a field with a text, and the conversion of both for SQL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, String, func

from changegate.database.dialects import hinted
from changegate.database.expressions import Expression, Value
from changegate.errors import RequestUnreadable
from changegate.models.base import UpperCaseString
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.display_names import display_path
from changegate.services.tables.queries.dates import Moment, TermInvalid, literal_text
from changegate.services.tables.queries.query_measure import Measure
from changegate.services.tables.registry import find_table
from changegate.services.tables.values import is_storable, parse_value
from changegate.services.tables.walks import RecordField, Walks

# An expression that is true for the rows that match.
Clause = Expression
# Characters of a text that is searched for in values: it is compared at each position of each value.
MAX_FRAGMENT = 1_000
_NUMBER = re.compile(r"[\s0-9.+-]*")


class Unmatchable(Exception):
    """A text that no stored value can equal or contain, because no database can store it."""


class Inquiry:
    """The context of one translation of a query: joins, caller, time, and the choices looked up so far."""

    def __init__(self, walks: Walks, moment: Moment, measure: Measure | None = None, depth: int = 0) -> None:
        self.walks = walks
        self.depth = depth
        self.measure = measure or Measure()
        self.moment = moment
        self._choices: dict[tuple[str, str], Mapping[str, str]] = {}

    def within(self, walks: Walks) -> "Inquiry":
        """Return the context of a subquery, with the same time and measure."""
        return Inquiry(walks, self.moment, self.measure, self.depth + 1)

    def require_field(self, path: str) -> RecordField:
        """Return a field. Raises `TermInvalid` if there is no such field that the caller may read."""
        field = self.walks.find(path)
        if field is None:
            raise TermInvalid(f"{path[:100]} is not a field")
        return field

    def choices_of(self, field: RecordField) -> Mapping[str, str]:
        """Return the labels of a field's choices by value; read once for each field, and only if needed."""
        table, element = field.table.name, field.path.rpartition(".")[2]
        if (table, element) not in self._choices:
            self._choices[table, element] = find_choices(table, [element]).get(element, {})
        return self._choices[table, element]


@dataclass(frozen=True, slots=True)
class Comparison:
    """An existing field and the text with which it is compared."""

    field: RecordField
    text: str
    inquiry: Inquiry

    @property
    def is_text(self) -> bool:
        """Return whether the field is stored as text, as references and most choices are."""
        return isinstance(self.field.column.type, String)

    def with_field(self, path: str) -> "Comparison":
        """Return the comparison of another field with the same text."""
        return replace(self, field=self.inquiry.require_field(path))

    def of_display_value(self) -> "Comparison":
        """Return the comparison of a reference's display name; for other fields, the comparison itself."""
        path = display_path_of(self.field)
        return self if path is None else self.with_field(path)

    def require_date(self) -> "Comparison":
        """Return the comparison if its field is a date-time or date. Raises `TermInvalid`."""
        if self.field.entry.kind not in {"glide_date_time", "glide_date"}:
            raise TermInvalid(f"Field {self.field.path} is not a date")
        return self

    def value(self, text: str | None = None) -> Any:
        """Return the value of the text, or of `text` in its place, for this field; None for an empty one.

        Raises `TermInvalid` for a text that is invalid for the field's type, and `Unmatchable` for one that cannot be
        stored.
        """
        kind = self.field.entry.kind
        literal = literal_text(self.text if text is None else text, self.inquiry.moment, kind)
        return None if literal == "" else _READERS.get(kind, _read_text)(self, literal)

    def required_value(self, text: str | None = None) -> Any:
        """Return `value`. Raises `TermInvalid` for an empty text too."""
        value = self.value(text)
        if value is None:
            raise TermInvalid("A value is expected")
        return value

    def fragment(self) -> str:
        """Return the text to search for in a text field. Raises the errors of `value`.

        Raises `RequestUnreadable` for more than `MAX_FRAGMENT` characters.
        """
        literal = literal_text(self.text, self.inquiry.moment)
        if literal == "" or not self.is_text:
            raise TermInvalid("A piece of text is expected, for a field that holds text")
        if len(literal) > MAX_FRAGMENT:
            raise RequestUnreadable(
                f"The query looks for a text of {len(literal)} characters in a field; {MAX_FRAGMENT} are admitted"
            )
        return _read_text(self, literal)


def display_path_of(field: RecordField) -> str | None:
    """Return the path to the display name of a reference, or None for other fields and unserved tables."""
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    return None if target is None else f"{field.path}.{display_path(target)}"


def folded(column: ColumnElement[Any], value: Any) -> tuple[ColumnElement[Any] | Expression, Value | Expression]:
    """Return a column and a value for comparison: text is case-insensitive (docs/reference/encoded-queries.md#case).

    The database converts both sides, because databases differ in what `lower` does. Numbers are stored in upper case,
    so only the value is converted and the index of the column can be used.
    """
    if not isinstance(value, str) or not isinstance(column.type, String):
        return column, Value(value)
    if isinstance(column.type, UpperCaseString):
        return column, Value(value.upper())
    return Expression(lowered, column), Expression(lowered, Value(value, String))


def lowered(text: Any) -> ColumnElement[str]:
    """Return a text in lower case, as the database converts it."""
    return func.lower(text)


def compare(sign: str, left: ColumnElement[Any], right: Any) -> ColumnElement[bool]:
    """Return the comparison of two expressions by an operator of SQL."""
    return left.op(sign, is_comparison=True)(right)


def compare_times(sign: str, column: ColumnElement[Any], instant: Any) -> ColumnElement[bool]:
    """Return the comparison of a date or date-time with a value.

    Searches are mostly about the latest times, so few rows are expected after an instant, and nearly all before it.
    With one of each, as for changes that overlap a period, SQLite then begins with the few.
    """
    return hinted("<" in sign, compare(sign, column, instant))


def between(column: ColumnElement[Any], first: Any, last: Any) -> ColumnElement[bool]:
    """Return the clause for values from `first` to `last`."""
    return column.between(first, last)


def is_one_of(column: ColumnElement[Any], *values: Any) -> ColumnElement[bool]:
    """Return the clause for any of some values, or of one list."""
    return column.in_(values[0] if len(values) == 1 else values)


def _read_text(_comparison: Comparison, text: str) -> str:
    if not is_storable(text):
        raise Unmatchable
    return text


def _read_plain(comparison: Comparison, text: str) -> Any:
    entry = comparison.field.entry
    try:
        # Choices limit what is written. A query may look for a value that is no longer offered.
        return parse_value(comparison.field.path, replace(entry, choices=None) if entry.choices else entry, text)
    except RequestUnreadable as problem:
        raise TermInvalid(problem.detail) from None


def _read_choice(comparison: Comparison, text: str) -> str:
    return _read_text(comparison, _value_of_label(comparison, text))


def _read_integer(comparison: Comparison, text: str) -> Any:
    # A text that can be a number is always a value, even if a label looks the same.
    is_label = bool(comparison.field.entry.choices) and not _NUMBER.fullmatch(text)
    return _read_plain(comparison, _value_of_label(comparison, text) if is_label else text)


def _value_of_label(comparison: Comparison, text: str) -> str:
    """Return the value of a choice that is given by value or label; any other text is returned unchanged."""
    folded_text = text.strip().lower()
    # Values come before labels. Otherwise, a new label with the text of a value would change the result of existing
    # queries. For the values that the field ships with, no statement is needed.
    for value in comparison.field.entry.choices or ():
        if value.lower() == folded_text:
            return value
    choices = comparison.inquiry.choices_of(comparison.field)
    is_value = any(value.lower() == folded_text for value in choices)
    labelled = (value for value, label in choices.items() if label.lower() == folded_text)
    return text if is_value else next(labelled, text)


_READERS: Mapping[str, Callable[[Comparison, str], Any]] = {
    "boolean": _read_plain,
    "integer": _read_integer,
    "choice": _read_choice,
    "glide_date_time": _read_plain,
    "glide_date": _read_plain,
}
