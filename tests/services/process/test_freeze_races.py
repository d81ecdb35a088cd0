"""A freeze that is created or lifted beside a move: the two take turns, and no move is lost."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from changegate.database import commit, rollback
from changegate.errors import OperationFailed
from changegate.extensions import db
from tests.services.approvals.asked_changes import add, answer, change_of, edit
from tests.services.process.test_freezes import IMPLEMENT, SCHEDULED, asked_change, change_in, freeze
from tests.support.jobs import run_due_jobs
from tests.support.people import add_account, caller_for

TIMEOUT_SECONDS = 60
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def beside(app: Flask, first: Callable[[], Any], second: Callable[[], Any]) -> Any:
    """Do `second` in another thread after `first` and before its commit; return its refusal, or None.

    `first` is committed once the other transaction waits for it, as it must.
    """
    started = threading.Event()

    def other() -> Exception | None:
        with app.app_context():
            started.set()
            try:
                second()
                commit()
            except OperationFailed as refusal:
                rollback()
                return refusal
        return None

    with app.app_context(), ThreadPoolExecutor(1) as pool:
        first()
        future = pool.submit(other)
        started.wait(TIMEOUT_SECONDS)
        _await_lock(future)
        assert not future.done()
        commit()
        return future.result(TIMEOUT_SECONDS)


def _await_lock(future: Future[Any]) -> None:
    """Wait until a transaction waits for a lock. On SQLite, any writer waits for the one before."""
    if db.engine.dialect.name == "sqlite":
        return
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and not future.done():
        with db.engine.connect() as observer:
            if observer.execute(_WAITING).scalar_one():
                return
        time.sleep(0.01)


def test_a_move_waits_for_a_freeze_that_is_being_created(either_app: Flask) -> None:
    with either_app.app_context():
        add("sys_user_group", name="Network")
        change = change_in(SCHEDULED, approval="approved")
        commit()
    refusal = beside(either_app, lambda: freeze(-1, 2), lambda: edit("change_request", change, state=IMPLEMENT))
    assert "Year end" in str(refusal and refusal.detail)


def test_a_freeze_waits_for_a_move_that_did_not_see_it(either_app: Flask) -> None:
    with either_app.app_context():
        add("sys_user_group", name="Network")
        change = change_in(SCHEDULED, approval="approved")
        commit()
    assert beside(either_app, lambda: edit("change_request", change, state=IMPLEMENT), lambda: freeze(-1, 2)) is None
    with either_app.app_context():
        assert change_of(change)["state"] == IMPLEMENT


@pytest.mark.parametrize("at", range(4))
def test_an_approval_beside_the_end_of_a_freeze_loses_no_move(either_app: Flask, at: int) -> None:
    with either_app.app_context():
        add("sys_user_group", name="Network")
        ann = caller_for(add_account("ann"), "itil")
        sys_id = freeze(20, 25)
        change = asked_change(ann.sys_id)
        commit()
    works: list[Callable[[], None]] = [
        lambda: answer(change, ann),
        lambda: edit("cmn_schedule_blackout", sys_id, active="false"),
    ]
    first, second = works if at % 2 else reversed(works)
    assert beside(either_app, first, second) is None
    run_due_jobs(either_app)
    with either_app.app_context():
        assert change_of(change)["state"] == SCHEDULED
