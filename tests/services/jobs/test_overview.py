"""Operators see which jobs wait, run, or failed, and whether a worker runs."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from changegate.database import commit
from changegate.services.jobs.handlers import JobFailed
from changegate.services.jobs.leases import JOB_LEASE, claim
from changegate.services.jobs.overview import OVERDUE_AFTER, list_jobs, retry_jobs, status_of_jobs
from changegate.services.jobs.queue import enqueue
from changegate.services.jobs.worker import LONGEST_PAUSE, MOST_ATTEMPTS, run_next
from tests.conftest import Clock
from tests.support.jobs import kind_of_job

KIND = "test.fails"


@pytest.fixture
def clock(either_app: Flask) -> Iterator[Clock]:
    def fail(_payload: Mapping[str, Any]) -> None:
        raise JobFailed("The receiver is away.")

    clock = either_app.config["CLOCK"] = Clock()
    with kind_of_job(KIND, fail):
        yield clock


def put(app: Flask, key: str, **options: Any) -> None:
    with app.app_context():
        enqueue(KIND, key=key, **options)
        commit()


def fail_for_good(app: Flask, clock: Clock) -> None:
    for _ in range(MOST_ATTEMPTS):
        assert run_next(app)
        clock.advance(seconds=LONGEST_PAUSE.total_seconds())


def states(app: Flask) -> dict[str | None, str]:
    with app.app_context():
        return {facts.key: facts.state for facts in list_jobs()}


def status(app: Flask) -> str:
    answer = app.test_client().get("/readyz")
    with app.app_context():
        expected = status_of_jobs()
    assert answer.status_code == 200
    assert answer.json["status"] == "ready"
    assert answer.json["jobs"] == expected
    return expected


def test_the_state_of_each_job_is_listed_with_those_that_failed_first(either_app: Flask, clock: Clock) -> None:
    put(either_app, "failed")
    fail_for_good(either_app, clock)
    put(either_app, "overdue", delay=-OVERDUE_AFTER)
    put(either_app, "waiting", delay=timedelta(hours=1))
    put(either_app, "running", delay=-timedelta(hours=1))
    with either_app.app_context():
        assert claim() is not None
    found = states(either_app)
    assert list(found) == ["failed", "running", "overdue", "waiting"]
    assert all(key == state for key, state in found.items())


def test_readiness_shows_that_no_worker_runs(either_app: Flask, clock: Clock) -> None:
    assert status(either_app) == "ok"
    put(either_app, "a")
    assert status(either_app) == "ok"
    clock.advance(seconds=OVERDUE_AFTER.total_seconds())
    assert status(either_app) == "overdue"
    with either_app.app_context():
        assert claim() is not None
    assert status(either_app) == "ok"
    clock.advance(seconds=JOB_LEASE.total_seconds())
    assert status(either_app) == "overdue"
    assert run_next(either_app)
    assert status(either_app) == "ok"


def test_readiness_shows_failed_jobs_until_they_are_tried_again(either_app: Flask, clock: Clock) -> None:
    put(either_app, "a")
    fail_for_good(either_app, clock)
    assert status(either_app) == "failed"
    with either_app.app_context():
        assert retry_jobs() == 1
        commit()
    assert status(either_app) == "ok"
    # All attempts again.
    fail_for_good(either_app, clock)
    assert status(either_app) == "failed"


def test_only_failed_jobs_are_tried_again(either_app: Flask, clock: Clock) -> None:
    put(either_app, "a")
    put(either_app, "b")
    for _ in range(2):
        fail_for_good(either_app, clock)
    put(either_app, "waiting", delay=timedelta(days=1))
    with either_app.app_context():
        a, b, waiting = list_jobs()
        assert [retry_jobs(job.sys_id) for job in (waiting, a)] == [0, 1]
        commit()
    assert states(either_app) == {"b": "failed", "a": "waiting", "waiting": "waiting"}
    assert b.last_error == "The receiver is away."
