"""What happens when a change task is written."""

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
    select(Task.sys_id).where(Task.sys_id == parameter("wanted"), Task.__table__.c.sys_class_name == "change_request")
)


class ChangeTaskRules(TaskRules):
    """Writes to change_task; its moves do not depend on the change's state (docs/reference/change-records.md#tasks)."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Let the task begin, as a part of its change."""
        values.setdefault("state", OPEN)
        begin_task(values, caller, table="change_task", prefix="CTASK")
        _join_change(values)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Keep state and activity, parent and change in step."""
        follow_state(record, changes, caller)
        _join_change(changes)


def _join_change(values: Values) -> None:
    """Make the change the parent, and a parent that is a change the change."""
    if "change_request" in values:
        values["parent"] = values["change_request"]
    elif values.get("parent") and _CHANGE.first({"wanted": values["parent"]}):
        values["change_request"] = values["parent"]
