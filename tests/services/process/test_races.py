"""Callers who move one change at the same time: one of them wins, and nothing is half done.

Each of them locks the change first, then its tasks, and decides from what is stored then.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection, rollback
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.models import ChgHistory, SysUserGroup, Task
from changegate.services.tables.writing.records import create_record, update_record
from tests.services.process.test_moves import (
    CANCELED,
    CHANGES,
    DONE,
    IMPLEMENT,
    REVIEW,
    ROOT,
    SCHEDULED,
    TASKS,
    WRITER,
    add_task,
)

ROUNDS = 4
Work = Callable[[], Any]


class Race:
    """An application in which several pieces of work begin at the same time, each in a transaction of its own."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context():
            group = SysUserGroup(name="Network")
            db.session.add(group)
            db.session.commit()
            self.group = group.sys_id

    def run(self, *works: Work) -> list[Any]:
        """Return what each piece of work returns, or the status of its refusal."""
        start = threading.Barrier(len(works))

        def run_one(work: Work) -> Any:
            with self.app.app_context():
                start.wait()
                try:
                    outcome = work()
                    commit()
                except ChangegateError as refusal:
                    rollback()
                    return refusal.status
                return outcome

        with ThreadPoolExecutor(len(works)) as pool:
            return list(pool.map(run_one, works))

    def change(self, **sent: Any) -> str:
        with self.app.app_context():
            change = create_record(CHANGES, ROOT, {"assignment_group": self.group, "approval": "approved", **sent})
            commit()
            return str(change["sys_id"])

    def tasks(self, change: str, count: int) -> list[str]:
        with self.app.app_context():
            made = [add_task(change, created_from="workflow") for _ in range(count)]
            commit()
            return made

    def state(self, change: str) -> int:
        with self.app.app_context():
            return int(connection().execute(select(Task.state).where(Task.sys_id == change)).scalar_one())

    def states_of_tasks(self, change: str) -> list[int]:
        with self.app.app_context():
            statement = select(Task.state).where(Task.__table__.c.change_request == change)
            return sorted(connection().execute(statement).scalars())

    def moves(self, change: str) -> int:
        with self.app.app_context():
            statement = select(ChgHistory.seq).where(ChgHistory.subject_id == change, ChgHistory.kind == "moved")
            return len(connection().execute(statement).all())


@pytest.fixture
def race(either_app: Flask) -> Iterator[Race]:
    yield Race(either_app)


def write(change: str, **fields: Any) -> Work:
    def work() -> int:
        update_record(CHANGES, WRITER, change, fields)
        return 200

    return work


def move(change: str, state: int) -> Work:
    return write(change, state=state)


def close(task: str) -> Work:
    def work() -> int:
        update_record(TASKS, WRITER, task, {"state": 3, **DONE})
        return 200

    return work


def test_two_callers_who_make_the_same_move_make_it_once(race: Race) -> None:
    for _ in range(ROUNDS):
        change = race.change(state=SCHEDULED)
        assert race.run(*[move(change, IMPLEMENT)] * 4) == [200] * 4
        assert race.states_of_tasks(change) == [1, 1]
        assert race.moves(change) == 1


def test_of_two_moves_that_exclude_each_other_one_wins(race: Race) -> None:
    for _ in range(ROUNDS):
        change = race.change(state=IMPLEMENT)
        race.tasks(change, 2)
        outcomes = race.run(move(change, REVIEW), move(change, CANCELED))
        # The second hears of a conflict if it began before the first ended, and otherwise that the move is impossible.
        counted = Counter(200 if each == 200 else 0 for each in outcomes)
        assert counted == {200: 1, 0: 1} and {*outcomes} <= {200, 403, 409}
        assert race.state(change) == (REVIEW if outcomes[0] == 200 else CANCELED)
        assert race.states_of_tasks(change) == [4, 4]
        assert race.moves(change) == 1


def test_tasks_that_close_at_the_same_time_move_their_change_once(race: Race) -> None:
    for _ in range(ROUNDS):
        change = race.change(state=IMPLEMENT)
        tasks = race.tasks(change, 4)
        assert race.run(*(close(task) for task in tasks)) == [200] * 4
        assert (race.state(change), race.moves(change)) == (REVIEW, 1)


def test_a_task_that_closes_beside_a_move_waits_for_it(race: Race) -> None:
    for _ in range(ROUNDS):
        change = race.change(state=IMPLEMENT)
        [first, second] = race.tasks(change, 2)
        outcomes = race.run(close(first), close(second), move(change, REVIEW))
        assert outcomes == [200] * 3
        assert race.state(change) == REVIEW
        # A task that Review canceled before it was closed was closed afterwards.
        assert race.states_of_tasks(change) == [3, 3]
        assert race.moves(change) == 1


def test_a_hold_beside_an_automatic_move_leaves_no_half(race: Race) -> None:
    for _ in range(ROUNDS):
        change = race.change(state=IMPLEMENT)
        [task] = race.tasks(change, 1)
        outcomes = race.run(close(task), write(change, on_hold="true", on_hold_reason="Vendor"))
        assert outcomes == [200, 200]
        with race.app.app_context():
            row = connection().execute(select(Task.__table__).where(Task.sys_id == change)).one()
        # Either the hold came first, or the task moved the change to Review, where it was put on hold.
        assert row.on_hold and row.state in {IMPLEMENT, REVIEW}
