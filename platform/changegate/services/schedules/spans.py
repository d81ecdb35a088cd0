"""The evaluator of schedules: from wall-clock spans in a time zone to intervals in UTC. It is pure.

Ends are exclusive. A local time that occurs twice means its first occurrence. A start that a clock change skips moves
forward to the change, and a skipped end by the length of the gap, so that an interval is never empty.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from operator import itemgetter

from changegate.models.cmn_schedule import EARLIEST, LATEST
from changegate.services.schedules.recurrence import Repetition, list_dates

Interval = tuple[datetime, datetime]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
# Intervals are computed and remembered for blocks of this length.
_BLOCK = timedelta(days=28)
# How far ahead an end or an opening is searched for.
HORIZON = timedelta(days=400)
_end = itemgetter(1)
_EPOCH = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of a schedule by the wall clock, both times naive. An excluded one is taken out of the others."""

    starts: datetime
    ends: datetime
    repetition: Repetition | None = None
    is_excluded: bool = False


class Timeline(ABC):
    """Intervals that are computed in blocks. All times are aware UTC, and ends are exclusive."""

    @abstractmethod
    def block(self, number: int) -> Sequence[Interval]:
        """Return the intervals in a block, merged, in order, and clipped to it."""

    def intervals(self, start: datetime, end: datetime) -> list[Interval]:
        """Return the intervals between two instants, merged and in order, clipped to these instants."""
        return merge((max(first, start), min(last, end)) for first, last in self._overlapping(start, end))

    def first_start(self, start: datetime, end: datetime) -> datetime | None:
        """Return the first instant of an interval between two instants, up to `HORIZON` after the start, or None."""
        first = next(self._overlapping(start, min(end, horizon_of(start))), None)
        return None if first is None else max(first[0], start)

    def end_after(self, at: datetime) -> datetime | None:
        """Return when the interval around an instant ends; None if it does not end within `HORIZON`."""
        end = at
        for first, last in self._overlapping(at, horizon_of(at)):
            if first > end:
                return end
            end = last
        return end if end < horizon_of(at) else None

    def _overlapping(self, start: datetime, end: datetime) -> Iterator[Interval]:
        """Yield the parts of intervals in each block that overlap with the time between two instants."""
        start, end = max(start, EARLIEST), min(end, LATEST)
        if start >= end:
            return
        for number in range((start - _EPOCH) // _BLOCK, (end - SECOND - _EPOCH) // _BLOCK + 1):
            found = self.block(number)
            for at in range(bisect_right(found, start, key=_end), len(found)):
                if found[at][0] >= end:
                    return
                yield found[at]


@dataclass(frozen=True, eq=False)
class Schedule(Timeline):
    """The spans of a schedule with their time zone. Compared by identity, which is the key of remembered blocks."""

    zone: tzinfo
    spans: tuple[Span, ...]

    def block(self, number: int) -> Sequence[Interval]:
        """Return the intervals in a block."""
        return _block_of_schedule(self, number)


@dataclass(frozen=True)
class Union(Timeline):
    """The intervals of any of several schedules."""

    schedules: tuple[Schedule, ...]

    def block(self, number: int) -> Sequence[Interval]:
        """Return the intervals in a block."""
        return _block_of_union(self, number)


def horizon_of(at: datetime) -> datetime:
    """Return how far after an instant an end or an opening is searched for."""
    return min(at, LATEST - HORIZON) + HORIZON


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union of intervals, in order; intervals that touch become one."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(intervals: Sequence[Interval], removed: Sequence[Interval]) -> list[Interval]:
    """Return the first intervals without the second ones. Both are merged and in order."""
    left: list[Interval] = []
    position = 0
    for start, end in intervals:
        while position < len(removed) and removed[position][0] < end:
            first, last = removed[position]
            if first > start:
                left.append((start, first))
            start = max(start, last)
            if last > end:
                break  # it may reach into the next interval
            position += 1
        if start < end:
            left.append((start, end))
    return left


def to_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local time; one that a clock change skips moves forward by the length of the gap."""
    return local.replace(tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=16_384)
def _block_of_schedule(schedule: Schedule, number: int) -> tuple[Interval, ...]:
    start = _EPOCH + _BLOCK * number
    end = start + _BLOCK
    kinds: dict[bool, list[Interval]] = {True: [], False: []}
    for span in schedule.spans:
        kinds[span.is_excluded] += _occurrences(span, schedule.zone, start, end)
    included, excluded = (merge(kinds[is_excluded]) for is_excluded in (False, True))
    return tuple((max(first, start), min(last, end)) for first, last in subtract(included, excluded))


@lru_cache(maxsize=1024)
def _block_of_union(union: Union, number: int) -> tuple[Interval, ...]:
    return tuple(merge(each for schedule in union.schedules for each in schedule.block(number)))


def _occurrences(span: Span, zone: tzinfo, start: datetime, end: datetime) -> Iterator[Interval]:
    """Yield the intervals of a span that overlap with the time from `start` to `end`."""
    length = span.ends - span.starts
    # A day more than the offset of any time zone, and than the gap of any clock change.
    low, high = (start - length - 2 * DAY).date(), (end + 2 * DAY).date()
    for on in list_dates(span.starts.date(), span.repetition, low, high):
        first, last = _interval(datetime.combine(on, span.starts.time()), length, zone)
        if first < end and last > start:
            yield first, last


def _interval(starts: datetime, length: timedelta, zone: tzinfo) -> Interval:
    start, end = _start_to_utc(starts, zone), to_utc(starts + length, zone)
    # Wholly within the gap of a clock change.
    return start, end if end > start else start + length


def _start_to_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local start, or the end of the gap that a clock change makes around it."""
    before, after = (zone.utcoffset(local.replace(tzinfo=zone, fold=fold)) or timedelta(0) for fold in (0, 1))
    if before >= after:
        return (local - before).replace(tzinfo=UTC)
    # The change lies between the two instants that the offsets before and after it would give.
    low, high = ((local - offset).replace(tzinfo=UTC) for offset in (after, before))
    while high - low > SECOND:
        middle = low + (high - low) // 2
        low, high = (low, middle) if middle.astimezone(zone).utcoffset() == after else (middle, high)
    return high.replace(microsecond=0)
