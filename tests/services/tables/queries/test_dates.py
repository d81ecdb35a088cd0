"""Calls that stand for a value: a fixed list, read and never run (docs/reference/encoded-queries.md#calls)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.dates import Moment, TermInvalid, literal_text

ANN = Caller("a" * 32, "ann", Permissions(frozenset()))
MOMENT = Moment(ANN, datetime(2026, 1, 31, 8, 30, 15, tzinfo=UTC))


@pytest.mark.parametrize(
    ("call", "meaning"),
    [
        ("gs.getUserID()", "a" * 32),
        ("gs.getUserName()", "ann"),
        ("gs.now()", "2026-01-31"),
        ("gs.nowDateTime()", "2026-01-31 08:30:15"),
        (" gs . nowDateTime ( ) ; ", "2026-01-31 08:30:15"),
        ("gs.beginningOfToday()", "2026-01-31 00:00:00"),
        ("gs.endOfLastMonth()", "2025-12-31 23:59:59"),
        ("gs.daysAgo(1)", "2026-01-30 08:30:15"),
        ("gs.daysAgo(-1)", "2026-02-01 08:30:15"),
        ("gs.daysAgoStart(1)", "2026-01-30 00:00:00"),
        ("gs.daysAgoEnd( 1 )", "2026-01-30 23:59:59"),
        ("gs.hoursAgo(9)", "2026-01-30 23:30:15"),
        ("gs.hoursAgoStart(0)", "2026-01-31 08:00:00"),
        ("gs.minutesAgoEnd(30)", "2026-01-31 08:00:59"),
        ("gs.monthsAgo(2)", "2025-11-30 08:30:15"),
        ("gs.quartersAgoStart(1)", "2025-10-01 00:00:00"),
        ("gs.yearsAgoEnd(1)", "2025-12-31 23:59:59"),
        ("gs.dateGenerate('2024-05-01','start')", "2024-05-01 00:00:00"),
        ('gs.dateGenerate("2024-05-01", "end")', "2024-05-01 23:59:59"),
        ("gs.dateGenerate('2024-05-01','12:30:00')", "2024-05-01 12:30:00"),
        ('gs.dateGenerate("2024-05-01 12:30:00")', "2024-05-01 12:30:00"),
        ('gs.dateGenerate("2024-05-01")', "2024-05-01 00:00:00"),
    ],
)
def test_a_call_of_the_list_stands_for_a_text(call: str, meaning: str) -> None:
    assert literal_text(f"javascript:{call}", MOMENT) == meaning


@pytest.mark.parametrize(
    "call",
    [
        "",
        "alert(1)",
        "gs.getUser().getID()",
        "gs.getProperty('x')",
        "gs.now('x')",
        "gs.nowDateTime(1)",
        "gs.getUserID",
        "gs.getUserID()+1",
        "gs.getUserID();gs.now()",
        "gs.getUserID(())",
        "gs.beginningOfNever()",
        "gs.beginningOfToday(1)",
        "gs.daysAgo()",
        "gs.daysAgo(1,2)",
        "gs.daysAgo(x)",
        "gs.daysAgo('one')",
        "gs.daysAgo(9999999)",
        "gs.yearsAgo(9999999)",
        "gs.daysAgoMiddle(1)",
        "gs.dateGenerate()",
        "gs.dateGenerate('')",
        "gs.dateGenerate('2024-05-01','noon')",
        "gs.dateGenerate('2024-13-01','start')",
        "gs.dateGenerate('2024-05-01','start','end')",
        "gs.dateGenerate('2024-05-01\",'start')",
        "gs.datePart('year','2026','EE')",
        "__import__('os').system('true')",
    ],
)
def test_every_other_call_is_refused(call: str) -> None:
    with pytest.raises(TermInvalid):
        literal_text(f"javascript:{call}", MOMENT)


@pytest.mark.parametrize("text", ["", "gs.now()", " javascript:gs.now()", "JavaScript:gs.now()", "2026-01-31"])
def test_every_other_text_is_returned_unchanged(text: str) -> None:
    assert literal_text(text, MOMENT) == text


@given(st.text("gs.daysAgo(1)'\",; \n-9"))
def test_no_call_whatever_does_anything_but_mean_or_be_refused(call: str) -> None:
    try:
        meaning = literal_text(f"javascript:{call}", MOMENT)
    except TermInvalid:
        return
    assert meaning


# In Berlin it is 00:30 on the day whose clocks go forward.
IN_BERLIN = Moment(ANN, datetime(2026, 3, 28, 23, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin")))


@pytest.mark.parametrize(
    ("call", "instant", "text"),
    [
        ("gs.now()", "2026-03-28 23:00:00", "2026-03-29"),
        ("gs.nowDateTime()", "2026-03-28 23:30:00", "2026-03-29 00:30:00"),
        ("gs.beginningOfToday()", "2026-03-28 23:00:00", "2026-03-29 00:00:00"),
        ("gs.endOfToday()", "2026-03-29 21:59:59", "2026-03-29 23:59:59"),
        ("gs.daysAgo(-1)", "2026-03-29 22:30:00", "2026-03-30 00:30:00"),
        ("gs.hoursAgo(-24)", "2026-03-29 23:30:00", "2026-03-30 01:30:00"),
        ("gs.dateGenerate('2026-07-01','start')", "2026-06-30 22:00:00", "2026-07-01 00:00:00"),
        ("gs.dateGenerate('2026-03-29','02:30:00')", "2026-03-29 01:30:00", "2026-03-29 02:30:00"),
        ("gs.dateGenerate('2026-10-25','02:30:00')", "2026-10-25 00:30:00", "2026-10-25 02:30:00"),
    ],
)
def test_a_call_is_about_the_callers_clock(call: str, instant: str, text: str) -> None:
    assert literal_text(f"javascript:{call}", IN_BERLIN, "glide_date_time") == instant
    assert literal_text(f"javascript:{call}", IN_BERLIN, "glide_date") == text
