"""Parts and units of stored dates are the calendar's, on both databases."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import insert, select

from changegate.database import connection
from changegate.models import ChangeRequest
from changegate.services.tables.queries.date_parts import UNITS, part_number, unit_number
from changegate.services.tables.queries.periods import start_of

COLUMNS = ChangeRequest.__table__.c
# Around every turn of a year for half a century, where weeks and years disagree; and far from now.
YEARS = range(1999, 2050)
TURNS = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hours) for year in YEARS for hours in (-37, 0, 61)]
FAR = [datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC) for year in (1000, 1969, 9998)]
PARTS = ("dayofweek", "week", "month", "quarter", "year")


@pytest.fixture(autouse=True)
def instants(either_app: Flask) -> Iterator[None]:
    chosen = random.Random(53)
    others = [datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=chosen.randrange(10**9)) for _ in range(100)]
    common = {"state": 1, "sys_class_name": "change_request"}
    with either_app.app_context():
        rows = [
            {**common, "number": str(number), "start_date": at, "cab_date": at.date()}
            for number, at in enumerate((*TURNS, *FAR, *others))
        ]
        connection().execute(insert(ChangeRequest.__table__), rows)
        yield


def expected_part(part: str, at: date) -> int:
    parts = {"dayofweek": at.isoweekday(), "week": at.isocalendar().week, "quarter": (at.month + 2) // 3}
    return parts[part] if part in parts else int(getattr(at, part))


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "US/Eastern"])
def test_a_part_in_a_time_zone_is_what_its_clocks_and_calendars_show(name: str) -> None:
    zone, instant = ZoneInfo(name), COLUMNS["start_date"]
    for part in ("hour", *PARTS):
        rows = connection().execute(select(instant, part_number(part, instant, zone))).all()
        wrong = [(at, number) for at, number in rows if number != expected_part(part, at.astimezone(zone))]
        # Before zones were agreed on, databases and Python may count seconds differently.
        assert [(part, at, number) for at, number in wrong if at.year > 1000] == []


def test_days_of_a_time_zone_change_at_its_midnight() -> None:
    zone, instant = ZoneInfo("America/New_York"), COLUMNS["start_date"]
    days = select(instant, unit_number("day", instant, zone)).order_by(instant)
    for (one, first), (other, second) in pairwise(connection().execute(days).all()):
        is_same_day = one.astimezone(zone).date() == other.astimezone(zone).date()
        assert (first == second) is is_same_day


def test_parts_have_their_calendar_values() -> None:
    day, instant = COLUMNS["cab_date"], COLUMNS["start_date"]
    for part, column in [("hour", instant), *((part, column) for part in PARTS for column in (instant, day))]:
        rows = connection().execute(select(column, part_number(part, column))).all()
        assert [(part, at, number) for at, number in rows if number != expected_part(part, at)] == []


def test_units_have_one_number_each_and_keep_their_order() -> None:
    column = COLUMNS["start_date"]
    for unit in UNITS:
        rows = connection().execute(select(column, unit_number(unit, column)).order_by(column)).all()
        starts = [start_of(unit, at) for at, _ in rows]
        numbers = [number for _, number in rows]
        assert numbers == sorted(numbers)
        assert [a == b for a, b in pairwise(numbers)] == [a == b for a, b in pairwise(starts)], unit
