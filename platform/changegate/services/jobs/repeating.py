"""Jobs that repeat for as long as the instance exists, such as cleanups."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from changegate.database import commit
from changegate.database.dialects import Upsert
from changegate.extensions import database_now, now
from changegate.models import Job
from changegate.services.jobs.handlers import KINDS, JobKind, add_kind
from changegate.services.jobs.queue import enqueue, new_job

Step = Callable[[datetime], bool | timedelta]
# Every repeating job has a key, so that it exists once however many workers there are.
REPEATING_KEY = "repeating"
CLEANUP_INTERVAL = timedelta(minutes=10)
_JOBS = Job.__table__
# A job that is due later than one interval from now was written before the clock was moved back or the interval was
# shortened.
_PROVIDE = Upsert(_JOBS, lambda old, new: old.due_at > new.due_at, (_JOBS.c.kind, _JOBS.c.job_key))


def repeating(kind: str, *, every: timedelta) -> Callable[[Step], Step]:
    """Register the decorated function as a job that runs again `every` so often, counted from the end of a run.

    The function gets the current time. It does a limited amount of work in a transaction that the worker commits, and
    returns whether there may be more; it then runs again without waiting. It may also return the time until its next
    run. A run that fails is repeated without a limit of attempts.
    """

    def register(step: Step) -> Step:
        def run(_payload: Mapping[str, Any]) -> None:
            outcome = step(now())
            delay = outcome if isinstance(outcome, timedelta) else timedelta(0) if outcome else every
            enqueue(kind, key=REPEATING_KEY, delay=delay)

        add_kind(kind, JobKind(run, every))
        return step

    return register


def provide_repeating_jobs() -> None:
    """Add the repeating jobs that are missing, and commit; the first run is due after one interval."""
    at = database_now()
    for name, kind in KINDS.items():
        if kind.every is not None:
            _PROVIDE.execute(new_job(name, {}, REPEATING_KEY, at + kind.every))
    commit()
