"""The worker: claims jobs that are due, one after the other, and runs them.

A job has three units of work: one leases it, one runs the handler and ends the job, and only after a failure, one
records it. A process that is killed in between leaves either a leased job, which runs again after the lease, or none.
"""

import logging
import secrets
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from flask import Flask

from changegate.database import commit, kind_of, rollback
from changegate.database.cleanup import rest_after
from changegate.extensions import database_now
from changegate.models.job import MAX_LAST_ERROR
from changegate.services.jobs.handlers import KINDS, JobFailed
from changegate.services.jobs.leases import Lease, LeaseLost, claim, end, move
from changegate.services.jobs.queue import running
from changegate.services.jobs.repeating import provide_repeating_jobs

MOST_ATTEMPTS = 10
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
# How often an idle worker looks for jobs.
JOB_POLL_SECONDS = 1.0
SECONDS_BETWEEN_PROVISIONS = 600.0
ABANDONED = "The worker ended before the job did."
_PRODUCT = Path(__file__).parents[2]
log = logging.getLogger(__name__)


def work(app: Flask, wait: Callable[[float], bool]) -> None:
    """Run the jobs of an instance until `wait`(seconds) returns true; the current job is finished first."""
    provided_at: float | None = None
    pause = 0.0
    while not wait(pause):
        begun, pause = time.monotonic(), JOB_POLL_SECONDS
        try:
            if provided_at is None or time.monotonic() - provided_at > SECONDS_BETWEEN_PROVISIONS:
                with app.app_context():
                    provide_repeating_jobs()
                provided_at = time.monotonic()
            if run_next(app):
                pause = rest_after(begun)
        except Exception as problem:  # most likely the database is away; the thread must survive anything
            log.error("the worker pauses: %s", describe(problem))


def start_beside_main_thread(app: Flask) -> None:
    """Run jobs in a thread of their own until the main thread has ended; the process waits for the current job."""

    def wait(seconds: float) -> bool:
        threading.main_thread().join(seconds)
        return not threading.main_thread().is_alive()

    threading.Thread(target=work, args=(app, wait), name="jobs").start()


def run_next(app: Flask) -> bool:
    """Run the job that has been due for longest; return False if no job is due."""
    with app.app_context():
        lease = claim()
    if lease is None:
        return False
    with app.app_context():
        try:
            execute(lease)
        except LeaseLost:
            # The end of the context rolls back.
            log.warning("job %s %s was discarded: its lease was lost", lease.kind, lease.sys_id)
        except Exception as problem:
            rollback()
            _record_failure(lease, problem)
    return True


def execute(lease: Lease) -> None:
    """Run the handler of a leased job, and commit its effects together with the end of the job. Raises `LeaseLost`."""
    if lease.attempts > MOST_ATTEMPTS and KINDS[lease.kind].every is None:
        raise JobFailed(ABANDONED)
    token = running.set(lease)
    try:
        KINDS[lease.kind].handler(lease.payload)
        if not lease.is_over:
            end(lease)
        commit()
    finally:
        running.reset(token)


def _record_failure(lease: Lease, problem: Exception) -> None:
    """Postpone a job that failed, or keep it as failed after `MOST_ATTEMPTS`; a repeating job never fails for good."""
    every, at, error = KINDS[lease.kind].every, database_now(), describe(problem)
    is_final = every is None and lease.attempts >= MOST_ATTEMPTS
    pause = pause_after(lease.attempts, LONGEST_PAUSE if every is None else every)
    try:
        move(lease, {"last_error": error, **({"failed_at": at} if is_final else {"due_at": at + pause})})
        commit()
    except LeaseLost:
        return
    outcome = "it stays failed" if is_final else f"it runs again in {pause.total_seconds():.0f} seconds"
    frames = "".join(traceback.format_tb(problem.__traceback__))
    facts = (lease.kind, lease.sys_id, lease.attempts, error, outcome, frames)
    log.log(logging.ERROR if is_final else logging.WARNING, "job %s %s, attempt %d: %s; %s\n%s", *facts)


def pause_after(attempts: int, longest: timedelta) -> timedelta:
    """Return a pause that doubles with each attempt, of which up to a half is left out at random.

    Jobs that failed together then do not run again together.
    """
    pause = min(FIRST_PAUSE * (1 << min(attempts - 1, MOST_ATTEMPTS)), longest)
    return pause * (1 - secrets.randbelow(500) / 1000)


def describe(problem: Exception) -> str:
    """Return an error without its message, which may contain a secret, but with its place in the product."""
    if isinstance(problem, JobFailed):
        return str(problem)[:MAX_LAST_ERROR]
    frames = traceback.extract_tb(problem.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PRODUCT)]
    place = f" in {Path(own[-1].filename).relative_to(_PRODUCT)}:{own[-1].lineno}" if own else ""
    return f"{kind_of(problem)}{place}"[:MAX_LAST_ERROR]
