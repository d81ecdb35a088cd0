"""SQL for the parts of stored dates, such as month or ISO week, with equal results on every database.

The parts of a date-time are those in a time zone, or in UTC if it is None. A date has no time zone.
"""

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Date, String, case, cast, extract, literal, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

DAY_SECONDS = 86_400
# Added to days since 1970-01-01, a Thursday: weeks then begin on Monday, and no storable day is negative, because
# integer division would round negative numbers up.
_DAYS_BEFORE = 3 + 7 * 60_000
_SECONDS = {"minute": 60, "hour": 3600, "day": DAY_SECONDS, "week": 7 * DAY_SECONDS}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
UNITS = frozenset({*_SECONDS, *_MONTHS})


class InUtc(GenericFunction[Any]):
    """SQL function: a date-time in UTC, without its zone."""

    inherit_cache = True


@compiles(InUtc)
def _as_it_is(element: InUtc, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(InUtc, "postgresql")
def _at_utc(element: InUtc, compiler: Any, **options: Any) -> str:
    return f"timezone('UTC', {compiler.process(element.clauses, **options)})"


class InZone(GenericFunction[Any]):
    """SQL function of (zone, date-time): the local date-time of the zone, without its zone."""

    inherit_cache = True


@compiles(InZone)
def _by_python(element: InZone, compiler: Any, **options: Any) -> str:
    # SQLite has no time zones. `engine` registers this function on every connection.
    return f"in_time_zone({compiler.process(element.clauses, **options)})"


@compiles(InZone, "postgresql")
def _by_postgres(element: InZone, compiler: Any, **options: Any) -> str:
    return f"timezone({compiler.process(element.clauses, **options)})"


def seconds_since_1970(column: ColumnElement[Any], zone: ZoneInfo | None = None) -> ColumnElement[int]:
    """Return a date-time in seconds; with a zone, its local time is taken as if it were UTC."""
    return _extracted("epoch", column, zone)


def unit_number(unit: str, column: ColumnElement[Any], zone: ZoneInfo | None = None) -> ColumnElement[int]:
    """Return the number of the minute, hour, day, week, month, quarter, or year that contains a date.

    Dates in the same unit have equal numbers; later units have greater numbers.
    """
    if unit in _SECONDS:
        return (seconds_since_1970(column, zone) + _number(_DAYS_BEFORE * DAY_SECONDS)) // _number(_SECONDS[unit])
    months = _extracted("year", column, zone) * _number(12) + _extracted("month", column, zone) - _number(1)
    return months // _number(_MONTHS[unit])


def part_number(part: str, column: ColumnElement[Any], zone: ZoneInfo | None = None) -> ColumnElement[int]:
    """Return the day of the week (1 is Monday), ISO week, month, quarter, year, or hour of a date."""
    if part == "dayofweek":
        return (_extracted("dow", column, zone) + _number(6)) % _number(7) + _number(1)
    if part == "quarter":
        return (_extracted("month", column, zone) + _number(2)) // _number(3)
    return _week(column, zone) if part == "week" else _extracted(part, column, zone)


def _week(column: ColumnElement[Any], zone: ZoneInfo | None) -> ColumnElement[int]:
    """Return the ISO week, which is the number of its Thursday among the Thursdays of the Thursday's year."""
    year = _extracted("year", column, zone)
    thursday = _extracted("doy", column, zone) + _number(4) - part_number("dayofweek", column, zone)
    of_its_year = case(
        (thursday < _number(1), thursday + _days_in(year - _number(1))),
        (thursday > _days_in(year), thursday - _days_in(year)),
        else_=thursday,
    )
    return (of_its_year + _number(6)) // _number(7)


def _days_in(year: ColumnElement[int]) -> ColumnElement[int]:
    by_four, by_hundred, by_four_hundred = (year % _number(years) == _number(0) for years in (4, 100, 400))
    return case((by_four & (~by_hundred | by_four_hundred), _number(366)), else_=_number(365))


def _extracted(part: str, column: ColumnElement[Any], zone: ZoneInfo | None) -> ColumnElement[int]:
    if isinstance(column.type, Date):
        return cast(extract(part, column), BigInteger)
    source = InUtc(column) if zone is None else InZone(literal(zone.key, String), column)
    return cast(extract(part, source), BigInteger)


def _number(value: int) -> ColumnElement[int]:
    """Return a constant of this module as SQL text; as a parameter, it would count against the databases' limits."""
    return literal_column(str(value), BigInteger)
