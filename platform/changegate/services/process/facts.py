"""The facts of a change, from which a state model decides; read while the change is locked."""

from collections.abc import Collection, Mapping
from typing import Any

from changegate.services.approvals.standing import facts_of
from changegate.services.approvals.voiding import effective_approval
from changegate.services.process.changes import WORKFLOW, list_active_tasks
from changegate.services.state_models.conditions import Facts

TASK_CLOSED = "task_closed"
# The type of tasks that look back at a change. Its work is done without them.
REVIEW = "review"


def gather_facts(change: Mapping[str, Any], event: str = "", edited: Collection[str] = ()) -> Facts:
    """Return the fields of a change and the computed facts; `event` is what has just happened, if anything.

    `edited` names the fields that a request is about to write, whose values `change` has already.
    """
    tasks = list_active_tasks(change["sys_id"])
    return {
        **change,
        "approval": effective_approval(change, frozenset(edited)),
        "event": event,
        "task.active": len(tasks),
        "task.active_work": sum(task["change_task_type"] != REVIEW for task in tasks),
        "task.active_manual": sum(task["created_from"] != WORKFLOW for task in tasks),
        "conflict.count": 0,
        **facts_of(change),
    }
