"""The rules for writes of change tasks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.process.lifecycle import TaskRules, begin_task, follow_state
from changegate.services.tables.registry import Values

OPEN = 1
_CHANGE = Prepared(
    select(Task.sys_id).where(Task.sys_id == parameter("parent"), Task.__table__.c.sys_class_name == "change_request")
)


class ChangeTaskRules(TaskRules):
    """Rules of change_task, whose states do not depend on its change (docs/reference/change-records.md#tasks)."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Set the state and number of a new task, and connect it with its change."""
        values.setdefault("state", OPEN)
        begin_task(values, caller, table="change_task", prefix="CTASK")
        _join_change(values)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Keep active consistent with the state, and parent with the change."""
        follow_state(record, changes, caller)
        _join_change(changes)


def _join_change(values: Values) -> None:
    """Set parent to the change of the task, or the change to a parent that is one."""
    if "change_request" in values:
        values["parent"] = values["change_request"]
    elif values.get("parent") and _CHANGE.first({"parent": values["parent"]}):
        values["change_request"] = values["parent"]
