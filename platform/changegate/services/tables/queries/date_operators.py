"""Operators on dates: within a period, relative to now, or by a part such as the day of the week."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from changegate.database.expressions import Expression, Value
from changegate.services.tables.queries.comparison import Clause, Comparison, between, compare, compare_times
from changegate.services.tables.queries.date_parts import UNITS, part_number
from changegate.services.tables.queries.dates import PREFIX, TermInvalid, read_call
from changegate.services.tables.queries.periods import bounds_of, end_of, find_period, shifted, start_of

RELATIVE_SIGNS: Mapping[str, str] = {
    "RELATIVEGT": ">",
    "RELATIVEGE": ">=",
    "RELATIVELT": "<",
    "RELATIVELE": "<=",
}
_RELATIVE = re.compile("@(?P<unit>[a-z]+)@(?P<side>ago|ahead)@(?P<count>[0-9]{1,6})")
_DAY = re.compile("[0-9]{4}-?[0-9]{2}-?[0-9]{2}")
_PART_SIGNS = {"EE": "=", "GE": ">=", "GT": ">", "LE": "<=", "LT": "<"}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NAMED = {"dayofweek": _DAYS, "month": _MONTHS}
_PARTS = frozenset({"dayofweek", "month", "quarter", "year", "hour", "week"})


def is_within(comparison: Comparison) -> Clause:
    """Return the clause of ON: within `label@first@last`, within the period of a label, or on a day."""
    comparison.require_date()
    label, *bounds = comparison.text.split("@")
    if len(bounds) == 2:
        first, last = (_bound(comparison, bound) for bound in bounds)
    elif bounds:
        raise TermInvalid("A label, a first and a last instant are expected")
    else:
        first, last = _bounds_of_label(comparison, label)
    return Expression(between, comparison.field.column, Value(first), Value(last))


def _bounds_of_label(comparison: Comparison, label: str) -> tuple[date, date]:
    if period := find_period(label):
        try:
            first, last = bounds_of(period, comparison.inquiry.moment.at)
        except OverflowError:
            raise TermInvalid("The period is outside the supported date range") from None
        return _stored(comparison, first), _stored(comparison, last)
    # Any other label is a day, from its local start to its local end.
    day = _bound(comparison, label)
    if not isinstance(day, datetime):
        return day, day
    local = day.astimezone(comparison.inquiry.moment.at.tzinfo)
    return start_of("day", local), end_of("day", local)


def _bound(comparison: Comparison, text: str) -> date:
    """Return the date-time or date of a text; a day without a time begins in the caller's time zone."""
    value: date = comparison.required_value(text)
    if isinstance(value, datetime) and _DAY.fullmatch(text.strip()):
        return value.replace(tzinfo=comparison.inquiry.moment.at.tzinfo)
    return value


def compares_with_now(sign: str) -> Callable[[Comparison], Clause]:
    """Return the operator that compares a field with the time some units ago or ahead."""

    def clause(comparison: Comparison) -> Clause:
        _, then = _relative(comparison)
        return Expression(compare_times, sign, comparison.field.column, Value(_stored(comparison, then)))

    return clause


def is_on_unit(comparison: Comparison) -> Clause:
    """Return the clause of RELATIVEEE: within the unit that is some units ago or ahead."""
    unit, then = _relative(comparison)
    try:
        first, last = start_of(unit, then), end_of(unit, then)
    except OverflowError:
        raise TermInvalid("The unit is outside the supported date range") from None
    bounds = (Value(_stored(comparison, bound)) for bound in (first, last))
    return Expression(between, comparison.field.column, *bounds)


def _relative(comparison: Comparison) -> tuple[str, datetime]:
    comparison.require_date()
    match = _RELATIVE.fullmatch(comparison.text)
    unit = "day" if match and match["unit"] == "dayofweek" else match["unit"] if match else ""
    if match is None or unit not in UNITS:
        raise TermInvalid("A unit, ago or ahead and a number are expected")
    count = int(match["count"]) * (1 if match["side"] == "ahead" else -1)
    try:
        return unit, shifted(unit, comparison.inquiry.moment.at, count)
    except OverflowError:
        raise TermInvalid("The instant is outside the supported date range") from None


def _stored(comparison: Comparison, instant: datetime) -> date:
    if comparison.field.entry.kind != "glide_date_time":
        return instant.date()
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise TermInvalid("The instant is outside the supported date range") from None


def has_part(comparison: Comparison) -> Clause:
    """Return the clause of DATEPART, whose text ends with a call of `gs.datePart(part, value, sign)`."""
    comparison.require_date()
    name, arguments = read_call(comparison.text[comparison.text.find(PREFIX) :])
    if name != "datePart" or len(arguments) != 3:
        raise TermInvalid("A part, its value and a sign are expected")
    part, value, sign = arguments
    if (
        part not in _PARTS
        or sign not in _PART_SIGNS
        or (part == "hour" and comparison.field.entry.kind == "glide_date")
    ):
        raise TermInvalid(f"{part[:100]} with {sign[:100]} is not a test of field {comparison.field.path}")
    number = Expression(part_number, part, comparison.field.column, comparison.inquiry.moment.zone)
    return Expression(compare, _PART_SIGNS[sign], number, Value(_part_value(part, value)))


def _part_value(part: str, text: str) -> int:
    names = _NAMED.get(part, ())
    if text.lower() in names:
        return names.index(text.lower()) + 1
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise TermInvalid(f"{text[:100]} is no {part}")
    return int(text)
