"""The evaluator of schedules: clock changes, midnight, repetitions, exclusions, and limits."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.models.cmn_schedule import LATEST
from changegate.services.schedules.recurrence import Repetition
from changegate.services.schedules.spans import HORIZON, Schedule, Span, merge, subtract

BERLIN, NEW_YORK, LORD_HOWE, APIA = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
)
WORKDAYS = frozenset(range(5))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str, kind: str | None = None, *, out: bool = False, **repetition: Any) -> Span:
    repeated = Repetition(kind, **repetition) if kind else None
    return Span(datetime.fromisoformat(start), datetime.fromisoformat(end), repeated, out)


def intervals(zone: tzinfo, start: str, end: str, *spans: Span) -> list[tuple[str, str]]:
    found = Schedule(zone, spans).intervals(at(start), at(end))
    return [(f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}") for first, last in found]


NIGHT = ("22:00", "06:00")
# Zone, the local date on which a night begins, and its interval in UTC. The clocks change at 02:00 or 03:00 of the next
# day: the night is longer or shorter by an hour, at Lord Howe by half an hour.
NIGHTS = [
    (BERLIN, "2026-10-24", "2026-10-24 20:00", "2026-10-25 05:00", 9.0),
    (BERLIN, "2026-03-28", "2026-03-28 21:00", "2026-03-29 04:00", 7.0),
    (NEW_YORK, "2026-10-31", "2026-11-01 02:00", "2026-11-01 11:00", 9.0),
    (NEW_YORK, "2026-03-07", "2026-03-08 03:00", "2026-03-08 10:00", 7.0),
    (LORD_HOWE, "2026-04-04", "2026-04-04 11:00", "2026-04-04 19:30", 8.5),
    (LORD_HOWE, "2026-10-03", "2026-10-03 11:30", "2026-10-03 19:00", 7.5),
]


@pytest.mark.parametrize(("zone", "day", "start", "end", "hours"), NIGHTS)
def test_a_night_follows_the_wall_clock_over_a_clock_change(
    zone: ZoneInfo, day: str, start: str, end: str, hours: float
) -> None:
    morning = f"{datetime.fromisoformat(day) + timedelta(days=1):%Y-%m-%d}"
    once = span(f"{day} {NIGHT[0]}", f"{morning} {NIGHT[1]}")
    daily = span("2025-01-01 22:00", "2025-01-02 06:00", "daily")
    assert intervals(zone, "2026-01-01", "2027-01-01", once) == [(start, end)]
    assert (start, end) in intervals(zone, "2026-01-01", "2027-01-01", daily)
    assert at(end) - at(start) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "start", "end", "found"),
    [
        # Skipped starts move forward to the change, so that all of 03:00 to 03:30 belongs to the span.
        (BERLIN, "2026-03-29 02:30", "2026-03-29 04:00", ("2026-03-29 01:00", "2026-03-29 02:00")),
        (NEW_YORK, "2026-03-08 02:15", "2026-03-08 03:15", ("2026-03-08 07:00", "2026-03-08 07:15")),
        (LORD_HOWE, "2026-10-04 02:15", "2026-10-04 03:00", ("2026-10-03 15:30", "2026-10-03 16:00")),
        # A skipped end moves forward by the length of the gap.
        (BERLIN, "2026-03-29 01:30", "2026-03-29 02:30", ("2026-03-29 00:30", "2026-03-29 01:30")),
        # Wholly skipped, up to the end of the gap: the length stays.
        (BERLIN, "2026-03-29 02:30", "2026-03-29 03:00", ("2026-03-29 01:00", "2026-03-29 01:30")),
        (BERLIN, "2026-03-29 02:15", "2026-03-29 02:45", ("2026-03-29 01:00", "2026-03-29 01:45")),
        # Samoa skipped the whole 30 December 2011.
        (APIA, "2011-12-30 08:00", "2011-12-30 12:00", ("2011-12-30 10:00", "2011-12-30 22:00")),
        # Times that occur twice mean their first occurrence.
        (BERLIN, "2026-10-25 02:30", "2026-10-25 04:00", ("2026-10-25 00:30", "2026-10-25 03:00")),
        (BERLIN, "2026-10-25 02:15", "2026-10-25 02:45", ("2026-10-25 00:15", "2026-10-25 00:45")),
        (NEW_YORK, "2026-11-01 01:30", "2026-11-01 02:00", ("2026-11-01 05:30", "2026-11-01 07:00")),
        (LORD_HOWE, "2026-04-05 01:45", "2026-04-05 02:00", ("2026-04-04 14:45", "2026-04-04 15:30")),
    ],
)
def test_times_that_a_clock_change_skips_or_repeats(
    zone: ZoneInfo, start: str, end: str, found: tuple[str, str]
) -> None:
    assert intervals(zone, "2011-01-01", "2027-01-01", span(start, end)) == [found]


STARTS = st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31))


@given(
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, APIA]),
    start=STARTS.map(lambda each: each.replace(second=0, microsecond=0)),
    minutes=st.integers(1, 60 * 24),
)
def test_no_interval_is_ever_empty_and_each_instant_within_has_a_wall_clock_time_of_the_span(
    zone: ZoneInfo, start: datetime, minutes: int
) -> None:
    end = start + timedelta(minutes=minutes)
    ((first, last),) = Schedule(zone, (Span(start, end),)).intervals(at("2024-12-01"), at("2027-02-01"))
    assert first < last
    # Every minute whose wall clock is in the span, unless it is the second of two with the same time.
    wall = first.astimezone(zone).replace(tzinfo=None)
    while wall < end:
        instant = wall.replace(tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == wall:
            assert first <= instant < last
        wall += timedelta(minutes=7)


def test_the_end_is_exclusive_and_spans_that_touch_become_one() -> None:
    first, second = span("2026-12-24 00:00", "2026-12-25 00:00"), span("2026-12-25 00:00", "2026-12-26 00:00")
    assert intervals(UTC, "2026-12-01", "2027-01-01", first, second) == [("2026-12-24 00:00", "2026-12-26 00:00")]
    assert intervals(UTC, "2026-12-25", "2026-12-26", first) == []
    assert intervals(UTC, "2026-12-23", "2026-12-24", first) == []


def test_midnight_is_that_of_the_zone() -> None:
    holiday = span("2026-12-25 00:00", "2026-12-26 00:00")
    assert intervals(BERLIN, "2026-12-01", "2027-01-01", holiday) == [("2026-12-24 23:00", "2026-12-25 23:00")]
    assert intervals(NEW_YORK, "2026-12-01", "2027-01-01", holiday) == [("2026-12-25 05:00", "2026-12-26 05:00")]


def test_a_span_that_overlaps_itself_or_others_is_their_union() -> None:
    long = span("2026-06-01 20:00", "2026-06-03 08:00", "weekly", weekdays=WORKDAYS)
    assert intervals(UTC, "2026-06-02", "2026-06-09", long) == [
        ("2026-06-02 00:00", "2026-06-07 08:00"),
        ("2026-06-08 20:00", "2026-06-09 00:00"),
    ]
    short, other = span("2026-06-01 10:00", "2026-06-01 12:00"), span("2026-06-01 11:00", "2026-06-01 13:00")
    assert intervals(UTC, "2026-06-01", "2026-06-02", short, other) == [("2026-06-01 10:00", "2026-06-01 13:00")]


def test_a_year_wide_span_has_exceptions() -> None:
    year = span("2026-01-01 00:00", "2027-01-01 00:00")
    wednesdays = span("2026-01-07 08:00", "2026-01-07 12:00", "weekly", out=True)
    found = intervals(BERLIN, "2026-03-23", "2026-04-06", year, wednesdays)
    assert found == [
        ("2026-03-23 00:00", "2026-03-25 07:00"),
        ("2026-03-25 11:00", "2026-04-01 06:00"),  # 08:00 is an hour earlier in summer
        ("2026-04-01 10:00", "2026-04-06 00:00"),
    ]
    assert len(intervals(BERLIN, "2025-12-01", "2027-02-01", year, wednesdays)) == 53


REPETITIONS = [
    (("2026-01-30 10:00", "2026-01-30 11:00", "daily"), {"every": 10}, ["01-30", "02-09", "02-19", "03-01"]),
    (("2026-02-02 10:00", "2026-02-02 11:00", "weekly"), {"every": 2}, ["02-02", "02-16", "03-02"]),
    (("2026-02-04 10:00", "2026-02-04 11:00", "weekly"), {"weekdays": frozenset({0, 2})}, ["02-04", "02-09", "02-11"]),
    # The second Tuesday; the last Friday; the last day; the 31st, which shorter months do not have.
    (("2026-01-13 10:00", "2026-01-13 11:00", "monthly"), {"monthly": "dow"}, ["01-13", "02-10", "03-10", "04-14"]),
    (("2026-01-30 10:00", "2026-01-30 11:00", "monthly"), {"monthly": "ldow"}, ["01-30", "02-27", "03-27", "04-24"]),
    (("2026-01-31 10:00", "2026-01-31 11:00", "monthly"), {"monthly": "ldom"}, ["01-31", "02-28", "03-31", "04-30"]),
    (("2026-01-31 10:00", "2026-01-31 11:00", "monthly"), {}, ["01-31", "03-31", "05-31"]),
    (("2026-01-29 10:00", "2026-01-29 11:00", "monthly"), {"monthly": "dow"}, ["01-29", "04-30", "07-30"]),
    (("2026-11-30 10:00", "2026-11-30 11:00", "monthly"), {"every": 3}, ["11-30"]),
    (("2024-02-29 10:00", "2024-02-29 11:00", "yearly"), {}, []),
    (("2024-02-27 10:00", "2024-02-27 11:00", "yearly"), {"every": 2}, ["02-27"]),
    (("2026-05-01 10:00", "2026-05-01 11:00", "daily"), {"until": datetime(2026, 5, 2).date()}, ["05-01", "05-02"]),
]


@pytest.mark.parametrize(("described", "repetition", "dates"), REPETITIONS)
def test_repetitions(described: Sequence[str], repetition: dict[str, Any], dates: list[str]) -> None:
    found = [start[5:10] for start, _ in intervals(UTC, "2026-01-01", "2027-01-01", span(*described, **repetition))]
    assert found[: len(dates)] == dates
    assert bool(found) == bool(dates)


def test_leap_days_return_in_leap_years() -> None:
    found = intervals(UTC, "2024-01-01", "2033-01-01", span("2024-02-29 00:00", "2024-03-01 00:00", "yearly"))
    assert [start[:4] for start, _ in found] == ["2024", "2028", "2032"]


def test_a_repetition_begins_with_its_first_date() -> None:
    weekly = span("2026-06-03 10:00", "2026-06-03 11:00", "weekly", weekdays=WORKDAYS)
    assert intervals(UTC, "2026-01-01", "2026-06-05", weekly)[0] == ("2026-06-03 10:00", "2026-06-03 11:00")


def test_the_end_and_the_first_start_cross_the_blocks_in_which_they_are_computed() -> None:
    quarter = Schedule(UTC, (span("2026-10-01 00:00", "2026-12-31 12:00"),))
    assert quarter.end_after(at("2026-10-02")) == at("2026-12-31 12:00")
    assert quarter.first_start(at("2026-03-01"), at("2026-11-01")) == at("2026-10-01")
    assert quarter.first_start(at("2026-03-01"), at("2026-10-01")) is None


def test_what_never_ends_and_what_never_comes_is_not_searched_for_for_ever() -> None:
    always = Schedule(UTC, (span("2026-01-01 00:00", "2026-01-02 00:00", "daily"),))
    assert always.end_after(at("2026-06-01")) is None
    assert always.first_start(at("2026-06-01"), at("2026-06-02")) == at("2026-06-01")
    nothing = Schedule(UTC, (*always.spans, span("2026-01-01 00:00", "2026-01-02 00:00", "daily", out=True)))
    assert nothing.first_start(at("2026-06-01"), LATEST) is None
    far = Schedule(UTC, (span("2030-01-01 00:00", "2030-01-02 00:00"),))
    assert far.first_start(at("2030-01-01") - HORIZON, LATEST) is None
    assert far.first_start(at("2030-01-01") - HORIZON + timedelta(days=1), LATEST) is not None


@pytest.mark.parametrize(
    "bounds", [("0001-01-01", "0002-01-01"), ("9998-01-01", "9999-12-31"), ("0001-01-01", "9999-12-31")]
)
def test_the_ends_of_the_calendar_are_no_errors(bounds: tuple[str, str]) -> None:
    century = Schedule(
        APIA, (span("2026-01-01 00:00", "2026-01-02 00:00", "yearly", until=datetime(2027, 1, 2).date()),)
    )
    found = century.intervals(*map(at, bounds))
    assert len(found) == (2 if bounds[0] < "2000" < bounds[1] else 0)
    century.first_start(*map(at, bounds))
    century.end_after(at(bounds[0]))


MINUTES = st.integers(0, 200)
PAIRS = st.lists(st.tuples(MINUTES, MINUTES), max_size=12)


@given(PAIRS, PAIRS)
def test_merging_and_subtracting_equal_sets_of_instants(
    some: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    start = at("2026-01-01")
    both = [[(start + timedelta(minutes=a), start + timedelta(minutes=b)) for a, b in each] for each in (some, others)]
    merged, removed = map(merge, both)
    left = subtract(merged, removed)
    for minute in range(201):
        instant = start + timedelta(minutes=minute)
        inside = [any(a <= instant < b for a, b in each) for each in both]
        assert any(a <= instant < b for a, b in left) == (inside[0] and not inside[1])
    assert all(a < b for a, b in left)
    assert all(before[1] < after[0] for before, after in pairwise(merged))
