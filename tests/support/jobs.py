"""Jobs in tests: a worker's work, done at once in the test's thread."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.models import Job
from changegate.services.jobs.handlers import KINDS, JobKind
from changegate.services.jobs.leases import claim
from changegate.services.jobs.queue import enqueue
from changegate.services.jobs.repeating import REPEATING_KEY
from changegate.services.jobs.worker import execute

MOST_RUNS = 10_000


def run_due_jobs(app: Flask, *repeating: str) -> list[str]:
    """Run every job that is due by the clock of the test, and the named repeating jobs as if they were due.

    Returns the kinds of the jobs that do not repeat, in the order in which they ran, and raises what a handler raises.
    Call it without a transaction that has written. Jobs that become due meanwhile are run too.
    """
    with app.app_context():
        for name in repeating:
            enqueue(name, key=REPEATING_KEY)
        commit()
    kinds: list[str] = []
    while len(kinds) < MOST_RUNS:
        with app.app_context():
            lease = claim()
        if lease is None:
            return [kind for kind in kinds if kind not in repeating_kinds()]
        with app.app_context():
            execute(lease)
        kinds.append(lease.kind)
    raise AssertionError(f"there is no end of jobs: {set(kinds)}")


def repeating_kinds() -> list[str]:
    return [name for name, kind in KINDS.items() if kind.every is not None]


@contextmanager
def kind_of_job(name: str, handler: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Register a kind of job for as long as a block takes."""
    with mock.patch.dict(KINDS, {name: JobKind(handler)}):
        yield


def stored_jobs(app: Flask, *kinds: str) -> list[Any]:
    """Return the rows of jobs, the first due first: of some kinds, or of all that do not repeat."""
    is_shown = Job.kind.in_(kinds) if kinds else Job.kind.not_in(repeating_kinds())
    with app.app_context():
        return list(connection().execute(select(Job.__table__).where(is_shown).order_by(Job.due_at, Job.sys_id)))
