"""Writes of schedules and spans: what is valid, who may write, and what is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from changegate.database import commit, connection, rollback
from changegate.errors import AccessRefused, InputInvalid, OperationFailed
from changegate.models import ChgHistory, CmnScheduleSpan
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.schedules import row_rules
from changegate.services.schedules.stored import read_schedules
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
TOKEN = Caller(ROOT.sys_id, "admin", Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "s")))
FREEZE, MAINTENANCE, SPAN = "cmn_schedule_blackout", "cmn_schedule_maintenance", "cmn_schedule_span"
NIGHT = {"start_date_time": "2026-12-24 22:00:00", "end_date_time": "2026-12-25 06:00:00"}


def create(table: str, caller: Caller = ROOT, **sent: Any) -> str:
    return str(create_record(get_table(table), caller, sent)["sys_id"])


def freeze(**sent: Any) -> str:
    return create(FREEZE, **{"name": "Year end", "time_zone": "Europe/Berlin", **sent})


@contextmanager
def refused(sentence: str) -> Iterator[None]:
    with pytest.raises(OperationFailed) as raised:
        yield
    assert sentence in str(raised.value.detail)


def write(table: str, sys_id: str, **sent: Any) -> None:
    update_record(get_table(table), ROOT, sys_id, sent)


def value(table: str, sys_id: str, field: str) -> Any:
    return get_row(get_table(table), ROOT, sys_id, (field,))[0]


@pytest.mark.parametrize(
    "zone", ["", "Floating", "Berlin", "+01:00", "CET+1", "../UTC", "Factory", "Europe/Berlin\n/x"]
)
def test_a_schedule_has_a_time_zone_of_the_time_zone_database(zone: str) -> None:
    with pytest.raises(InputInvalid, match="IANA name"):
        freeze(time_zone=zone)


def test_a_time_zone_is_stored_as_the_database_spells_it() -> None:
    assert value(FREEZE, freeze(time_zone=" europe/berlin "), "time_zone") == "Europe/Berlin"
    maintenance = create(MAINTENANCE, name="Nights", time_zone="etc/utc")
    write(MAINTENANCE, maintenance, time_zone="AUSTRALIA/LORD_HOWE")
    assert value(MAINTENANCE, maintenance, "time_zone") == "Australia/Lord_Howe"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"change_types": "normal,urgent"}, "'urgent' is not a type"),
        ({"condition": "priority="}, ""),
        ({"condition": "cmdb_ci.name=router"}, "neither a field"),
        ({"condition": "task.active=0"}, "task.active is not a field"),
        ({"condition": "approval.missing>0^ORrisk=2"}, "approval.missing is not a field"),
        ({"condition": "ORDERBYnumber"}, "sorts"),
    ],
)
def test_a_freeze_covers_what_can_be_evaluated(sent: dict[str, str], message: str) -> None:
    if not message:
        freeze(**sent)
        return
    with pytest.raises(InputInvalid, match=message):
        freeze(**sent)
    sys_id = freeze()
    with pytest.raises(InputInvalid, match=message):
        write(FREEZE, sys_id, **sent)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"end_date_time": "2026-12-24 22:00:00"}, "must be after the start"),
        ({"end_date_time": "2026-12-24 21:00:00"}, "must be after the start"),
        ({"start_date_time": "2026-12-24"}, "by the clock"),
        ({"start_date_time": "2026-12-24 22:00:00+01:00"}, "by the clock"),
        ({"start_date_time": "2026-12-24T21:00Z"}, "by the clock"),
        ({"start_date_time": "Christmas"}, "'Christmas' is not a time"),
        ({"start_date_time": "1066-10-14 09:00:00"}, "from 1971 to 2499"),
        ({"end_date_time": "9999-12-31 00:00:00"}, "from 1971 to 2499"),
        ({"repeat_type": "daily", "end_date_time": "2026-12-25 22:00:01"}, "can last 1 days"),
        ({"repeat_type": "monthly", "end_date_time": "2027-02-01 00:00:00"}, "can last 28 days"),
        ({"repeat_type": "weekly", "days_of_week": "08"}, "1 for Monday"),
        ({"repeat_type": "weekly", "days_of_week": "Mo,Tu"}, "1 for Monday"),
        ({"repeat_type": "daily", "repeat_count": "0"}, "from 1 to 99"),
        ({"repeat_type": "yearly", "repeat_count": "2000000"}, "from 1 to 99"),
        ({"repeat_type": "daily", "repeat_until": "2026-12-23"}, "not be before the first"),
    ],
)
def test_a_span_has_a_length_and_a_repetition_that_ends_before_it_begins_again(
    sent: dict[str, str], message: str
) -> None:
    schedule = freeze()
    with pytest.raises(InputInvalid, match=message):
        create(SPAN, schedule=schedule, **{**NIGHT, **sent})
    span = create(SPAN, schedule=schedule, **NIGHT)
    with pytest.raises(InputInvalid, match=message):
        write(SPAN, span, **sent)


def test_a_repeating_span_is_mandatory_in_the_same_fields_as_any() -> None:
    with refused("mandatory: End"):
        create(SPAN, schedule=freeze(), start_date_time="2026-12-24 22:00:00", repeat_type="daily")


def test_times_are_stored_in_one_format_and_never_converted() -> None:
    span = create(SPAN, schedule=freeze(), start_date_time="2026-12-24T22:00", end_date_time=" 2026-12-25 06:00:00.5 ")
    assert value(SPAN, span, "start_date_time") == "2026-12-24 22:00:00"
    assert value(SPAN, span, "end_date_time") == "2026-12-25 06:00:00"


def test_a_span_stays_with_its_schedule_and_is_deleted_with_it() -> None:
    schedule, other = freeze(), freeze(name="Other")
    span = create(SPAN, schedule=schedule, **NIGHT)
    with pytest.raises(InputInvalid, match="stays with its schedule"):
        write(SPAN, span, schedule=other)
    delete_record(get_table(FREEZE), ROOT, schedule)
    assert connection().execute(select(func.count(CmnScheduleSpan.sys_id))).scalar_one() == 0


def test_every_edit_raises_the_version_and_is_in_the_history_of_the_schedule() -> None:
    schedule = freeze()
    span = create(SPAN, schedule=schedule, **NIGHT)
    write(SPAN, span, end_date_time="2026-12-25 07:00:00")
    write(FREEZE, schedule, enforcement="soft")
    write(FREEZE, schedule, enforcement="soft")  # no edit
    assert value(FREEZE, schedule, "version") == 4
    delete_record(get_table(SPAN), ROOT, span)
    assert value(FREEZE, schedule, "version") == 5
    history = (
        select(ChgHistory.kind, ChgHistory.facts).where(ChgHistory.subject_id == schedule).order_by(ChgHistory.seq)
    )
    rows = connection().execute(history).all()
    assert {row.kind for row in rows} == {"schedule_edited"}
    changes = [orjson.loads(row.facts)["changes"] for row in rows]
    assert changes[2]["end_date_time"] == ["2026-12-25 06:00:00", "2026-12-25 07:00:00"]
    assert changes[3]["enforcement"] == ["hard", "soft"]
    assert changes[-1]["start_date_time"] == ["2026-12-24 22:00:00", None]
    delete_record(get_table(FREEZE), ROOT, schedule)
    with refused("exists"):
        create(FREEZE, sys_id=schedule, name="Again", time_zone="UTC")


@pytest.mark.parametrize("table", [FREEZE, MAINTENANCE, SPAN])
def test_no_token_writes_a_schedule(table: str) -> None:
    schedule = freeze()
    sent = {"schedule": schedule, **NIGHT} if table == SPAN else {"name": "By a token", "time_zone": "UTC"}
    with pytest.raises(AccessRefused):
        create(table, TOKEN, **sent)
    with pytest.raises(AccessRefused):
        update_record(get_table(FREEZE), TOKEN, schedule, {"active": "false"})
    with pytest.raises(AccessRefused):
        delete_record(get_table(FREEZE), TOKEN, schedule)


def test_the_common_table_shows_every_class_and_writes_none() -> None:
    schedule = freeze()
    assert value("cmn_schedule", schedule, "sys_class_name") == FREEZE
    with pytest.raises(AccessRefused):
        create("cmn_schedule", name="None", time_zone="UTC")


def test_the_number_of_spans_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_rules, "MOST_SPANS", 3)
    monkeypatch.setattr(row_rules, "MOST_REPEATING", 1)
    schedule = freeze()
    create(SPAN, schedule=schedule, **NIGHT, repeat_type="daily")
    once = create(SPAN, schedule=schedule, **NIGHT)
    with refused("1 repeating spans"):
        create(SPAN, schedule=freeze(name="Other"), **NIGHT, repeat_type="weekly")
    with refused("1 repeating spans"):
        write(SPAN, once, repeat_type="yearly")
    write(SPAN, once, name="Eve")
    create(SPAN, schedule=schedule, **NIGHT)
    with refused("3 spans"):
        create(SPAN, schedule=schedule, **NIGHT)


def test_readers_see_what_is_committed_and_nothing_that_was_rolled_back() -> None:
    schedule = freeze()
    create(SPAN, schedule=schedule, **NIGHT)
    commit()
    before = read_schedules()
    assert [(each.name, len(each.schedule.spans)) for each in before.freezes] == [("Year end", 1)]
    assert read_schedules() is before
    write(FREEZE, schedule, active="false")
    assert not read_schedules().freezes
    rollback()
    assert read_schedules() is before
