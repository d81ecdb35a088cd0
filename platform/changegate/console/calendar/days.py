"""Changes and freezes by day."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from changegate.services.schedules.freezes import FrozenSpan
from changegate.services.schedules.spans import DAY, Interval, to_utc
from changegate.services.tables.display.display_values import WireRecord

MOST_SHOWN = {"month": 4, "week": 40}


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change with its planned window; the times are those of the user's zone."""

    sys_id: str
    number: str
    text: str
    state: str
    state_label: str
    has_conflict: bool
    starts: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class FreezeOfDay:
    """A freeze on a day, with its times in the zone of its schedule."""

    name: str
    is_hard: bool
    times: str


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """A day with its first changes, the number of others, and its freezes; past only beside the present day."""

    day: date
    is_outside: bool
    is_today: bool
    is_past: bool
    changes: Sequence[PlannedChange]
    hidden: int
    freezes: Sequence[FreezeOfDay]


def planned_change(record: WireRecord, zone: tzinfo) -> PlannedChange:
    """Return a change as the calendar shows it, from a record with display values."""
    starts, ends = (_local(record[name]["value"], zone) for name in ("start_date", "end_date"))
    return PlannedChange(
        record["sys_id"]["value"],
        record["number"]["value"],
        record["short_description"]["value"],
        record["state"]["value"],
        record["state"]["display_value"],
        record["conflict_status"]["value"] == "Conflict",
        starts,
        ends,
    )


def days_of(
    shown: Sequence[date],
    month: int | None,
    changes: Sequence[PlannedChange],
    freezes: Sequence[FrozenSpan],
    zone: tzinfo,
    today: date,
    most: int,
) -> Iterator[CalendarDay]:
    """Yield the days; `month` is the month whose neighbors' days are outside, or None."""
    for day in shown:
        interval = _interval(day, zone)
        of_day = [each for each in changes if _overlaps((each.starts, each.ends), interval)]
        yield CalendarDay(
            day,
            month is not None and day.month != month,
            day == today,
            today in shown and day < today,
            of_day[:most],
            max(0, len(of_day) - most),
            [_freeze(each) for each in freezes if _overlaps((each.start, each.end), interval)],
        )


def _freeze(span: FrozenSpan) -> FreezeOfDay:
    zone = span.freeze.schedule.zone
    starts, ends = (f"{each.astimezone(zone):%Y-%m-%d %H:%M}" for each in (span.start, span.end))
    return FreezeOfDay(span.freeze.name, span.freeze.is_hard, f"{starts} to {ends} {zone}")


def _interval(day: date, zone: tzinfo) -> Interval:
    midnights = (datetime.combine(each, datetime.min.time()) for each in (day, day + DAY))
    start, end = (to_utc(each, zone) for each in midnights)
    return start, end


def _overlaps(one: Interval, other: Interval) -> bool:
    return one[0] < other[1] and one[1] > other[0]


def _local(text: str, zone: tzinfo) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).astimezone(zone)
