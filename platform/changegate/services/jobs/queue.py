"""The queue: adding and canceling jobs in the caller's transaction."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, true, update

from changegate.database import connection
from changegate.database.dialects import Upsert
from changegate.extensions import database_now
from changegate.models import Job
from changegate.models.base import new_ordered_sys_id
from changegate.services.jobs.handlers import KINDS
from changegate.services.jobs.leases import Lease, move

_JOBS = Job.__table__
_UNIQUE = (_JOBS.c.kind, _JOBS.c.job_key)
_PUT = Upsert(_JOBS, lambda _old, _new: true(), _UNIQUE)
# The job that this thread runs.
running: ContextVar[Lease | None] = ContextVar("running", default=None)


def enqueue(
    kind: str,
    payload: Mapping[str, Any] | None = None,
    *,
    key: str | None = None,
    delay: timedelta = timedelta(0),
    due_at: datetime | None = None,
) -> None:
    """Add a job in the caller's transaction; a worker runs it when it is due, at least once.

    The job is due `delay` after `due_at`, or after the current time of the database. `payload` is JSON and contains no
    secret. There is at most one job of a kind and key: enqueuing it again replaces its payload and due time, starts its
    attempts again, and discards a run that is under way. A handler that enqueues its own job postpones it.

    On PostgreSQL, lock the rows that the job is about first, as its handler does; otherwise both may deadlock, and the
    database ends one of them. Raises `ValueError` if no handler is registered for the kind.
    """
    if kind not in KINDS:
        raise ValueError(f"no handler is registered for jobs of the kind {kind}")
    values = new_job(kind, payload or {}, key, (due_at or database_now()) + delay)
    lease = _own_lease(kind, key)
    if lease is None:
        _PUT.execute(values)
    else:
        del values["sys_id"]
        move(lease, values)


def cancel(kind: str, key: str) -> None:
    """Delete the job of a kind and key, if there is one, in the caller's transaction; a run under way is discarded."""
    # The job that this thread runs ends with its run anyway.
    if _own_lease(kind, key) is None:
        connection().execute(delete(Job).where(Job.kind == kind, Job.job_key == key))


def take_waiting(kind: str) -> Sequence[Mapping[str, Any]]:
    """Delete the jobs of a kind that wait, in the caller's transaction; return their payloads.

    For a handler that does the work of several jobs at once.
    """
    is_waiting = (Job.kind == kind, Job.failed_at.is_(None), Job.lease_owner.is_(None))
    # Those that another worker is taking are left to it.
    chosen = select(Job.sys_id).where(*is_waiting).with_for_update(skip_locked=True)
    return connection().execute(delete(Job).where(Job.sys_id.in_(chosen)).returning(Job.payload)).scalars().all()


def hasten(kind: str) -> None:
    """Make the waiting jobs of a kind due now, in the caller's transaction; a run under way ends as it would."""
    is_waiting = (Job.kind == kind, Job.failed_at.is_(None), Job.due_at > database_now())
    connection().execute(update(Job).where(*is_waiting).values(due_at=database_now()))


def is_waiting(kind: str, key: str) -> bool:
    """Return whether there is a job of a kind and key that has not failed."""
    is_it = (Job.kind == kind, Job.job_key == key, Job.failed_at.is_(None))
    return connection().execute(select(Job.sys_id).where(*is_it)).first() is not None


def new_job(kind: str, payload: Mapping[str, Any], key: str | None, due_at: datetime) -> dict[str, Any]:
    """Return the columns of a job that waits."""
    identity = {"sys_id": new_ordered_sys_id(), "kind": kind, "job_key": key}
    progress = {"attempts": 0, "leased_until": None, "lease_owner": None, "last_error": None, "failed_at": None}
    return {**identity, "payload": dict(payload), "due_at": due_at, **progress}


def _own_lease(kind: str, key: str | None) -> Lease | None:
    lease = running.get()
    is_own = lease is not None and key is not None and (lease.kind, lease.key) == (kind, key)
    return lease if lease is not None and is_own and not lease.is_over else None
