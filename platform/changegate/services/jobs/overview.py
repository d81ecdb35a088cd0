"""Jobs as operators see them: their states, and another try for those that failed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, exists, or_, select, update

from changegate.database import connection
from changegate.extensions import database_now
from changegate.models import Job

# A worker takes a job within seconds unless other jobs are due. The repeating jobs are due all the time.
OVERDUE_AFTER = timedelta(minutes=5)
MOST_JOBS_LISTED = 1000


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job without its payload. `state` is failed, running, overdue, or waiting."""

    sys_id: str
    kind: str
    key: str | None
    state: str
    due_at: datetime
    attempts: int
    last_error: str | None


def list_jobs() -> list[JobFacts]:
    """Return up to `MOST_JOBS_LISTED` jobs: those that failed, then the others in the order in which they are due."""
    at = database_now()
    states = (Job.failed_at.is_not(None), "failed"), (Job.leased_until > at, "running"), (_is_overdue(at), "overdue")
    shown = (Job.sys_id, Job.kind, Job.job_key, case(*states, else_="waiting"))
    rows = connection().execute(
        select(*shown, Job.due_at, Job.attempts, Job.last_error)
        .order_by(Job.failed_at.is_(None), Job.due_at, Job.sys_id)
        .limit(MOST_JOBS_LISTED)
    )
    return [JobFacts(*row) for row in rows]


def retry_jobs(sys_id: str | None = None) -> int:
    """Make a failed job, or all of them, due now, with all attempts again; return how many they are."""
    chosen = (Job.failed_at.is_not(None), *(() if sys_id is None else (Job.sys_id == sys_id,)))
    values = {"failed_at": None, "attempts": 0, "due_at": database_now()}
    return connection().execute(update(Job).where(*chosen).values(values)).rowcount


def status_of_jobs() -> str:
    """Return `overdue` if jobs wait although they are due, otherwise `failed` if there are failed jobs, otherwise `ok`.

    Overdue jobs mean that no worker runs, or too few.
    """
    overdue = select(Job.sys_id).where(_is_overdue(database_now()))
    failed = select(Job.sys_id).where(Job.failed_at.is_not(None))
    is_overdue, is_failed = connection().execute(select(exists(overdue), exists(failed))).one()
    if is_overdue:
        return "overdue"
    return "failed" if is_failed else "ok"


def _is_overdue(at: datetime) -> ColumnElement[bool]:
    is_free = or_(Job.leased_until.is_(None), Job.leased_until <= at)
    return and_(Job.failed_at.is_(None), Job.due_at <= at - OVERDUE_AFTER, is_free)
