"""`changegate job` and the choice of `changegate serve` to run jobs."""

import importlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from flask import Flask

from changegate.database import commit
from changegate.services.jobs.overview import OVERDUE_AFTER
from changegate.services.jobs.queue import enqueue
from changegate.services.jobs.worker import MOST_ATTEMPTS, run_next
from tests.cli.conftest import Run
from tests.support.jobs import kind_of_job

KIND = "test.fails"


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


@pytest.fixture
def failed(app: Flask) -> Iterator[str]:
    """Enqueue a job that fails for good; return its sys_id."""

    def fail(_payload: Mapping[str, Any]) -> None:
        raise LookupError

    with kind_of_job(KIND, fail), mock.patch("changegate.services.jobs.worker.pause_after", lambda *_: timedelta(0)):
        with app.app_context():
            enqueue(KIND, key="k\x1b[2J")
            commit()
        for _ in range(MOST_ATTEMPTS):
            assert run_next(app)
        yield KIND


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("job", "list", "--json").out)
    return found


def test_lists_jobs_without_what_terminals_obey(run: Run, failed: str) -> None:
    [line] = run("job", "list").out.splitlines()
    assert f"{failed} k\N{REPLACEMENT CHARACTER}[2J, attempts {MOST_ATTEMPTS}: LookupError" in line
    assert line.isprintable()
    [row] = listed(run)
    assert (row["state"], row["key"], row["attempts"]) == ("failed", "k\x1b[2J", MOST_ATTEMPTS)


def test_runs_a_failed_job_again(run: Run, failed: str) -> None:
    [row] = listed(run)
    assert run("job", "retry", row["sys_id"]).out == "Failed jobs that run again: 1.\n"
    run("job", "retry", row["sys_id"]).assert_refused(f"There is no failed job {row['sys_id']}.")
    assert run("job", "retry").out == "Failed jobs that run again: 0.\n"
    assert listed(run)[0]["state"] == "waiting"


def test_runs_all_failed_jobs_again(run: Run, failed: str) -> None:
    assert run("job", "retry").out == "Failed jobs that run again: 1.\n"


def test_says_that_no_worker_runs(run: Run, app: Flask) -> None:
    assert (run("job", "list").out, run("job", "list").err) == ("", "")
    with kind_of_job(KIND, lambda _: None), app.app_context():
        enqueue(KIND, delay=-OVERDUE_AFTER)
        commit()
    assert run("job", "list").err.startswith("Jobs are overdue: no worker runs, or too few.")


@pytest.mark.parametrize(("options", "count"), [((), 1), (("--jobs",), 1), (("--no-jobs",), 0)])
def test_serve_runs_jobs_unless_it_is_told_not_to(run: Run, options: tuple[str, ...], count: int) -> None:
    def run_server(*arguments: Any) -> None:
        load_app = arguments[-1]
        load_app()

    # `changegate.cli.serve` as an attribute is the command.
    serve = importlib.import_module("changegate.cli.serve")
    with (
        mock.patch.object(serve, "run_server", run_server),
        mock.patch.object(serve, "stay_on_one_processor"),
        mock.patch.object(serve.signal, "pthread_sigmask"),
        mock.patch.object(serve, "gc"),
        mock.patch.object(serve, "start_beside_main_thread") as started,
    ):
        assert run("serve", *options).code == 0
    assert started.call_count == count
