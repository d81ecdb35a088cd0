"""Workers as processes: killed, stopped, and several at once; what was promised is done exactly once."""

import contextlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask
from sqlalchemy import select, update

from changegate.database import commit, connection
from changegate.extensions import database_now
from changegate.models import CmdbCi, Job
from changegate.services.jobs.overview import OVERDUE_AFTER
from changegate.services.jobs.queue import enqueue
from tests.conftest import ADMIN_PASSWORD
from tests.e2e.job_kinds import KIND
from tests.support.jobs import stored_jobs
from tests.support.servers import COMMAND, Process, Running, environment_of, running_changegate, start, wait_until

WORKER = f"import tests.e2e.job_kinds\n{COMMAND}"
# Generous: the processes share the machine with others.
MOST_SECONDS = 120
PATIENT_SERVER = f"""
import importlib, tests.e2e.job_kinds
importlib.import_module("changegate.cli.serve").KILL_TIMEOUT_SECONDS = {MOST_SECONDS}
"""
KILLS = 2
JOBS_BETWEEN_KILLS = 20


@contextlib.contextmanager
def running_workers(app: Flask, count: int = 1) -> Iterator[Process]:
    """Run workers, give the first of them, and kill them in the end."""
    settings = {"database_url": app.config["SQLALCHEMY_DATABASE_URI"], "admin_password": ADMIN_PASSWORD}
    environment = environment_of(Path(app.instance_path), **settings)
    with contextlib.ExitStack() as stack:
        workers = []
        for _ in range(count):
            workers.append(start(["worker"], environment, code=WORKER))
            stack.callback(kill, workers[-1])
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == f"Changegate runs the jobs of {app.instance_path}\n"
        yield workers[0]


def kill(process: Process) -> None:
    process.kill()
    process.communicate()


def put(app: Flask, *names: str, folder: Path | None = None, waits: str = "after") -> None:
    waiting = {} if folder is None else {"folder": str(folder), "waits": waits}
    with app.app_context():
        for name in names:
            enqueue(KIND, {"name": name, **waiting})
        commit()


def items(app: Flask) -> Counter[str]:
    with app.app_context():
        return Counter(connection().execute(select(CmdbCi.name)).scalars())


def end_leases(app: Flask) -> None:
    """Let the time pass after which the jobs of a worker that was killed run again."""
    with app.app_context():
        connection().execute(update(Job).where(Job.leased_until.is_not(None)).values(leased_until=database_now()))
        commit()


def test_a_job_whose_worker_was_killed_is_done_exactly_once(either_app: Flask, tmp_path: Path) -> None:
    put(either_app, "promised", folder=tmp_path)
    with running_workers(either_app):
        wait_until((tmp_path / "begun").exists)
    (tmp_path / "leave").touch()
    assert items(either_app) == {}
    [row] = stored_jobs(either_app)
    assert row.attempts == 1 and row.lease_owner is not None
    end_leases(either_app)
    with running_workers(either_app):
        wait_until(lambda: not stored_jobs(either_app))
    assert items(either_app) == {"promised": 1}


def test_workers_that_are_killed_at_any_moment_lose_and_double_nothing(either_app: Flask) -> None:
    names = [f"promise {number:03}" for number in range((KILLS + 1) * JOBS_BETWEEN_KILLS)]
    put(either_app, *names)
    for number in range(1, KILLS + 1):
        with running_workers(either_app, 2):
            wait_until(lambda enough=number * JOBS_BETWEEN_KILLS: len(items(either_app)) >= enough)
        end_leases(either_app)
    with running_workers(either_app, 2):
        wait_until(lambda: not stored_jobs(either_app))
    assert items(either_app) == dict.fromkeys(names, 1)


def test_a_worker_that_was_paused_by_the_system_does_not_commit_what_another_has_done(
    either_app: Flask, tmp_path: Path
) -> None:
    put(either_app, "promised", folder=tmp_path, waits="before")
    with running_workers(either_app) as paused:
        wait_until((tmp_path / "begun").exists)
        paused.send_signal(signal.SIGSTOP)
        (tmp_path / "leave").touch()
        end_leases(either_app)
        with running_workers(either_app):
            wait_until(lambda: not stored_jobs(either_app))
        paused.send_signal(signal.SIGCONT)
        assert paused.stderr is not None
        assert "was discarded: its lease was lost" in paused.stderr.readline()
    assert items(either_app) == {"promised": 1}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_a_worker_finish_its_job_and_begin_no_other(
    either_app: Flask, tmp_path: Path, signal_number: signal.Signals
) -> None:
    put(either_app, "begun", "waiting", folder=tmp_path)
    with running_workers(either_app) as worker:
        wait_until((tmp_path / "begun").exists)
        worker.send_signal(signal_number)
        (tmp_path / "leave").touch()
        assert worker.wait(MOST_SECONDS) == 0
    assert items(either_app) == {"begun": 1}
    assert [row.payload["name"] for row in stored_jobs(either_app)] == ["waiting"]


def test_a_server_runs_jobs_and_finishes_the_current_one_when_it_is_stopped(app: Flask, tmp_path: Path) -> None:
    put(app, "begun", folder=tmp_path)
    with running_changegate(Path(app.instance_path), patches=PATIENT_SERVER) as server:
        wait_until((tmp_path / "begun").exists)
        server.process.terminate()
        wait_until(lambda: not answers(server))
        assert items(app) == {}
        (tmp_path / "leave").touch()
        assert server.process.wait(MOST_SECONDS) == 0
    assert items(app) == {"begun": 1}
    assert stored_jobs(app) == []


def answers(server: Running) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{server.url}/healthz", timeout=2).ok
    return False


def test_servers_without_jobs_show_that_a_worker_is_missing(app: Flask) -> None:
    with app.app_context():
        enqueue(KIND, {"name": "late"}, delay=-OVERDUE_AFTER)
        commit()
    with running_changegate(Path(app.instance_path), "--no-jobs") as server:
        assert jobs_of(server) == "overdue"
        with running_workers(app):
            wait_until(lambda: not stored_jobs(app))
        assert jobs_of(server) == "ok"
    assert items(app) == {"late": 1}


def jobs_of(server: Running) -> str:
    status: str = requests.get(f"{server.url}/readyz", timeout=MOST_SECONDS).json()["jobs"]
    return status
