"""Where periods of the calendar begin and end."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.tables.queries.periods import (
    PERIODS,
    SECOND,
    bounds_of,
    end_of,
    find_period,
    shifted,
    start_of,
)

# A Saturday.
AT = datetime(2026, 1, 31, 8, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Today", "2026-01-31 00:00:00", "2026-01-31 23:59:59"),
        ("Yesterday", "2026-01-30 00:00:00", "2026-01-30 23:59:59"),
        ("Tomorrow", "2026-02-01 00:00:00", "2026-02-01 23:59:59"),
        ("ThisWeek", "2026-01-26 00:00:00", "2026-02-01 23:59:59"),
        ("LastWeek", "2026-01-19 00:00:00", "2026-01-25 23:59:59"),
        ("NextWeek", "2026-02-02 00:00:00", "2026-02-08 23:59:59"),
        ("ThisMonth", "2026-01-01 00:00:00", "2026-01-31 23:59:59"),
        ("LastMonth", "2025-12-01 00:00:00", "2025-12-31 23:59:59"),
        ("NextMonth", "2026-02-01 00:00:00", "2026-02-28 23:59:59"),
        ("Last3Months", "2025-10-01 00:00:00", "2026-01-31 23:59:59"),
        ("Last12Months", "2025-01-01 00:00:00", "2026-01-31 23:59:59"),
        ("ThisQuarter", "2026-01-01 00:00:00", "2026-03-31 23:59:59"),
        ("LastQuarter", "2025-10-01 00:00:00", "2025-12-31 23:59:59"),
        ("Last2Quarters", "2025-07-01 00:00:00", "2026-03-31 23:59:59"),
        ("NextQuarter", "2026-04-01 00:00:00", "2026-06-30 23:59:59"),
        ("Next2Quarters", "2026-01-01 00:00:00", "2026-09-30 23:59:59"),
        ("ThisYear", "2026-01-01 00:00:00", "2026-12-31 23:59:59"),
        ("LastYear", "2025-01-01 00:00:00", "2025-12-31 23:59:59"),
        ("NextYear", "2027-01-01 00:00:00", "2027-12-31 23:59:59"),
        ("Last2Years", "2024-01-01 00:00:00", "2026-12-31 23:59:59"),
        ("Last7Days", "2026-01-24 00:00:00", "2026-01-31 23:59:59"),
        ("Last120Days", "2025-10-03 00:00:00", "2026-01-31 23:59:59"),
        ("CurrentHour", "2026-01-31 08:00:00", "2026-01-31 08:59:59"),
        ("LastHour", "2026-01-31 07:00:00", "2026-01-31 07:59:59"),
        ("Last2Hours", "2026-01-31 06:00:00", "2026-01-31 08:59:59"),
        ("CurrentMinute", "2026-01-31 08:30:00", "2026-01-31 08:30:59"),
        ("LastMinute", "2026-01-31 08:29:00", "2026-01-31 08:29:59"),
        ("Last45Minutes", "2026-01-31 07:45:00", "2026-01-31 08:30:59"),
        ("OneYearAgo", "2025-01-31 00:00:00", "2025-01-31 23:59:59"),
    ],
)
def test_a_period_has_bounds(name: str, first: str, last: str) -> None:
    assert [f"{bound:%Y-%m-%d %H:%M:%S}" for bound in bounds_of(PERIODS[name], AT)] == [first, last]


@pytest.mark.parametrize("label", ["Last 7 days", "last 7 Days", "Last7Days"])
def test_finds_a_period_by_its_label(label: str) -> None:
    assert find_period(label) is PERIODS["Last7Days"]
    assert find_period("Last 8 days") is None


def test_a_day_that_a_month_does_not_have_becomes_its_last() -> None:
    assert shifted("month", AT, 1).day == 28
    assert shifted("year", datetime(2024, 2, 29, tzinfo=UTC), -1) == datetime(2023, 2, 28, tzinfo=UTC)
    assert shifted("month", AT, -1) == AT.replace(year=2025, month=12)


def test_the_calendar_ends() -> None:
    for unit, count in (("year", 8000), ("month", -30_000), ("day", 10**7), ("minute", -(10**12))):
        with pytest.raises(OverflowError):
            shifted(unit, AT, count)


INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(INSTANTS, st.sampled_from(["minute", "hour", "day", "week", "month", "quarter", "year"]))
def test_units_follow_each_other_without_gap(at: datetime, unit: str) -> None:
    first, last = start_of(unit, at), end_of(unit, at)
    assert first <= at.replace(microsecond=0) <= last
    assert start_of(unit, first) == first
    assert start_of(unit, last + SECOND) == last + SECOND
    assert end_of(unit, first - SECOND) == first - SECOND


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "name", "first", "last"),
    [
        ("Europe/Berlin", "2026-03-29 12:00", "Today", "2026-03-28 23:00:00", "2026-03-29 21:59:59"),
        ("Europe/Berlin", "2026-10-25 12:00", "Today", "2026-10-24 22:00:00", "2026-10-25 22:59:59"),
        ("Europe/Berlin", "2026-10-26 12:00", "Yesterday", "2026-10-24 22:00:00", "2026-10-25 22:59:59"),
        ("Europe/Berlin", "2026-10-25 12:00", "ThisMonth", "2026-09-30 22:00:00", "2026-10-31 22:59:59"),
        ("Europe/Berlin", "2026-10-25 00:30", "CurrentHour", "2026-10-25 00:00:00", "2026-10-25 00:59:59"),
        ("Europe/Berlin", "2026-10-25 01:30", "CurrentHour", "2026-10-25 01:00:00", "2026-10-25 01:59:59"),
        ("Europe/Berlin", "2026-10-25 01:30", "LastHour", "2026-10-25 00:00:00", "2026-10-25 00:59:59"),
        ("Europe/Berlin", "2026-03-29 01:30", "LastHour", "2026-03-29 00:00:00", "2026-03-29 00:59:59"),
        ("America/New_York", "2026-03-08 12:00", "Today", "2026-03-08 05:00:00", "2026-03-09 03:59:59"),
        ("America/New_York", "2026-11-01 12:00", "Today", "2026-11-01 04:00:00", "2026-11-02 04:59:59"),
        ("America/New_York", "2026-11-01 03:00", "Today", "2026-10-31 04:00:00", "2026-11-01 03:59:59"),
        ("Australia/Lord_Howe", "2026-10-03 20:00", "Today", "2026-10-03 13:30:00", "2026-10-04 12:59:59"),
        ("Asia/Kolkata", "2026-01-31 08:45", "CurrentHour", "2026-01-31 08:30:00", "2026-01-31 09:29:59"),
        # Midnight does not exist on this day, which begins at 01:00 with the clock change.
        ("Asia/Beirut", "2021-03-28 12:00", "Today", "2021-03-27 22:00:00", "2021-03-28 20:59:59"),
    ],
)
def test_a_period_of_a_time_zone_follows_its_clocks(zone: str, at: str, name: str, first: str, last: str) -> None:
    bounds = bounds_of(PERIODS[name], utc(at).astimezone(ZoneInfo(zone)))
    assert [f"{bound.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for bound in bounds] == [first, last]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"])
def test_days_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=ZoneInfo(zone))
    for _ in range(366):
        at, before = shifted("day", at, 1), at
        assert start_of("day", at).astimezone(UTC) - end_of("day", before).astimezone(UTC) == SECOND
        assert start_of("day", at) <= at <= end_of("day", at)


def test_hours_are_time_that_passes_and_days_are_the_calendars() -> None:
    at = datetime(2026, 3, 29, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert at.astimezone(UTC) - shifted("hour", at, -24).astimezone(UTC) == timedelta(hours=24)
    assert at.astimezone(UTC) - shifted("day", at, -1).astimezone(UTC) == timedelta(hours=23)
