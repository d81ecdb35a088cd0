"""Leases: the right of one worker to run a job, for a limited time.

    worker A   claim() ──> runs the handler ──> end() or move(): does the row still hold A's lease?  yes ──> commit
                             │ A is paused, or was killed                                            no ──> roll back
    worker B                 └── after JOB_LEASE: claim() ──> runs the handler ──> end() ──> commit

Every statement that ends a lease compares `lease_owner`, in the transaction of the handler's effects: of several runs
of one job, exactly one commits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select, update

from changegate.database import commit, connection
from changegate.extensions import database_now
from changegate.models import Job
from changegate.models.base import new_sys_id
from changegate.services.jobs.handlers import KINDS

JOB_LEASE = timedelta(minutes=2)


class LeaseLost(Exception):
    """The job was run by another worker, enqueued again, or canceled since it was claimed."""


@dataclass(slots=True)
class Lease:
    """A claimed job. `is_over` is true once the current transaction has ended the lease."""

    sys_id: str
    kind: str
    key: str | None
    payload: dict[str, Any]
    attempts: int
    owner: str
    is_over: bool = False


def claim() -> Lease | None:
    """Lease the job that has been due for longest and commit; return None if no job is due."""
    at = database_now()
    due = select(Job.sys_id).where(*_is_due(at)).order_by(Job.due_at, Job.sys_id).limit(1)
    # Read first, so that an idle worker never enters the write queue.
    if connection().execute(due).first() is None:
        return None
    owner = new_sys_id()
    leased = (
        update(Job)
        .where(Job.sys_id == due.with_for_update(skip_locked=True).scalar_subquery())
        .values(lease_owner=owner, leased_until=at + JOB_LEASE, attempts=Job.attempts + 1)
        .returning(Job.sys_id, Job.kind, Job.job_key, Job.payload, Job.attempts)
    )
    row = connection().execute(leased).first()
    commit()
    return None if row is None else Lease(row.sys_id, row.kind, row.job_key, row.payload, row.attempts, owner)


def end(lease: Lease) -> None:
    """Delete a job that is done, in the current transaction. Raises `LeaseLost`."""
    _require_one(lease, connection().execute(delete(Job).where(*_is_held(lease))).rowcount)


def move(lease: Lease, values: dict[str, Any]) -> None:
    """Change a leased job and end its lease, in the current transaction. Raises `LeaseLost`."""
    ended = {**values, "leased_until": None, "lease_owner": None}
    _require_one(lease, connection().execute(update(Job).where(*_is_held(lease)).values(ended)).rowcount)


def _require_one(lease: Lease, count: int) -> None:
    if count != 1:
        raise LeaseLost
    lease.is_over = True


def _is_held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return Job.sys_id == lease.sys_id, Job.lease_owner == lease.owner


def _is_due(at: datetime) -> tuple[ColumnElement[bool], ...]:
    until = Job.leased_until
    # A lease that ends later than any lease could was written before the clock was moved back. Twice the length, since
    # other writers, for which this statement waited after `at` was read, may have leased the job.
    is_free = or_(until.is_(None), until <= at, until > at + 2 * JOB_LEASE)
    # Of known kinds only: during an upgrade, workers of the old version leave the new kinds to others.
    return Job.failed_at.is_(None), Job.due_at <= at, Job.kind.in_(KINDS), is_free
