"""Jobs are added and canceled in the caller's transaction, and there is one of a kind and key."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from changegate.database import commit, rollback
from changegate.extensions import database_now
from changegate.services.jobs.queue import cancel, enqueue
from tests.conftest import Clock
from tests.support.jobs import kind_of_job, run_due_jobs, stored_jobs

KIND = "test.note"


@pytest.fixture
def notes() -> Iterator[list[Any]]:
    """The numbers in the payloads of the jobs that have run."""
    found: list[Any] = []

    def note(payload: Mapping[str, Any]) -> None:
        found.append(payload.get("number"))

    with kind_of_job(KIND, note):
        yield found


@pytest.fixture
def clock(either_app: Flask) -> Clock:
    clock = either_app.config["CLOCK"] = Clock()
    return clock


def put(app: Flask, number: int, **options: Any) -> None:
    with app.app_context():
        enqueue(KIND, {"number": number}, **options)
        commit()


def test_a_job_runs_once_and_is_gone(either_app: Flask, notes: list[Any]) -> None:
    put(either_app, 1)
    assert run_due_jobs(either_app) == [KIND]
    assert run_due_jobs(either_app) == []
    assert notes == [1]
    assert stored_jobs(either_app) == []


def test_a_job_that_is_not_committed_does_not_exist(either_app: Flask, notes: list[Any]) -> None:
    with either_app.app_context():
        enqueue(KIND, key="x")
        rollback()
    run_due_jobs(either_app)
    assert notes == []


def test_a_job_waits_until_it_is_due(either_app: Flask, clock: Clock, notes: list[Any]) -> None:
    put(either_app, 1, delay=timedelta(hours=2))
    clock.advance(hours=1)
    run_due_jobs(either_app)
    assert notes == []
    clock.advance(hours=1)
    run_due_jobs(either_app)
    assert notes == [1]


def test_jobs_run_in_the_order_in_which_they_are_due(either_app: Flask, clock: Clock, notes: list[Any]) -> None:
    with either_app.app_context():
        at = database_now()
    for number in (3, 1, 2):
        put(either_app, number, due_at=at + timedelta(minutes=number))
    for number in (4, 5, 6):
        put(either_app, number, due_at=at + timedelta(minutes=9))
    clock.advance(hours=1)
    run_due_jobs(either_app)
    assert notes == [1, 2, 3, 4, 5, 6]


def test_a_delay_counts_from_the_given_time(either_app: Flask, notes: list[Any]) -> None:
    with either_app.app_context():
        at = database_now() + timedelta(days=1)
    put(either_app, 1, due_at=at, delay=timedelta(hours=-3))
    assert stored_jobs(either_app)[0].due_at == at - timedelta(hours=3)


def test_a_key_names_one_job_which_is_replaced(either_app: Flask, clock: Clock, notes: list[Any]) -> None:
    put(either_app, 1, key="a")
    put(either_app, 2, key="a", delay=timedelta(hours=1))
    put(either_app, 3, key="b")
    run_due_jobs(either_app)
    assert notes == [3]
    clock.advance(hours=2)
    run_due_jobs(either_app)
    assert notes == [3, 2]


def test_jobs_without_a_key_are_many(either_app: Flask, notes: list[Any]) -> None:
    put(either_app, 1)
    put(either_app, 1)
    run_due_jobs(either_app)
    assert notes == [1, 1]


def test_a_canceled_job_does_not_run(either_app: Flask, notes: list[Any]) -> None:
    put(either_app, 1, key="a")
    put(either_app, 2, key="b")
    with either_app.app_context():
        cancel(KIND, "a")
        cancel(KIND, "unknown")
        commit()
    run_due_jobs(either_app)
    assert notes == [2]


def test_a_job_without_a_handler_is_refused(either_app: Flask) -> None:
    with either_app.app_context(), pytest.raises(ValueError, match="no handler is registered for jobs of the kind"):
        enqueue("test.unknown")


def test_a_handler_can_postpone_its_own_job(either_app: Flask, clock: Clock) -> None:
    seen: list[Any] = []

    def count_down(payload: Mapping[str, Any]) -> None:
        seen.append(payload["left"])
        if payload["left"]:
            enqueue(KIND, {"left": 0}, key="a", delay=timedelta(hours=2))
            # The second call replaces the first.
            enqueue(KIND, {"left": payload["left"] - 1}, key="a", delay=timedelta(hours=1))

    with kind_of_job(KIND, count_down):
        with either_app.app_context():
            enqueue(KIND, {"left": 2}, key="a")
            commit()
        for _ in range(5):
            run_due_jobs(either_app)
            clock.advance(hours=1)
    assert seen == [2, 1, 0]
    assert stored_jobs(either_app, KIND) == []


def test_a_handler_that_cancels_its_own_job_has_finished_it(either_app: Flask) -> None:
    seen: list[Any] = []

    def cancel_itself(payload: Mapping[str, Any]) -> None:
        seen.append(payload)
        cancel(KIND, "a")

    with kind_of_job(KIND, cancel_itself):
        with either_app.app_context():
            enqueue(KIND, key="a")
            commit()
        run_due_jobs(either_app)
        assert stored_jobs(either_app) == []
    assert seen == [{}]
