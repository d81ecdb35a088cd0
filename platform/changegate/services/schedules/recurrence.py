"""Repetitions: the dates on which the occurrences of a span begin. The work depends only on the range that is asked."""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)
LAST_DAY, LAST_WEEKDAY, WEEKDAY = "ldom", "ldow", "dow"


@dataclass(frozen=True, slots=True)
class Repetition:
    """A repetition: `kind` is daily, weekly, monthly, or yearly, and `every` is 2 for every second one.

    `weekdays` are those of a weekly repetition, 0 for Monday. `monthly` is how the first date determines those of a
    monthly repetition: by its day, as the last day, by its weekday (the second Tuesday), or as the last weekday.
    """

    kind: str
    every: int = 1
    weekdays: frozenset[int] = frozenset()
    monthly: str | None = None
    until: date | None = None


def list_dates(first: date, repetition: Repetition | None, low: date, high: date) -> Iterator[date]:
    """Yield the dates from `low` to `high`, both included, on which an occurrence begins; `first` is the first one."""
    if repetition is None:
        low = max(low, first)
        yield from (first,) if low <= first <= high else ()
        return
    if repetition.until is not None:
        high = min(high, repetition.until)
    low = max(low, first)
    if low <= high:
        yield from (on for on in _DATES[repetition.kind](first, repetition, low, high) if low <= on <= high)


def _daily(first: date, repetition: Repetition, low: date, high: date) -> Iterator[date]:
    passed = -(-(low - first).days // repetition.every) * repetition.every
    for days in range(passed, (high - first).days + 1, repetition.every):
        yield first + timedelta(days=days)


def _weekly(first: date, repetition: Repetition, low: date, high: date) -> Iterator[date]:
    monday = first - first.weekday() * DAY
    weeks = (low - monday).days // 7 // repetition.every * repetition.every
    for week in range(weeks, (high - monday).days // 7 + 1, repetition.every):
        for weekday in sorted(repetition.weekdays or {first.weekday()}):
            yield monday + timedelta(days=7 * week + weekday)


def _monthly(first: date, repetition: Repetition, low: date, high: date) -> Iterator[date]:
    start, end = (12 * (on.year - first.year) + on.month - first.month for on in (low, high))
    for months in range(start // repetition.every * repetition.every, end + 1, repetition.every):
        years, month = divmod(first.month - 1 + months, 12)
        if on := _in_month(first, repetition.monthly, first.year + years, month + 1):
            yield on


def _yearly(first: date, repetition: Repetition, low: date, high: date) -> Iterator[date]:
    start = (low.year - first.year) // repetition.every * repetition.every
    for years in range(start, high.year - first.year + 1, repetition.every):
        if on := _in_month(first, None, first.year + years, first.month):
            yield on


def _in_month(first: date, monthly: str | None, year: int, month: int) -> date | None:
    """Return the date in a month that corresponds to the first date, or None if the month has no such date."""
    weekday_of_first_day, length = monthrange(year, month)
    if monthly == LAST_DAY:
        day = length
    elif monthly in {WEEKDAY, LAST_WEEKDAY}:
        day = 1 + (first.weekday() - weekday_of_first_day) % 7
        day += 7 * ((first.day - 1) // 7 if monthly == WEEKDAY else (length - day) // 7)
    else:
        day = first.day
    return date(year, month, day) if day <= length else None


_DATES: Mapping[str, Callable[[date, Repetition, date, date], Iterator[date]]] = {
    "daily": _daily,
    "weekly": _weekly,
    "monthly": _monthly,
    "yearly": _yearly,
}
