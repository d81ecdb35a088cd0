"""Conflicts with schedules: freezes, and items outside of their maintenance windows."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.models import Conflict
from changegate.services.conflicts.slots import find_obstacles
from changegate.services.process.changes import lock_change
from changegate.services.process.facts import gather_facts
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from tests.services.conflicts.calendar import ROOT, SAME, Calendar, at, hours, instant


def freeze(calendar: Calendar, start: float, end: float, **sent: Any) -> str:
    return scheduled(calendar, "cmn_schedule_blackout", start, end, **sent)


def windows(calendar: Calendar, start: float, end: float, *items: str) -> str:
    schedule = scheduled(calendar, "cmn_schedule_maintenance", start, end)
    for item in items:
        edit(calendar, "cmdb_ci", calendar.item(item), maintenance_schedule=schedule)
    return schedule


def scheduled(calendar: Calendar, table: str, start: float, end: float, **sent: Any) -> str:
    schedule = calendar.create(table, name=f"{table} {start}", time_zone="Etc/UTC", **sent)
    calendar.create("cmn_schedule_span", schedule=schedule, start_date_time=at(start), end_date_time=at(end))
    return schedule


def edit(calendar: Calendar, table: str, sys_id: str, **sent: Any) -> None:
    update_record(get_table(table), ROOT, sys_id, sent)
    commit()


def test_a_freeze_over_the_window_is_a_conflict_but_not_with_a_change(calendar: Calendar) -> None:
    freeze(calendar, 9, 12)
    change = calendar.change("router")
    assert calendar.conflicts(change) == [("blackout", None)]
    assert calendar.status(change) == "Conflict"
    assert gather_facts(lock_change(change) or {})["conflict.count"] == 0
    calendar.write(change, **hours(12, 14))
    assert calendar.status(change) == "No Conflict"


def test_each_item_that_a_freeze_names_has_a_row_once_for_all_its_spans(calendar: Calendar) -> None:
    names = [calendar.item(name) for name in ("a", "b", "c")]
    schedule = freeze(calendar, 8, 9, configuration_items=",".join(names[:2]))
    calendar.create("cmn_schedule_span", schedule=schedule, start_date_time=at(9.25), end_date_time=at(9.5))
    change = calendar.change("c")
    for item in ("a", "b"):
        calendar.affect(change, item)
    rows = connection().execute(select(Conflict).where(Conflict.change == change)).mappings().all()
    assert {row["schedule"] for row in rows} == {schedule}
    assert sorted(row["configuration_item"] for row in rows) == sorted(names[:2])


@pytest.mark.parametrize(("on", "expected"), [("server", "parent_blackout"), ("shop", "child_blackout")])
def test_freezes_of_parents_and_children_count(calendar: Calendar, on: str, expected: str) -> None:
    calendar.relate("shop", "server")
    other = "shop" if on == "server" else "server"
    freeze(calendar, 8, 9, configuration_items=calendar.item(other))
    assert calendar.conflicts(calendar.change(on)) == [(expected, None)]


def test_an_item_outside_of_its_maintenance_window_is_a_conflict(calendar: Calendar) -> None:
    calendar.relate("shop", "server")
    windows(calendar, 8, 10, "server")
    assert calendar.conflicts(calendar.change("server", 8, 10)) == []
    late = calendar.change("server", 9, 11)
    assert ("not_in_maintenance_window", None) in calendar.conflicts(late)
    assert ("child_not_in_maintenance_window", None) in calendar.conflicts(calendar.change("shop", 9, 11))
    # An item without a schedule can be changed at any time.
    assert calendar.conflicts(calendar.change("other", 9, 11)) == []


def test_schedules_that_are_edited_have_the_changes_checked_again(calendar: Calendar) -> None:
    changes = [calendar.change("router"), calendar.change("switch", 20, 21)]
    schedule = freeze(calendar, 9, 12)
    calendar.settle()
    assert [calendar.status(change) for change in changes] == ["Conflict", "No Conflict"]
    edit(calendar, "cmn_schedule_blackout", schedule, active="false")
    calendar.settle()
    assert [calendar.status(change) for change in changes] == ["No Conflict", "No Conflict"]


@pytest.mark.parametrize(
    ("covers", "edited"),
    [
        ({"change_types": "emergency"}, {"type": "emergency"}),
        ({"condition": "category=Network"}, {"category": "Network"}),
        ({"assignment_groups": "CAB Approval"}, {"assignment_group": "CAB Approval"}),
    ],
)
def test_an_edit_that_brings_a_change_under_a_freeze_is_a_conflict_at_once(
    calendar: Calendar, covers: dict[str, str], edited: dict[str, str]
) -> None:
    freeze(calendar, 8, 12, **covers)
    change = calendar.change("router")
    calendar.settle()
    assert calendar.status(change) == "No Conflict"
    calendar.write(change, **edited)
    assert (calendar.status(change), calendar.conflicts(change)) == ("Conflict", [("blackout", None)])


def test_a_freeze_of_an_impacted_service_is_a_conflict_and_leaves_no_free_time(calendar: Calendar) -> None:
    service = calendar.item("shop", "cmdb_ci_service")
    freeze(calendar, 8, 12, configuration_items=service)
    change = calendar.change("router")
    row = calendar.create("task_cmdb_ci_service", task=change, cmdb_ci_service=service)
    assert calendar.conflicts(change) == [("blackout", None)]
    found = find_obstacles(calendar.stored(change), instant(8)).first_free(timedelta(hours=1))
    assert found.slot == (instant(12), instant(13))
    calendar.delete("task_cmdb_ci_service", row)
    assert (calendar.status(change), calendar.conflicts(change)) == ("No Conflict", [])


def test_an_item_that_gets_a_maintenance_schedule_has_its_changes_checked_again(calendar: Calendar) -> None:
    change = calendar.change("router")
    windows(calendar, 0, 1, "router")
    calendar.settle()
    assert calendar.conflicts(change) == [("not_in_maintenance_window", None)]
    edit(calendar, "cmdb_ci", calendar.item("router"), maintenance_schedule="")
    calendar.settle()
    assert calendar.conflicts(change) == []


def test_conflicts_with_schedules_leave_room_for_those_with_changes(calendar: Calendar) -> None:
    other = calendar.change("router")
    freeze(calendar, 9, 12)
    change = calendar.change("router")
    assert calendar.conflicts(change) == [("blackout", None), (SAME, other)]
    assert gather_facts(lock_change(change) or {})["conflict.count"] == 1
