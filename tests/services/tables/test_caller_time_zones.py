"""What a caller's time zone means for records: shown, written and searched, on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.aggregates import Aggregation, aggregate_records
from changegate.services.tables.reading.records import read_page, read_record
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.support.queries import ROOT

CHANGES = get_table("change_request")
BERLIN = replace(ROOT, time_zone=ZoneInfo("Europe/Berlin"))
NEW_YORK = replace(ROOT, time_zone=ZoneInfo("America/New_York"))
LORD_HOWE = replace(ROOT, time_zone=ZoneInfo("Australia/Lord_Howe"))
# The day in Berlin whose clocks go back, 23 hours after it has begun there.
NOW = datetime(2026, 10, 25, 21, tzinfo=UTC)


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    either_app.config["CLOCK"] = lambda: NOW
    with either_app.app_context():
        yield


def create(**fields: Any) -> str:
    sys_id = create_record(CHANGES, ROOT, fields)["sys_id"]
    db.session.commit()
    return str(sys_id)


def shown(sys_id: str, caller: Any, *fields: str, display: DisplayValue = DisplayValue.DISPLAY) -> Any:
    record = read_record(CHANGES, caller, sys_id, Shape("", display, fields=fields))
    return record[fields[0]] if len(fields) == 1 else record


def test_display_values_follow_the_callers_clock_and_values_do_not() -> None:
    sys_id = create(start_date="2026-01-31 23:30:00", cab_date="2026-01-31", opened_by="admin")
    winter = ((BERLIN, "2026-02-01 00:30:00"), (NEW_YORK, "2026-01-31 18:30:00"), (ROOT, "2026-01-31 23:30:00"))
    for caller, text in winter:
        assert shown(sys_id, caller, "start_date") == text
        assert shown(sys_id, caller, "start_date", display=DisplayValue.ACTUAL) == "2026-01-31 23:30:00"
        both = {"display_value": text, "value": "2026-01-31 23:30:00"}
        assert shown(sys_id, caller, "start_date", display=DisplayValue.ALL) == both
        assert shown(sys_id, caller, "cab_date") == "2026-01-31"
        assert shown(sys_id, caller, "end_date") == ""


def test_walked_fields_and_journals_follow_the_callers_clock() -> None:
    parent = create()
    child = create(parent=parent)
    update_record(CHANGES, ROOT, child, {"work_notes": "Done"})
    assert shown(child, BERLIN, "parent.opened_at") == shown(parent, BERLIN, "opened_at")
    assert shown(child, BERLIN, "parent.opened_at") != shown(child, ROOT, "parent.opened_at")
    at = shown(child, BERLIN, "sys_updated_on")
    assert shown(child, BERLIN, "work_notes").startswith(f"{at} - ")
    assert shown(child, ROOT, "work_notes").startswith(f"{shown(child, ROOT, 'sys_updated_on')} - ")
    assert at != shown(child, ROOT, "sys_updated_on")


# The local time, what is stored, and what is shown again: skipped times move on, the first of two is meant.
NIGHTS = [
    (BERLIN, "2026-03-29 01:59:59", "2026-03-29 00:59:59", "2026-03-29 01:59:59"),
    (BERLIN, "2026-03-29 02:30:00", "2026-03-29 01:30:00", "2026-03-29 03:30:00"),
    (BERLIN, "2026-03-29 03:00:00", "2026-03-29 01:00:00", "2026-03-29 03:00:00"),
    (BERLIN, "2026-10-25 02:30:00", "2026-10-25 00:30:00", "2026-10-25 02:30:00"),
    (BERLIN, "2026-10-25 03:00:00", "2026-10-25 02:00:00", "2026-10-25 03:00:00"),
    (NEW_YORK, "2026-03-08 02:30:00", "2026-03-08 07:30:00", "2026-03-08 03:30:00"),
    (NEW_YORK, "2026-11-01 01:30:00", "2026-11-01 05:30:00", "2026-11-01 01:30:00"),
    (LORD_HOWE, "2026-10-04 02:15:00", "2026-10-03 15:45:00", "2026-10-04 02:45:00"),
    (LORD_HOWE, "2026-04-05 01:45:00", "2026-04-04 14:45:00", "2026-04-05 01:45:00"),
    (BERLIN, "2026-07-01T12:00:00+00:00", "2026-07-01 12:00:00", "2026-07-01 14:00:00"),
    (BERLIN, "2026-07-01", "2026-06-30 22:00:00", "2026-07-01 00:00:00"),
    (ROOT, "2026-03-29 02:30:00", "2026-03-29 02:30:00", "2026-03-29 02:30:00"),
]


@pytest.mark.parametrize(("caller", "local", "stored", "again"), NIGHTS)
def test_a_display_value_is_read_by_the_callers_clock(caller: Any, local: str, stored: str, again: str) -> None:
    sys_id = create()
    update_record(CHANGES, caller, sys_id, {"start_date": local}, input_display_value=True)
    pair = {"display_value": again, "value": stored}
    assert shown(sys_id, caller, "start_date", display=DisplayValue.ALL) == pair
    # What was read goes back unchanged: where both are sent, the value counts.
    update_record(CHANGES, caller, sys_id, {"start_date": pair}, input_display_value=True)
    assert shown(sys_id, ROOT, "start_date") == stored


def test_the_second_of_two_local_times_is_reached_by_its_value() -> None:
    sys_id = create(start_date="2026-10-25 01:30:00")
    assert shown(sys_id, BERLIN, "start_date") == "2026-10-25 02:30:00"


def test_a_value_is_utc_for_every_caller() -> None:
    sys_id = str(create_record(CHANGES, BERLIN, {"start_date": "2026-07-01 12:00:00"})["sys_id"])
    assert shown(sys_id, ROOT, "start_date") == "2026-07-01 12:00:00"


# Berlin's Sunday from 22:00 UTC to 23:00 UTC of the next day, New York's from 04:00 to 04:00.
STARTS = {
    "before": "2026-10-24 21:59:59",
    "midnight": "2026-10-24 22:00:00",
    "morning": "2026-10-25 03:59:59",
    "noon": "2026-10-25 11:00:00",
    "late": "2026-10-25 22:59:59",
    "after": "2026-10-25 23:00:00",
}
SUNDAY = ((BERLIN, "midnight morning noon late"), (NEW_YORK, "noon late after"), (ROOT, "morning noon late after"))
SAME_DAY = [
    "start_dateONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()",
    "start_dateONToday",
    "start_dateON2026-10-25",
    "start_dateON20261025",
    "start_date>=javascript:gs.beginningOfToday()^start_date<=javascript:gs.endOfToday()",
    "start_date>=javascript:gs.now()^start_date<=javascript:gs.daysAgoEnd(0)",
    "start_dateBETWEENjavascript:gs.dateGenerate('2026-10-25','start')@javascript:gs.dateGenerate('2026-10-25','end')",
    "start_dateRELATIVEEE@day@ago@0",
    "start_dateSAMEASend_date@day",
]


@pytest.mark.parametrize("query", SAME_DAY)
def test_a_day_is_the_callers(query: str) -> None:
    for name, start in STARTS.items():
        create(short_description=name, start_date=start, end_date="2026-10-25 12:00:00")
    assert [_found(query, caller) for caller, _ in SUNDAY] == [set(names.split()) for _, names in SUNDAY]


def test_date_parts_are_the_callers() -> None:
    create(short_description="late", start_date="2026-10-25 23:30:00")
    hours = ((BERLIN, "0", "monday"), (NEW_YORK, "19", "sunday"), (ROOT, "23", "sunday"))
    for caller, hour, day in hours:
        query = (
            f"start_dateDATEPART{hour}@javascript:gs.datePart('hour','{hour}','EE')"
            f"^start_dateDATEPART{day}@javascript:gs.datePart('dayofweek','{day}','EE')"
        )
        # Callers with a zone share one statement; the zone is a parameter of it.
        assert [other for other, _, _ in hours if _found(query, other)] == [caller]


def test_a_written_out_time_is_a_value_in_every_zone() -> None:
    create(short_description="noon", start_date="2026-10-25 11:00:00")
    for caller, _ in SUNDAY:
        assert _found("start_date=2026-10-25 11:00:00", caller) == {"noon"}
        assert _found("start_date>2026-10-25 10:59:59^start_date<2026-10-25 11:00:01", caller) == {"noon"}


def test_grouped_dates_are_shown_by_the_callers_clock() -> None:
    create(start_date="2026-10-25 11:00:00")
    asked = Aggregation(counts=True, group_by=("start_date",), display_value=DisplayValue.ALL)
    query = parse_encoded_query("start_dateISNOTEMPTY")
    for caller, text in ((BERLIN, "2026-10-25 12:00:00"), (ROOT, "2026-10-25 11:00:00")):
        [group] = aggregate_records(CHANGES, caller, query, asked)
        expected = {"field": "start_date", "display_value": text, "value": "2026-10-25 11:00:00"}
        assert group["groupby_fields"] == [expected]


@pytest.mark.parametrize("unit", ["hour", "day", "week", "month", "quarter", "year"])
@pytest.mark.parametrize("caller", [BERLIN, NEW_YORK, LORD_HOWE])
def test_where_the_calendar_ends_a_term_is_dropped(caller: Any, unit: str) -> None:
    create(short_description="noon", start_date="2026-10-25 11:00:00")
    days = (NOW.astimezone(caller.time_zone).date() - date.min).days
    counts = {"hour": days * 24, "day": days, "week": days // 7, "month": 2025 * 12 + 9, "quarter": 8103, "year": 2025}
    for count in range(counts[unit] - 2, counts[unit] + 3):
        for operator in ("RELATIVEEE", "RELATIVELT", "RELATIVEGE"):
            for side in ("ago", "ahead"):
                _found(f"start_date{operator}@{unit}@{side}@{count}", caller)


def _found(query: str, caller: Any) -> set[str]:
    shape = Shape("", fields=("short_description",))
    page = read_page(CHANGES, caller, parse_encoded_query(query), shape, limit=100, offset=0)
    return {str(record["short_description"]) for record in page.records}
