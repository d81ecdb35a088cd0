"""Calendar periods in a time zone: the start and end of an hour, a week, or a quarter.

Days and longer units are computed on the calendar, hours and minutes in elapsed time. A day whose midnight is skipped
by a clock change begins at the change.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

_PASSING = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_DAYS = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
SECOND = timedelta(seconds=1)


class Period(NamedTuple):
    """Whole units around a time: from `first` units after the unit of the time to `last` units after it."""

    unit: str
    first: int
    last: int
    years_before: int = 0


# "Last 3 months" are the three months before this one and this one; "Last month" is only the one before.
PERIODS: Mapping[str, Period] = {
    "Today": Period("day", 0, 0),
    "Yesterday": Period("day", -1, -1),
    "Tomorrow": Period("day", 1, 1),
    **{f"This{unit.title()}": Period(unit, 0, 0) for unit in ("week", "month", "quarter", "year")},
    **{f"Last{unit.title()}": Period(unit, -1, -1) for unit in ("minute", "hour", "week", "month", "quarter", "year")},
    **{f"Next{unit.title()}": Period(unit, 1, 1) for unit in ("week", "month", "quarter", "year")},
    **{f"Current{unit.title()}": Period(unit, 0, 0) for unit in ("minute", "hour")},
    **{f"Last{count}Minutes": Period("minute", -count, 0) for count in (15, 30, 45)},
    "Last2Hours": Period("hour", -2, 0),
    **{f"Last{count}Days": Period("day", -count, 0) for count in (7, 30, 60, 90, 120)},
    **{f"Last{count}Months": Period("month", -count, 0) for count in (3, 6, 9, 12)},
    "Last2Quarters": Period("quarter", -2, 0),
    "Next2Quarters": Period("quarter", 0, 2),
    "Last2Years": Period("year", -2, 0),
    "OneYearAgo": Period("day", 0, 0, years_before=1),
}
_BY_LABEL = {name.lower(): period for name, period in PERIODS.items()}


def find_period(label: str) -> Period | None:
    """Return the period with a label such as `Last 7 days`, or None."""
    return _BY_LABEL.get(label.replace(" ", "").lower())


def bounds_of(period: Period, at: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last second of a period. Raises `OverflowError` outside of the years 1 to 9999."""
    origin = shifted("year", at, -period.years_before)
    last = shifted(period.unit, start_of(period.unit, origin), period.last)
    return start_of(period.unit, shifted(period.unit, origin, period.first)), end_of(period.unit, last)


def start_of(unit: str, at: datetime) -> datetime:
    """Return the first second of the unit that contains a time; weeks begin on Monday."""
    if unit in _PASSING:
        # With the UTC offset of this time: an hour that a clock change repeats is two hours.
        by_offset = at.astimezone(timezone(at.utcoffset() or timedelta()))
        minute = 0 if unit == "hour" else at.minute
        return by_offset.replace(minute=minute, second=0, microsecond=0).astimezone(at.tzinfo)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "week":
        return midnight - timedelta(days=at.weekday())
    if unit in _MONTHS:
        months = _MONTHS[unit]
        return midnight.replace(month=(at.month - 1) // months * months + 1, day=1)
    return midnight


def end_of(unit: str, at: datetime) -> datetime:
    """Return the last second of the unit that contains a time."""
    return _later(shifted(unit, start_of(unit, at), 1), -SECOND)


def shifted(unit: str, at: datetime, count: int) -> datetime:
    """Return the time some units later; a day that the month does not have becomes its last day.

    Raises `OverflowError` outside of the years 1 to 9999.
    """
    if not count:
        return at
    if unit in _PASSING:
        return _later(at, count * _PASSING[unit])
    if unit in _DAYS:
        return at + count * _DAYS[unit]
    year, month = divmod(at.year * 12 + at.month - 1 + count * _MONTHS[unit], 12)
    if not datetime.min.year <= year <= datetime.max.year:
        raise OverflowError("the calendar ends")
    first = at.replace(year=year, month=month + 1, day=1, fold=0)
    next_month = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first.replace(day=min(at.day, (next_month - timedelta(days=1)).day))


def _later(at: datetime, by: timedelta) -> datetime:
    # Arithmetic on a local time ignores clock changes. On UTC, it adds elapsed time.
    return (at.astimezone(UTC) + by).astimezone(at.tzinfo)
