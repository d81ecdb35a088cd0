"""Creation quotas: how many tasks an integration may create within an hour and within a day.

    request 1    locks the integration's row ──> counts ──> inserts the task ──> commits
    request 2    waits for the lock                                          ──> locks ──> counts ──> ...

The tasks in the database that name the integration are counted. An integration with a quota creates one task at a time,
across all processes, so that the count still holds when the task is written. Other integrations do not wait (on SQLite,
all writers wait for each other in any case).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import QuotaReached
from changegate.models import OAuthEntity, Task
from changegate.services.access.caller import Caller

WINDOWS = {"creations_per_hour": ("hour", timedelta(hours=1)), "creations_per_day": ("day", timedelta(days=1))}


def require_creation_quota(caller: Caller, task: Mapping[str, Any]) -> None:
    """Raise `QuotaReached` for a new task beyond the quota of the caller's integration.

    The task must have its `sys_created_on`. The windows slide and end at that time, so that no hour and no day ever
    has more tasks than its quota. The integration's row stays locked until the transaction ends.
    """
    if caller.grant is None or caller.origin is None or not caller.origin.is_limited:
        return
    entity, at = caller.grant.entity, task["sys_created_on"]
    quota = _LOCK.first({"entity": entity})
    waits = [] if quota is None else [_wait(entity, name, getattr(quota, name), at) for name in WINDOWS]
    if any(waits):
        seconds, detail = max(wait for wait in waits if wait)
        raise QuotaReached(f"{detail}; the next one can be created in {seconds} seconds", seconds)


def _wait(entity: str, name: str, most: int | None, at: datetime) -> tuple[int, str] | None:
    """Return the seconds until a window allows another task, and the exceeded quota in words; None if it allows one."""
    if most is None:
        return None
    word, window = WINDOWS[name]
    reached = _SINCE.first({"entity": entity, "since": at - window, "newer": most - 1})
    if reached is None:
        return None
    # Times are whole seconds. The task leaves the window when it is as old as the window is long.
    seconds = max(1, int((reached.sys_created_on + window - at).total_seconds()))
    return seconds, f"This integration may create {most} {'task' if most == 1 else 'tasks'} per {word}"


def _lock_statement() -> Any:
    quota = select(OAuthEntity.creations_per_hour, OAuthEntity.creations_per_day)
    locked = quota.where(OAuthEntity.sys_id == parameter("entity")).with_for_update(key_share=True)
    # SQLite has no row locks; the option makes it take its write lock before it reads (database/engine.py). Without it,
    # two transactions could both count before either writes.
    return locked.execution_options(locks_rows=True)


def _since_statement() -> Any:
    """Return the statement for the task that fills the quota: the one with `newer` tasks created after it."""
    created = select(Task.sys_created_on).where(
        Task.oauth_entity == parameter("entity"), Task.sys_created_on > parameter("since")
    )
    newer = parameter("newer", type_=Integer)
    return created.order_by(Task.sys_created_on.desc()).limit(1).offset(newer)


_LOCK = Prepared(_lock_statement())
_SINCE = Prepared(_since_statement())
