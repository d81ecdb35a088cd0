"""Changes that are saved at the same time: each finds the other."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from changegate.database import commit
from changegate.services.conflicts import detection
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.services.conflicts.calendar import ROOT, SAME, WRITER, Calendar, hours

CHANGES = get_table("change_request")
ROUNDS = 5


def at_once(app: Flask, works: list[Callable[[], Any]]) -> list[Any]:
    """Begin pieces of work at the same time, each in a transaction of its own, and return what they return."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        with app.app_context():
            start.wait()
            result = work()
            commit()
            return result

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_two_changes_that_are_created_at_once_name_each_other(calendar: Calendar, round_: int) -> None:
    planned = {"cmdb_ci": calendar.item("router"), **hours(8, 10)}
    works = [lambda: create_record(CHANGES, WRITER, planned)["sys_id"]] * 3
    changes = at_once(calendar.app, works)
    stored = {change: {other for _, other in calendar.conflicts(change)} for change in changes}
    assert stored == {change: set(changes) - {change} for change in changes}


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_two_changes_that_are_planned_at_once_name_each_other(calendar: Calendar, round_: int) -> None:
    changes = [calendar.change("router", at, at + 1) for at in (0, 1, 2)]
    works = [lambda change=change: update_record(CHANGES, WRITER, change, hours(8, 10)) for change in changes]  # type: ignore[misc]
    at_once(calendar.app, works)
    for change, other, third in permutations(changes):
        assert calendar.conflicts(change) == sorted([(SAME, other), (SAME, third)])
    calendar.settle()
    assert {calendar.status(change) for change in changes} == {"Conflict"}


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_change_that_is_deleted_while_another_is_saved_leaves_no_conflict(calendar: Calendar, round_: int) -> None:
    first, second = calendar.change("router"), calendar.change("router", 20, 21)
    works = [
        lambda: delete_record(CHANGES, ROOT, first),
        lambda: update_record(CHANGES, WRITER, second, hours(9, 11)),
    ]
    at_once(calendar.app, works)
    assert calendar.conflicts(first) == calendar.conflicts(second) == []
    calendar.settle()
    assert calendar.status(second) == "No Conflict"


def test_the_deletion_of_an_item_waits_for_no_detection(calendar: Calendar) -> None:
    """It locks changes one after the other; a save that holds one of them and waits for the lock would deadlock."""
    changes = [calendar.change(f"other {number}", number, number + 1) for number in range(2)]
    for change in changes:
        calendar.affect(change, "router")
    with mock.patch.object(detection, "lock_number") as lock:
        calendar.delete("cmdb_ci", calendar.item("router"))
    lock.assert_not_called()
