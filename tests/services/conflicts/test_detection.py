"""Conflicts of changes: which are found, for both changes, and what removes them."""

from collections.abc import Callable
from unittest import mock

import pytest
from sqlalchemy import func, select, update

from changegate.database import connection
from changegate.errors import AccessRefused
from changegate.models import Conflict, SysUser, Task
from changegate.services.approvals.content import GOVERNED_FIELDS, read_content
from changegate.services.conflicts import detection
from changegate.services.process.changes import lock_change
from changegate.services.process.facts import gather_facts
from tests.services.conflicts.calendar import CHILD, PARENT, PERSON, ROOT, SAME, WRITER, Calendar, at, hours

CANCEL = {"state": "4"}


def test_changes_of_one_item_at_the_same_time_name_each_other(calendar: Calendar) -> None:
    first, second = calendar.change("router"), calendar.change("router", 9, 11)
    assert calendar.conflicts(first) == [(SAME, second)]
    assert calendar.conflicts(second) == [(SAME, first)]
    assert calendar.status(second) == "Conflict"
    calendar.settle()
    assert calendar.status(first) == "Conflict"


def test_a_change_without_conflicts_says_so_and_one_without_a_plan_was_not_checked(calendar: Calendar) -> None:
    free, unplanned = calendar.change("router"), calendar.create("change_request", WRITER, cmdb_ci=calendar.item("r"))
    assert calendar.status(free) == "No Conflict"
    assert calendar.stored(free)["conflict_last_run"] is not None
    assert calendar.status(unplanned) == "Not Run"
    assert calendar.stored(unplanned)["conflict_last_run"] is None


@pytest.mark.parametrize(
    ("start", "end", "is_conflict"), [(10, 12, False), (6, 8, False), (9.5, 12, True), (7, 8.5, True)]
)
def test_the_end_of_a_window_is_exclusive(calendar: Calendar, start: float, end: float, is_conflict: bool) -> None:
    first, second = calendar.change("router", 8, 10), calendar.change("router", start, end)
    expected = [(SAME, first)] if is_conflict else []
    assert calendar.conflicts(second) == expected


@pytest.mark.parametrize(("start", "end"), [(9, 9), (11, 7)])
def test_a_window_without_length_overlaps_nothing_whichever_change_is_saved_last(
    calendar: Calendar, start: float, end: float
) -> None:
    other = calendar.change("router", 8, 10)
    empty = calendar.change("router", start, end)
    calendar.write(other, end_date=at(10.5))
    # If the changes did not agree, each would have the other one checked again, without an end.
    calendar.settle()
    assert (calendar.status(other), calendar.status(empty)) == ("No Conflict", "Not Run")
    assert (calendar.conflicts(other), calendar.conflicts(empty)) == ([], [])


def test_affected_items_count_like_the_main_one_and_each_item_has_a_row(calendar: Calendar) -> None:
    first, second = calendar.change("router"), calendar.change("switch")
    calendar.affect(second, "router")
    calendar.affect(first, "switch")
    assert calendar.conflicts(first) == [(SAME, second), (SAME, second)]
    assert calendar.conflicts(second) == [(SAME, first), (SAME, first)]
    items = set(connection().execute(select(Conflict.configuration_item)).scalars())
    assert items == {calendar.item("router"), calendar.item("switch")}


def test_an_affected_item_that_is_replaced_or_removed_takes_its_conflict_along(calendar: Calendar) -> None:
    first, second = calendar.change("router"), calendar.change("switch")
    affected = calendar.affect(second, "router")
    assert calendar.status(second) == "Conflict"
    calendar.delete("task_ci", affected)
    assert (calendar.conflicts(first), calendar.conflicts(second)) == ([], [])
    assert calendar.status(second) == "No Conflict"
    calendar.settle()
    assert calendar.status(first) == "No Conflict"


def test_one_person_cannot_work_on_two_changes_at_once(calendar: Calendar) -> None:
    first, second = (calendar.change(None, assigned_to=ROOT.sys_id) for _ in range(2))
    assert calendar.conflicts(first) == [(PERSON, second)]
    calendar.write(second, assigned_to="")
    assert calendar.conflicts(first) == []


def test_changes_of_parents_and_children_conflict_at_any_distance(calendar: Calendar) -> None:
    calendar.relate("shop", "cluster")
    calendar.relate("cluster", "server")
    above, below = calendar.change("shop"), calendar.change("server")
    assert calendar.conflicts(below) == [(PARENT, above)]
    assert calendar.conflicts(above) == [(CHILD, below)]
    row = connection().execute(select(Conflict).where(Conflict.change == below)).mappings().one()
    assert (row["configuration_item"], row["related_configuration_item"]) == tuple(
        map(calendar.item, ("server", "shop"))
    )


def test_relationships_in_a_cycle_end(calendar: Calendar) -> None:
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")):
        calendar.relate(parent, child)
    first, second = calendar.change("a"), calendar.change("c")
    # Each item is above the other and below it.
    assert calendar.conflicts(second) == [(CHILD, first), (PARENT, first)]
    assert calendar.conflicts(first) == [(CHILD, second), (PARENT, second)]


def test_a_relationship_that_is_written_or_deleted_has_the_changes_checked_again(calendar: Calendar) -> None:
    above, below = calendar.change("shop"), calendar.change("server")
    calendar.relate("top", "shop")
    relation = calendar.relate("shop", "server")
    calendar.settle()
    assert calendar.conflicts(below) == [(PARENT, above)]
    assert calendar.status(above) == calendar.status(below) == "Conflict"
    calendar.delete("cmdb_rel_ci", relation)
    calendar.settle()
    assert calendar.conflicts(above) == calendar.conflicts(below) == []
    assert calendar.status(below) == "No Conflict"


def move_away(calendar: Calendar, change: str) -> None:
    calendar.write(change, **hours(20, 21))


def cancel(calendar: Calendar, change: str) -> None:
    calendar.write(change, **CANCEL)


def take_another_item(calendar: Calendar, change: str) -> None:
    calendar.write(change, cmdb_ci=calendar.item("other"))


def lose_its_plan(calendar: Calendar, change: str) -> None:
    calendar.write(change, start_date="")


def exclude(calendar: Calendar, change: str) -> None:
    calendar.write(change, ROOT, exclude_from_conflict_detection="true")


def delete(calendar: Calendar, change: str) -> None:
    calendar.delete("change_request", change)


def delete_its_item(calendar: Calendar, change: str) -> None:
    calendar.delete("cmdb_ci", calendar.item("router"))


@pytest.mark.parametrize("end", [move_away, cancel, take_another_item, lose_its_plan, exclude, delete, delete_its_item])
def test_a_conflict_ends_for_both_changes(calendar: Calendar, end: Callable[[Calendar, str], None]) -> None:
    first, second = calendar.change("router"), calendar.change("router")
    calendar.settle()
    assert calendar.status(first) == "Conflict"
    end(calendar, second)
    assert calendar.conflicts(first) == calendar.conflicts(second) == []
    calendar.settle()
    # Without its item, nothing is left to check.
    assert calendar.status(first) == ("Not Run" if end is delete_its_item else "No Conflict")


@pytest.mark.parametrize("end", [cancel, exclude])
def test_changes_that_have_ended_or_are_excluded_do_not_count(
    calendar: Calendar, end: Callable[[Calendar, str], None]
) -> None:
    end(calendar, calendar.change("router"))
    assert calendar.status(calendar.change("router")) == "No Conflict"


def test_a_change_in_its_last_state_counts_no_more_however_it_came_there(calendar: Calendar) -> None:
    first, second = calendar.change("router"), calendar.change("router")
    state = {"state": 0, "approval": "approved", "assignment_group": calendar.create("sys_user_group", name="Network")}
    connection().execute(update(Task).where(Task.sys_id == second).values(state))
    calendar.write(second, state="3", close_code="successful", close_notes="Done.")
    assert calendar.conflicts(first) == []


def test_only_a_manager_excludes_a_change(calendar: Calendar) -> None:
    change = calendar.change("router")
    with pytest.raises(AccessRefused) as refused:
        calendar.write(change, exclude_from_conflict_detection="true")
    assert "exclude_from_conflict_detection: only a change manager" in str(refused.value.detail)


def test_no_caller_writes_the_status_of_conflicts(calendar: Calendar) -> None:
    change = calendar.create("change_request", WRITER, conflict_status="No Conflict")
    assert calendar.status(change) == "Not Run"
    calendar.write(change, conflict_status="No Conflict", description="x")
    assert calendar.status(change) == "Not Run"


def test_a_user_who_is_deleted_has_no_conflicts_left(calendar: Calendar) -> None:
    user = calendar.create("sys_user", user_name="gone")
    first, second = (calendar.change(None, assigned_to=user) for _ in range(2))
    calendar.delete("sys_user", user)
    calendar.settle()
    assert connection().execute(select(SysUser.sys_id).where(SysUser.sys_id == user)).first() is None
    assert calendar.conflicts(first) == calendar.conflicts(second) == []


def test_a_conflict_changes_neither_content_nor_plan_of_the_other_change(calendar: Calendar) -> None:
    first = calendar.change("router")
    before = read_content(lock_change(first) or {}, GOVERNED_FIELDS)
    calendar.change("router")
    calendar.settle()
    assert calendar.status(first) == "Conflict"
    assert read_content(lock_change(first) or {}, GOVERNED_FIELDS) == before


def test_state_models_count_conflicts_also_those_of_what_is_about_to_be_saved(calendar: Calendar) -> None:
    first, second = calendar.change("router"), calendar.change("router", 9, 11)
    stored = lock_change(first) or {}
    assert gather_facts(stored)["conflict.count"] == 1
    later = {**stored, "start_date": stored["end_date"], "end_date": calendar.stored(second)["end_date"]}
    assert gather_facts(later)["conflict.count"] == 1
    assert gather_facts({**later, "cmdb_ci": None})["conflict.count"] == 0
    assert "conflict.count" not in gather_facts(stored, needed=("state",))


def test_a_change_lists_a_limited_number_of_conflicts_and_counts_all(calendar: Calendar) -> None:
    with mock.patch.object(detection, "MOST_STORED", 3):
        changes = [calendar.change("router") for _ in range(6)]
        assert {len(calendar.conflicts(change)) for change in changes} == {3}
        assert [gather_facts(lock_change(change) or {})["conflict.count"] for change in changes] == [5] * 6
        # Those that were only counted are stored as soon as there is room.
        for change in changes[:2]:
            calendar.write(change, **CANCEL)
        calendar.settle()
        assert {len(calendar.conflicts(change)) for change in changes[2:]} == {3}


def test_a_change_of_many_items_is_checked_by_a_job(calendar: Calendar) -> None:
    other, change = calendar.change("router"), calendar.change("switch")
    with mock.patch.object(detection, "MOST_ITEMS", 1):
        calendar.affect(change, "firewall")
        run = calendar.stored(change)["conflict_last_run"]
        calendar.affect(change, "router")
        # Until the job has run, the conflicts are those of the last run.
        assert calendar.conflicts(other) == []
        assert calendar.stored(change)["conflict_last_run"] == run
        assert gather_facts(lock_change(change) or {})["conflict.count"] == 0
        calendar.settle()
        assert calendar.conflicts(other) == [(SAME, change)]
        assert calendar.status(change) == "Conflict"
        assert gather_facts(lock_change(change) or {})["conflict.count"] == 1


def test_a_change_with_many_overlaps_is_checked_by_a_job(calendar: Calendar) -> None:
    others = [calendar.change("router") for _ in range(3)]
    with mock.patch.object(detection, "MOST_OVERLAPS", 2):
        change = calendar.change("router")
        assert calendar.status(change) == "Conflict"
        assert calendar.conflicts(change) == []
        calendar.settle()
    assert sorted(other for _, other in calendar.conflicts(change)) == sorted(others)


def test_the_same_write_again_stores_nothing_again(calendar: Calendar) -> None:
    calendar.change("router")
    change = calendar.change("router")
    rows = select(func.count(), func.min(Conflict.sys_id), func.max(Conflict.sys_id))
    before = connection().execute(rows).one()
    calendar.write(change, **hours(8, 10.5))
    assert connection().execute(rows).one() == before


def test_a_job_for_a_change_that_is_gone_does_nothing(calendar: Calendar) -> None:
    change = calendar.change("router")
    detection.promise_recheck([change])
    calendar.delete("change_request", change)
    calendar.settle()
