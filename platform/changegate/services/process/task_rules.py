"""The rules for writes of change tasks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationFailed
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.process.changes import lock_change_of_task
from changegate.services.process.facts import TASK_CLOSED
from changegate.services.process.lifecycle import CLOSED, TaskRules, begin_task, follow_state, is_import
from changegate.services.process.moves import advance
from changegate.services.process.recording import record_task_move
from changegate.services.process.refusals import data_policy
from changegate.services.process.work_tasks import WINDOW
from changegate.services.tables.rules import Values
from changegate.services.tables.values import INSTANT_FORMAT

OPEN = 1
MANDATORY_WHEN_CLOSED = ("close_code", "close_notes")
# A task that could leave its change would take the review with it, and be locked in another order.
CHANGE_FIXED = "{}: a task stays with its change. Cancel the task, and create another one"
IMPLEMENTATION = "implementation"
_TASK = Task.__table__
_CHANGE = Prepared(
    select(_TASK.c["sys_id"], _TASK.c["start_date"], _TASK.c["end_date"]).where(
        _TASK.c["sys_id"] == parameter("change"), _TASK.c["sys_class_name"] == "change_request"
    )
)


class ChangeTaskRules(TaskRules):
    """Rules of change_task, whose states do not depend on its change (docs/reference/change-records.md#tasks)."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Set the state and number of a new task, and connect it with its change."""
        values.setdefault("state", OPEN)
        begin_task(values, caller, table="change_task")
        _join_change(values)
        if not is_import(caller):
            _require_closing_fields(values, values)
            _require_window(values, values)

    def before_lock(self, sys_id: str) -> None:
        """Lock the change, which is locked before its tasks."""
        lock_change_of_task(sys_id)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Keep active consistent with the state, and parent with the change; refuse an incomplete closure."""
        follow_state(record, changes, caller)
        _join_change(changes)
        _require_same_change(record, changes)
        task = {**record, **changes}
        _require_closing_fields(task, changes)
        _require_window(task, changes)
        if "on_hold" in changes:
            changes["is_held_by_change"] = False

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Record a move of the task, and make the automatic moves of its change if it was closed or canceled."""
        record_task_move(record, changes, caller)
        if record["active"] and changes.get("active") is False and record["change_request"]:
            advance(record["change_request"], caller, TASK_CLOSED)


def _join_change(values: Values) -> None:
    """Set parent to the change of the task, or the change to a parent that is one."""
    if "change_request" in values:
        values["parent"] = values["change_request"]
    elif values.get("parent") and _CHANGE.first({"change": values["parent"]}):
        values["change_request"] = values["parent"]


def _require_same_change(record: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse to move a task to another change, and to give it another parent than its change."""
    for name in ("change_request", "parent"):
        if record["change_request"] and changes.get(name, record["change_request"]) != record["change_request"]:
            raise AccessRefused("Operation Failed", CHANGE_FIXED.format(name))


def _require_closing_fields(task: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse to close a task without close code and close notes, and to empty them in a closed task."""
    if task["state"] == CLOSED and {"state", *MANDATORY_WHEN_CLOSED} & changes.keys():
        if missing := [name for name in MANDATORY_WHEN_CLOSED if not task.get(name)]:
            raise data_policy(missing)


def _require_window(task: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse an implementation that is planned outside the window of its change; empty times are not compared."""
    dates = {name: task[name] for name in WINDOW if task.get(name)}
    is_new = {*WINDOW, "change_task_type", "change_request"} & changes.keys()
    if task.get("change_task_type") != IMPLEMENTATION or not dates or not is_new:
        return
    change = _CHANGE.first({"change": task.get("change_request")})
    if change is None:
        return
    for name, at in dates.items():
        if (change.start_date and at < change.start_date) or (change.end_date and at > change.end_date):
            window = " to ".join(f"{each:{INSTANT_FORMAT}}" if each else "open" for each in change[1:])
            raise OperationFailed(f"{name}: the task must be planned within the window of its change, {window} UTC")
