"""The rows of a change and its tasks, past the access of a caller: for rules, which work on whole changes.

Lock order: the change, then its tasks, then its approvals. Who locks a task or an approval locks its change first.
"""

from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import Task
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.rules import Values

_TASK = Task.__table__
_IS_CHANGE = _TASK.c["sys_class_name"] == "change_request"
_CHANGE = select(_TASK).where(_TASK.c["sys_id"] == parameter("change"), _IS_CHANGE)
# SQLite has no row locks. `locks_rows` makes it take its write lock before it reads (database/engine.py).
_LOCK_CHANGE = Prepared(_CHANGE.with_for_update(key_share=True).execution_options(locks_rows=True))
_FIND_CHANGE = Prepared(_CHANGE)
_CHANGE_OF_TASK = Prepared(select(_TASK.c["change_request"]).where(_TASK.c["sys_id"] == parameter("task")))
_TASKS = (
    select(_TASK)
    .where(_TASK.c["change_request"] == parameter("change"), _TASK.c["active"].is_(True))
    .order_by(_TASK.c["order"], _TASK.c["number"])
)
_ACTIVE_TASKS = Prepared(_TASKS)
_LOCK_ACTIVE_TASKS = Prepared(_TASKS.with_for_update(key_share=True).execution_options(locks_rows=True))
WORKFLOW = "workflow"


def changes_table() -> Table:
    """Return the table of changes."""
    return get_table("change_request")


def tasks_table() -> Table:
    """Return the table of change tasks."""
    return get_table("change_task")


def lock_change(sys_id: str) -> Values | None:
    """Lock and return a change, or return None if there is no such change."""
    row = _LOCK_CHANGE.first({"change": sys_id})
    return None if row is None else _values(row)


def find_change(sys_id: str) -> Values | None:
    """Return a change without a lock, or None if there is no such change."""
    row = _FIND_CHANGE.first({"change": sys_id})
    return None if row is None else _values(row)


def lock_change_of_task(sys_id: str) -> None:
    """Lock the change of a task that is about to be locked. A task stays with its change."""
    row = _CHANGE_OF_TASK.first({"task": sys_id}) if sys_id.isprintable() else None
    if row is not None and row.change_request:
        lock_change(row.change_request)


def list_active_tasks(change: str) -> list[Values]:
    """Return the active tasks of a change in their order."""
    return [_values(row) for row in _ACTIVE_TASKS.all({"change": change})]


def lock_active_tasks(change: str) -> list[Values]:
    """Lock and return the active tasks of a change, which must be locked already."""
    return [_values(row) for row in _LOCK_ACTIVE_TASKS.all({"change": change})]


def _values(row: Any) -> Values:
    return dict(zip(_TASK.c.keys(), row, strict=True))
