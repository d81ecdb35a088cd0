"""A worker runs jobs at least once, and of several runs of a job exactly one commits."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from changegate.database import commit, connection
from changegate.database.cleanup import LONGEST_REST_SECONDS
from changegate.database.dialects import database_time
from changegate.extensions import database_now
from changegate.models import CmdbCi, Job
from changegate.models.base import new_sys_id, utc_now
from changegate.services.jobs import repeating, worker
from changegate.services.jobs.handlers import KINDS, JobFailed, handles
from changegate.services.jobs.leases import JOB_LEASE, LeaseLost, claim
from changegate.services.jobs.queue import cancel, enqueue
from changegate.services.jobs.repeating import provide_repeating_jobs
from changegate.services.jobs.worker import (
    ABANDONED,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_ATTEMPTS,
    execute,
    pause_after,
    run_next,
    work,
)
from tests.conftest import Clock
from tests.support.jobs import kind_of_job, stored_jobs

KIND = "test.ci"
SECRET = "hunter2 hunter2"
WAIT_SECONDS = 60


@pytest.fixture
def clock(either_app: Flask) -> Clock:
    clock = either_app.config["CLOCK"] = Clock()
    return clock


def add_ci(payload: Mapping[str, Any]) -> None:
    """Do what a handler does: write to the database."""
    stamps = {"sys_created_on": utc_now(), "sys_updated_on": utc_now(), "sys_created_by": "x", "sys_updated_by": "x"}
    row = {"sys_id": new_sys_id(), "sys_mod_count": 0, "name": payload["name"], **stamps}
    connection().execute(insert(CmdbCi.__table__).values(row))


def put(app: Flask, name: str = "ci", **options: Any) -> None:
    with app.app_context():
        enqueue(KIND, {"name": name}, **options)
        commit()


def cis(app: Flask) -> list[str]:
    with app.app_context():
        names = select(CmdbCi.name).where(CmdbCi.sys_created_by == "x").order_by(CmdbCi.name)
        return list(connection().execute(names).scalars())


@pytest.fixture
def adds_cis() -> Iterator[None]:
    with kind_of_job(KIND, add_ci):
        yield


@contextmanager
def worker_at_work(app: Flask) -> Iterator[None]:
    """Run a worker in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(app, stop.wait))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.usefixtures("adds_cis")
def test_a_worker_that_was_killed_leaves_a_job_that_runs_again_after_the_lease(either_app: Flask, clock: Clock) -> None:
    put(either_app)
    with either_app.app_context():
        # What a process that is killed leaves: a leased row, and an open transaction, which is rolled back.
        lease = claim()
        assert lease is not None
        add_ci(lease.payload)
    assert not run_next(either_app)
    clock.advance(seconds=(JOB_LEASE - timedelta(seconds=1)).total_seconds())
    assert not run_next(either_app)
    clock.advance(seconds=1)
    assert run_next(either_app)
    assert not run_next(either_app)
    assert cis(either_app) == ["ci"]


@pytest.mark.usefixtures("adds_cis")
def test_a_worker_that_lost_its_lease_cannot_commit(either_app: Flask, clock: Clock) -> None:
    put(either_app)
    with either_app.app_context():
        paused = claim()
        assert paused is not None
    clock.advance(seconds=JOB_LEASE.total_seconds())
    with either_app.app_context():
        other = claim()
        assert other is not None
    with either_app.app_context(), pytest.raises(LeaseLost):
        execute(paused)
    assert cis(either_app) == []
    with either_app.app_context():
        execute(other)
    with either_app.app_context(), pytest.raises(LeaseLost):
        execute(paused)
    assert cis(either_app) == ["ci"]


@pytest.mark.parametrize("is_failing", [False, True])
def test_a_job_that_is_enqueued_again_while_it_runs_runs_again(either_app: Flask, is_failing: bool) -> None:
    """Without this, the run that does not know the new payload would end the job."""
    seen = []

    def enqueued_meanwhile(payload: Mapping[str, Any]) -> None:
        seen.append(payload["name"])
        if len(seen) == 1:
            caller = threading.Thread(target=put, args=(either_app, "second"), kwargs={"key": "a"})
            caller.start()
            caller.join()
            if is_failing:
                raise JobFailed("not yet")
        add_ci(payload)

    with kind_of_job(KIND, enqueued_meanwhile):
        put(either_app, "first", key="a")
        while run_next(either_app):
            pass
    assert seen == ["first", "second"]
    assert cis(either_app) == ["second"]
    assert stored_jobs(either_app) == []


def test_a_job_that_is_canceled_while_it_runs_has_no_effect(either_app: Flask) -> None:
    def cancel_beside() -> None:
        with either_app.app_context():
            cancel(KIND, "a")
            commit()

    def canceled_meanwhile(payload: Mapping[str, Any]) -> None:
        caller = threading.Thread(target=cancel_beside)
        caller.start()
        caller.join()
        add_ci(payload)

    with kind_of_job(KIND, canceled_meanwhile):
        put(either_app, key="a")
        assert run_next(either_app)
    assert cis(either_app) == []
    assert stored_jobs(either_app) == []


def test_a_handler_that_raises_has_no_effect_and_is_tried_again_until_it_failed_for_good(
    either_app: Flask, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(payload: Mapping[str, Any]) -> None:
        add_ci(payload)
        raise ValueError(SECRET)

    with kind_of_job(KIND, fail):
        put(either_app)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            assert run_next(either_app)
            assert not run_next(either_app)
            [row] = stored_jobs(either_app)
            assert (row.attempts, row.lease_owner, row.leased_until) == (attempt, None, None)
            clock.advance(seconds=LONGEST_PAUSE.total_seconds())
        assert row.failed_at is not None
        assert not run_next(either_app)
    assert cis(either_app) == []
    assert row.last_error.startswith("ValueError in services/jobs/worker.py:")
    assert SECRET not in caplog.text + row.last_error
    assert f"attempt {MOST_ATTEMPTS}: ValueError" in caplog.text and "it stays failed" in caplog.text


def test_a_thread_whose_job_failed_cancels_jobs_as_any_other(either_app: Flask) -> None:
    """Only during the run does a handler that cancels its own job leave the row to the worker."""

    def fail(_payload: Mapping[str, Any]) -> None:
        raise JobFailed("not now")

    with kind_of_job(KIND, fail):
        put(either_app, key="a")
        with either_app.app_context():
            lease = claim()
            assert lease is not None
        with either_app.app_context(), pytest.raises(JobFailed):
            execute(lease)
        with either_app.app_context():
            cancel(KIND, "a")
            commit()
    assert stored_jobs(either_app) == []


def test_a_failed_job_that_is_enqueued_again_has_all_its_attempts_again(either_app: Flask, adds_cis: None) -> None:
    put(either_app, key="a")
    with either_app.app_context():
        connection().execute(update(Job).values(failed_at=database_now(), attempts=MOST_ATTEMPTS, last_error="x"))
        commit()
    assert not run_next(either_app)
    put(either_app, key="a")
    assert run_next(either_app)
    assert cis(either_app) == ["ci"]


def test_the_message_of_a_handler_is_stored_and_cut(either_app: Flask) -> None:
    def fail(_payload: Mapping[str, Any]) -> None:
        raise JobFailed("The receiver answered 503. " + "x" * 5000)

    with kind_of_job(KIND, fail):
        put(either_app)
        run_next(either_app)
    [row] = stored_jobs(either_app)
    assert row.last_error.startswith("The receiver answered 503. xxx")


@pytest.mark.usefixtures("adds_cis")
def test_a_job_that_ends_its_worker_each_time_is_given_up(either_app: Flask, clock: Clock) -> None:
    put(either_app)
    for _ in range(MOST_ATTEMPTS):
        with either_app.app_context():
            assert claim() is not None
        clock.advance(seconds=JOB_LEASE.total_seconds())
    assert run_next(either_app)
    [row] = stored_jobs(either_app)
    assert (row.last_error, row.failed_at is not None) == (ABANDONED, True)
    assert cis(either_app) == []


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    for attempts in range(1, 2 * MOST_ATTEMPTS):
        longest = min(FIRST_PAUSE * 2 ** (attempts - 1), LONGEST_PAUSE)
        pauses = {pause_after(attempts, LONGEST_PAUSE) for _ in range(200)}
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(pauses) > 1


def test_a_clock_that_is_moved_back_runs_nothing_twice(either_app: Flask, clock: Clock, adds_cis: None) -> None:
    put(either_app, "done")
    put(either_app, "leased", delay=timedelta(seconds=1))
    put(either_app, "later", delay=timedelta(days=1))
    assert run_next(either_app)
    clock.advance(seconds=1)
    with either_app.app_context():
        dead = claim()
        assert dead is not None
    clock.advance(hours=-5)
    assert not run_next(either_app)
    clock.advance(hours=4, minutes=59)
    assert not run_next(either_app)
    clock.advance(minutes=10)
    assert run_next(either_app)
    assert not run_next(either_app)
    assert cis(either_app) == ["done", "leased"]


@pytest.mark.usefixtures("adds_cis")
def test_a_lease_from_before_the_clock_was_moved_back_ends(either_app: Flask, clock: Clock) -> None:
    put(either_app, due_at=datetime.fromisoformat("2026-01-01T00:00:00+00:00"))
    with either_app.app_context():
        assert claim() is not None
    clock.advance(hours=-5)
    assert run_next(either_app)
    assert cis(either_app) == ["ci"]


def test_a_worker_leaves_kinds_that_it_does_not_know(either_app: Flask, adds_cis: None) -> None:
    """During an upgrade, old and new servers share the table."""
    put(either_app)
    with kind_of_job("test.new", add_ci), either_app.app_context():
        enqueue("test.new", {"name": "new"}, delay=-timedelta(hours=1))
        commit()
    assert run_next(either_app)
    assert not run_next(either_app)
    assert cis(either_app) == ["ci"]
    assert [row.kind for row in stored_jobs(either_app)] == ["test.new"]


def test_of_several_workers_each_job_is_run_by_one(either_app: Flask) -> None:
    runs: list[str] = []

    def count(payload: Mapping[str, Any]) -> None:
        runs.append(payload["name"])
        add_ci(payload)

    names = [f"ci {number:03}" for number in range(60)]
    with kind_of_job(KIND, count):
        with either_app.app_context():
            for name in names:
                enqueue(KIND, {"name": name})
            commit()
        with worker_at_work(either_app), worker_at_work(either_app), worker_at_work(either_app):
            wait_until_there_are_no_jobs(either_app)
    assert sorted(runs) == names
    assert cis(either_app) == names


def wait_until_there_are_no_jobs(app: Flask) -> None:
    pause = threading.Event()
    for _ in range(WAIT_SECONDS * 20):
        if not stored_jobs(app, KIND):
            return
        pause.wait(0.05)
    raise AssertionError("there are jobs left")


def test_a_worker_survives_a_failure_of_the_database(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[float] = []

    def wait(seconds: float) -> bool:
        rounds.append(seconds)
        with app.app_context():
            name = "job_away" if len(rounds) == 1 else "job"
            other = "job" if len(rounds) == 1 else "job_away"
            if len(rounds) < 3:
                connection().exec_driver_sql(f"ALTER TABLE {other} RENAME TO {name}")
        return len(rounds) == 4

    work(app, wait)
    assert rounds == [0, worker.JOB_POLL_SECONDS, worker.JOB_POLL_SECONDS, worker.JOB_POLL_SECONDS]
    assert "the worker pauses: OperationalError (SQLITE_ERROR) in database/" in caplog.text


@pytest.mark.usefixtures("adds_cis")
def test_a_worker_leaves_others_time_after_a_job(app: Flask) -> None:
    rounds: list[float] = []

    def wait(seconds: float) -> bool:
        rounds.append(seconds)
        return len(rounds) == 3

    put(app)
    work(app, wait)
    assert (rounds[0], 0 < rounds[1] <= LONGEST_REST_SECONDS, rounds[2]) == (0, True, worker.JOB_POLL_SECONDS)


def test_a_repeating_job_exists_once_and_survives_restarts(either_app: Flask, clock: Clock) -> None:
    runs: list[datetime] = []

    def step(at: datetime) -> bool:
        runs.append(at)
        return len(runs) == 1

    with registered(step, timedelta(hours=1)):
        for _ in range(3):
            provide(either_app)
        clock.advance(minutes=59)
        provide(either_app)
        assert not run_next(either_app)
        clock.advance(minutes=1)
        # The first run leaves more to do.
        assert [run_next(either_app) for _ in range(3)] == [True, True, False]
        clock.advance(minutes=59)
        assert not run_next(either_app)
        # A year in which nothing ran is made up for once.
        clock.advance(days=365)
        assert [run_next(either_app) for _ in range(2)] == [True, False]
        assert len(stored_jobs(either_app, KIND)) == 1


def test_a_repeating_job_never_fails_for_good(either_app: Flask, clock: Clock) -> None:
    def step(_at: datetime) -> bool:
        raise JobFailed("never")

    with registered(step, timedelta(minutes=5)):
        provide(either_app)
        for _ in range(MOST_ATTEMPTS + 3):
            clock.advance(minutes=5)
            assert run_next(either_app)
        [row] = stored_jobs(either_app, KIND)
        assert (row.failed_at, row.last_error) == (None, "never")
        assert row.due_at <= clock() + timedelta(minutes=5)


def test_a_repeating_job_does_not_wait_for_a_clock_that_was_wrong(either_app: Flask, clock: Clock) -> None:
    with registered(lambda _at: False, timedelta(hours=1)):
        clock.advance(days=365)
        provide(either_app)
        clock.advance(days=-365)
        provide(either_app)
        clock.advance(hours=1, minutes=1)
        assert run_next(either_app)


@contextmanager
def registered(step: repeating.Step, every: timedelta) -> Iterator[None]:
    """Register one repeating job and no other kind."""
    kinds = dict(KINDS)
    KINDS.clear()
    try:
        repeating.repeating(KIND, every=every)(step)
        yield
    finally:
        KINDS.clear()
        KINDS.update(kinds)


def provide(app: Flask) -> None:
    with app.app_context():
        provide_repeating_jobs()


def test_a_kind_has_one_handler() -> None:
    with kind_of_job(KIND, add_ci), pytest.raises(ValueError, match=r"test\.ci has a handler already"):
        handles(KIND)(add_ci)


def test_due_times_are_those_of_the_databases_clock(either_app: Flask, adds_cis: None) -> None:
    """The clock of the process, which may be wrong, does not count."""
    either_app.config["CLOCK"] = lambda: datetime.fromisoformat("2001-01-01T00:00:00+00:00")
    either_app.config["DATABASE_CLOCK"] = database_time
    before = datetime.now(UTC) - timedelta(minutes=1)
    put(either_app)
    [row] = stored_jobs(either_app)
    assert before < row.due_at < before + timedelta(hours=1)
    assert run_next(either_app)
