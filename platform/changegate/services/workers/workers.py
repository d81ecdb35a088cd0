"""Workers: stored with the job that does their work, in one transaction, so that no worker is lost by a crash.

start() ──> row (Waiting) + job ──> the job runs the work of the type ──> row: Complete, or Error with the reason
read_state() ──> In-Progress while a worker process has leased the job; Error if the job failed for good
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import delete, insert, select, update

from changegate.database import connection, rollback
from changegate.database.prepared import Prepared, parameter
from changegate.errors import ChangegateError
from changegate.extensions import database_now
from changegate.models import ChgMgtWorker, Job
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.models.conflict import COMPLETE, ERROR, IN_PROGRESS, WAITING
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.jobs.cleanups import deletes
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import cancel, enqueue

WORK = "change.worker"
# How long a worker can be polled.
KEPT_FOR = timedelta(days=7)
GAVE_UP = "The work could not be done. The log of the server has the reason; ask again."
CANCELED = "The work was canceled."
_WORKERS, _JOBS = ChgMgtWorker.__table__, Job.__table__
_WORKER = Prepared(select(_WORKERS).where(_WORKERS.c["sys_id"] == parameter("worker")))
_LATEST = Prepared(
    select(_WORKERS)
    .where(_WORKERS.c["change"] == parameter("change"), _WORKERS.c["type"] == parameter("type"))
    .order_by(_WORKERS.c["sys_id"].desc())
    .limit(1)
)
_JOB = Prepared(
    select(_JOBS.c["leased_until"], _JOBS.c["failed_at"]).where(
        _JOBS.c["kind"] == WORK, _JOBS.c["job_key"] == parameter("worker")
    )
)


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """What work has led to: a sentence for the caller, and the payload in JSON."""

    message: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """The request, the change, and the caller of some work. The work acts without the limits of the caller's token."""

    request: Mapping[str, Any]
    change: str | None
    caller: Caller


Work = Callable[[Assignment], WorkOutcome]
_WORKS: dict[str, Work] = {}


def does(*types: str) -> Callable[[Work], Work]:
    """Register the decorated function as the work of some types. It raises a domain error if it cannot be done."""

    def register(work: Work) -> Work:
        _WORKS.update(dict.fromkeys(types, work))
        return work

    return register


def start(kind: str, request: Mapping[str, Any], caller: Caller, *, change: str | None = None) -> str:
    """Store a worker and enqueue its job; return the sys_id of the worker."""
    values = _new(kind, request, caller, change)
    connection().execute(insert(_WORKERS).values(values))
    enqueue(WORK, {"worker": values["sys_id"]}, key=values["sys_id"])
    return str(values["sys_id"])


def store_done(kind: str, request: Mapping[str, Any], caller: Caller, outcome: WorkOutcome, *, change: str) -> str:
    """Store a worker whose work was done within the request; return its sys_id."""
    values = _new(kind, request, caller, change) | _ending(COMPLETE, outcome)
    connection().execute(insert(_WORKERS).values(values))
    return str(values["sys_id"])


def find_latest(kind: str, change: str) -> Any | None:
    """Return the row of the latest worker of a type for a change, or None."""
    return _LATEST.first({"type": kind, "change": change})


def cancel_waiting(kind: str, change: str) -> None:
    """End the workers of a type for a change that are not done; a run under way is discarded."""
    columns = _WORKERS.c
    is_open = (columns["type"] == kind, columns["change"] == change, columns["state"] == WAITING)
    for worker in connection().execute(select(columns["sys_id"]).where(*is_open).order_by(columns["sys_id"])).scalars():
        cancel(WORK, worker)
        _end(worker, _ending(ERROR, WorkOutcome(CANCELED)))


def forget_workers(table: str, sys_ids: Sequence[str]) -> None:
    """Delete the workers of deleted changes."""
    if table == "change_request":
        connection().execute(delete(_WORKERS).where(_WORKERS.c["change"].in_(sys_ids)))


def read_state(worker: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Return the state of a worker as it is now, and its errors."""
    messages = orjson.loads(worker["messages"] or "{}")
    if worker["state"] != WAITING:
        return worker["state"], messages.get("errorMessages", [])
    job = _JOB.first({"worker": worker["sys_id"]})
    if job is None or job.failed_at is not None:
        # The row is read again: the work may have been done since.
        row = _WORKER.first({"worker": worker["sys_id"]})
        return (ERROR, [GAVE_UP]) if row is None or row.state == WAITING else read_state(row._asdict())
    is_leased = job.leased_until is not None and job.leased_until > database_now()
    return (IN_PROGRESS if is_leased else WAITING), []


@handles(WORK)
def work(payload: Mapping[str, Any]) -> None:
    """Do the work of a worker, and store its outcome in the same transaction."""
    row = _WORKER.first({"worker": payload["worker"]})
    if row is None or row.state != WAITING:
        return
    caller = Caller(row.user or "", row.sys_created_by, Permissions(frozenset({"admin"})))
    try:
        outcome = _WORKS[row.type](Assignment(orjson.loads(row.request), row.change, caller))
        ending = _ending(COMPLETE, outcome)
    except ChangegateError as refused:
        rollback()
        ending = _ending(ERROR, WorkOutcome(refused.detail or refused.message))
    _end(row.sys_id, ending)


delete_old_workers = deletes(
    "change.workers.cleanup",
    "results of workers",
    ChgMgtWorker.sys_id,
    lambda at: ChgMgtWorker.sys_created_on < at - KEPT_FOR,
)


def _new(kind: str, request: Mapping[str, Any], caller: Caller, change: str | None) -> dict[str, Any]:
    now = utc_now()
    return {
        "sys_id": new_ordered_sys_id(),
        **dict.fromkeys(("sys_created_on", "sys_updated_on"), now),
        **dict.fromkeys(("sys_created_by", "sys_updated_by"), caller.user_name),
        "type": kind,
        "state": WAITING,
        "change": change,
        "user": caller.sys_id or None,
        "oauth_entity": caller.grant.entity if caller.grant else None,
        "request": orjson.dumps(dict(request)).decode(),
    }


def _ending(state: int, outcome: WorkOutcome) -> dict[str, Any]:
    name = "infoMessages" if state == COMPLETE else "errorMessages"
    messages = {"errorMessages": [], "warningMessages": [], "infoMessages": [], name: [outcome.message]}
    payload = orjson.dumps(dict(outcome.payload)).decode() if outcome.payload else None
    return {"state": state, "messages": orjson.dumps(messages).decode(), "payload": payload}


def _end(worker: str, ending: Mapping[str, Any]) -> None:
    values = {**ending, "sys_updated_on": utc_now()}
    connection().execute(update(_WORKERS).where(_WORKERS.c["sys_id"] == worker).values(values))
