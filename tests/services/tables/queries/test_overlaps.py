"""Windows that overlap a period, on both databases: SQLite finds them by the cells of an index."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from changegate.database import connection
from changegate.database.windows import MOST_CELLS, cells_of
from changegate.extensions import db
from changegate.models import ChangeRequest
from changegate.models.base import new_sys_id
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from tests.support.people import ROOT

CHANGES = get_table("change_request")
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
LENGTHS = (
    *(timedelta(0), -DAY / 24, DAY / 24, 300 * DAY),
    *(edge for days in (1, 8, 64) for edge in (days * DAY - MOMENT, days * DAY, days * DAY + MOMENT)),
)
BEGINS = (-70 * DAY, -8 * DAY, -DAY, -DAY / 2, timedelta(0), DAY / 3, DAY, 2 * DAY, 9 * DAY)
WINDOWS = [(at + begin, at + begin + length) for at in (NOON, BEGINNING) for begin in BEGINS for length in LENGTHS]
PERIODS = [
    (at + shift, at + shift + length)
    for at in (NOON, BEGINNING)
    for shift in (-DAY, timedelta(0), DAY / 2)
    for length in (timedelta(0), DAY / 24, DAY, 9 * DAY, (MOST_CELLS + 9) * DAY, -DAY)
]
pytestmark = pytest.mark.usefixtures("at_work")


@pytest.fixture
def at_work(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        open_ended = [(NOON, None), (None, NOON), (None, None)]
        rows = [
            {"sys_id": new_sys_id(), "number": f"C{at}", "sys_class_name": "change_request", "state": -5}
            | {"start_date": start, "end_date": end, "active": at % 2 == 0}
            for at, (start, end) in enumerate([*WINDOWS, *open_ended])
        ]
        connection().execute(insert(ChangeRequest.__table__), rows)
        yield
        db.session.rollback()


def count(query: str) -> int:
    return count_records(CHANGES, ROOT, parse_encoded_query(query))


def test_finds_each_window_that_overlaps_a_period() -> None:
    for first, last in PERIODS:
        text = f"start_date<{last:%F %T}^end_date>{first:%F %T}"
        overlapping = [start < last and end > first for start, end in WINDOWS]
        assert count(text) == sum(overlapping), text
        assert count(f"end_date>={first:%F %T}^active=true^start_date<={last:%F %T}") == sum(
            at % 2 == 0 and start <= last and end >= first for at, (start, end) in enumerate(WINDOWS)
        )


@pytest.mark.parametrize(
    "query",
    ["start_date<nonsense^end_date>2026-03-10 00:00:00", "start_date<2026-03-11 00:00:00^end_date>"],
)
def test_an_invalid_time_is_ignored_as_in_other_conditions(query: str) -> None:
    first, second = query.split("^")
    valid = first if "nonsense" in second or second.endswith(">") else second
    assert count(query) == count(valid)


def test_a_second_condition_on_a_time_applies_too() -> None:
    overlap = f"start_date<{NOON + DAY:%F %T}^end_date>{NOON:%F %T}"
    assert count(f"{overlap}^start_date<{NOON - DAY:%F %T}") == sum(
        start < NOON - DAY and end > NOON for start, end in WINDOWS
    )


@pytest.mark.parametrize(
    "others", ["numberSTARTSWITHC1^ORnumberSTARTSWITHC2", "assignment_groupISEMPTY^active=true", "assigned_toISEMPTY"]
)
def test_other_conditions_apply_too(others: str) -> None:
    overlap = f"start_date<{NOON + DAY:%F %T}^end_date>{NOON:%F %T}"
    numbers = [at for at, (start, end) in enumerate(WINDOWS) if start < NOON + DAY and end > NOON]
    if "number" in others:
        numbers = [at for at in numbers if str(at)[0] in "12"]
    if "active" in others:
        numbers = [at for at in numbers if at % 2 == 0]
    assert count(f"{others}^{overlap}") == len(numbers) > 0


def test_the_windows_of_a_person_are_found_by_the_person() -> None:
    overlap = f"start_date<{NOON + DAY:%F %T}^end_date>{NOON:%F %T}"
    assert count(f"{overlap}^assigned_to={ROOT.sys_id}") == 0


def test_a_long_period_has_no_cells() -> None:
    assert len(cells_of(NOON, NOON + DAY)) % 8 == 0
    assert cells_of(NOON, NOON + (MOST_CELLS + 1) * DAY) == []
