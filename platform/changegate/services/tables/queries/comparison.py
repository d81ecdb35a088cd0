"""A condition at work: the field it is about, what it is compared with, and how both become comparable."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, func

from changegate.errors import RequestUnreadable
from changegate.models.base import UpperCaseString
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.display_names import display_path
from changegate.services.tables.queries.dates import Moment, TermInvalid, literal_text
from changegate.services.tables.queries.query_measure import Measure
from changegate.services.tables.registry import find_table
from changegate.services.tables.values import is_storable, parse_value
from changegate.services.tables.walks import Field, Walks

Clause = ColumnElement[bool]
# In characters, of a text that is looked for within values: each value is compared with it at every place.
MAX_FRAGMENT = 1_000
_NUMBER = re.compile(r"[\s0-9.+-]*")


class Unmatchable(Exception):
    """A value that no stored value can equal or hold, since no database could store it."""


class Inquiry:
    """One run of a query: the joins of its statement, who asks and when, and the choices looked up so far."""

    def __init__(self, walks: Walks, at: datetime, measure: Measure | None = None) -> None:
        self.walks = walks
        self.measure = measure or Measure()
        zone = walks.caller.time_zone
        self.moment = Moment(walks.caller, at if zone is None else at.astimezone(zone))
        self._choices: dict[tuple[str, str], Mapping[str, str]] = {}

    def within(self, walks: Walks) -> "Inquiry":
        """Return the inquiry of a statement within this one, at the same moment."""
        return Inquiry(walks, self.moment.at, self.measure)

    def require_field(self, path: str) -> Field:
        """Return a field; raises `TermInvalid` when there is none that the caller may read."""
        field = self.walks.find(path)
        if field is None:
            raise TermInvalid(f"{path[:100]} is not a field")
        return field

    def choices_of(self, field: Field) -> Mapping[str, str]:
        """Return the labels of a field's choices by value; one statement for each field, if it is asked at all."""
        table, element = field.table.name, field.path.rpartition(".")[2]
        if (table, element) not in self._choices:
            self._choices[table, element] = find_choices(table, [element]).get(element, {})
        return self._choices[table, element]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, which is there, and the text that it is compared with."""

    field: Field
    text: str
    inquiry: Inquiry

    @property
    def is_text(self) -> bool:
        """Tell whether the field is stored as text; references and choices of words are."""
        return isinstance(self.field.column.type, String)

    def with_field(self, path: str) -> "Comparison":
        """Return a comparison of another field with the same text."""
        return replace(self, field=self.inquiry.require_field(path))

    def of_display_value(self) -> "Comparison":
        """Return the comparison with what a reference is called; of other fields, the comparison itself."""
        path = display_path_of(self.field)
        return self if path is None else self.with_field(path)

    def require_date(self) -> "Comparison":
        """Return the comparison if its field is an instant or a day; raises `TermInvalid`."""
        if self.field.entry.kind not in {"glide_date_time", "glide_date"}:
            raise TermInvalid(f"Field {self.field.path} is not a date")
        return self

    def value(self, text: str | None = None) -> Any:
        """Return what the text, or another in its place, stands for in this field; None for the empty one.

        Raises `TermInvalid` for what the field's type rules out, `Unmatchable` for what cannot be stored.
        """
        kind = self.field.entry.kind
        meant = literal_text(self.text if text is None else text, self.inquiry.moment, kind)
        return None if meant == "" else _READERS.get(kind, _read_text)(self, meant)

    def required_value(self, text: str | None = None) -> Any:
        """Return the same; an empty text is refused."""
        value = self.value(text)
        if value is None:
            raise TermInvalid("A value is expected")
        return value

    def fragment(self) -> str:
        """Return the text as a piece of what a text field may hold; raises as `value` does.

        Raises `RequestUnreadable` for one that takes too long to look for.
        """
        meant = literal_text(self.text, self.inquiry.moment)
        if meant == "" or not self.is_text:
            raise TermInvalid("A piece of text is expected, for a field that holds text")
        if len(meant) > MAX_FRAGMENT:
            raise RequestUnreadable(
                f"The query looks for a text of {len(meant)} characters in a field; {MAX_FRAGMENT} are admitted"
            )
        return _read_text(self, meant)


def display_path_of(field: Field) -> str | None:
    """Return the path to what a reference is called; None for other fields, and where no name is kept here."""
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    return None if target is None else f"{field.path}.{display_path(target)}"


def folded(column: ColumnElement[Any], value: Any) -> tuple[ColumnElement[Any], Any]:
    """Return a column and a value as they are compared: text without case (docs/reference/encoded-queries.md#case).

    The database folds both sides, since databases differ in it; a number is looked up in capitals, so that its index
    serves.
    """
    if not isinstance(value, str) or not isinstance(column.type, String):
        return column, value
    if isinstance(column.type, UpperCaseString):
        return column, value.upper()
    return func.lower(column), func.lower(value)


def _read_text(_comparison: Comparison, text: str) -> str:
    if not is_storable(text):
        raise Unmatchable
    return text


def _read_plain(comparison: Comparison, text: str) -> Any:
    entry = comparison.field.entry
    try:
        return parse_value(comparison.field.path, replace(entry, choices=None) if entry.choices else entry, text)
    except RequestUnreadable as problem:
        raise TermInvalid(problem.detail) from None


def _read_choice(comparison: Comparison, text: str) -> str:
    return _read_text(comparison, _value_of_label(comparison, text))


def _read_integer(comparison: Comparison, text: str) -> Any:
    is_label = bool(comparison.field.entry.choices) and not _NUMBER.fullmatch(text)
    return _read_plain(comparison, _value_of_label(comparison, text) if is_label else text)


def _value_of_label(comparison: Comparison, text: str) -> str:
    """Return a choice's value, which may be meant by its label; a word that is neither stands for itself."""
    wanted = text.strip().lower()
    if any(value.lower() == wanted for value in comparison.field.entry.choices or ()):
        return text.strip()
    choices = comparison.inquiry.choices_of(comparison.field)
    is_value = any(value.lower() == wanted for value in choices)
    labelled = (value for value, label in choices.items() if label.lower() == wanted)
    return text if is_value else next(labelled, text)


_READERS: Mapping[str, Callable[[Comparison, str], Any]] = {
    "boolean": _read_plain,
    "integer": _read_integer,
    "choice": _read_choice,
    "glide_date_time": _read_plain,
    "glide_date": _read_plain,
}
