"""The facts of a change, from which a state model decides; read while the change is locked."""

from collections.abc import Mapping
from typing import Any

from changegate.services.approvals.standing import facts_of
from changegate.services.process.changes import WORKFLOW, list_active_tasks
from changegate.services.state_models.conditions import Facts

TASK_CLOSED = "task_closed"
# The type of tasks that look back at a change. Its work is done without them.
REVIEW = "review"


def gather_facts(change: Mapping[str, Any], event: str = "") -> Facts:
    """Return the fields of a change and the computed facts; `event` is what has just happened, if anything."""
    tasks = list_active_tasks(change["sys_id"])
    return {
        **change,
        "event": event,
        "task.active": len(tasks),
        "task.active_work": sum(task["change_task_type"] != REVIEW for task in tasks),
        "task.active_manual": sum(task["created_from"] != WORKFLOW for task in tasks),
        "conflict.count": 0,
        **facts_of(change),
    }
