"""The facts of a change, from which a state model decides; read while the change is locked."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import SysapprovalApprover
from changegate.services.process.changes import WORKFLOW, list_active_tasks
from changegate.services.state_models.conditions import Facts

TASK_CLOSED = "task_closed"
# The type of tasks that look back at a change. Its work is done without them.
REVIEW = "review"
_APPROVALS = SysapprovalApprover.__table__.c
_COUNTS = Prepared(
    select(_APPROVALS["state"], func.count().label("count"))
    .where(_APPROVALS["document_id"] == parameter("change"), _APPROVALS["asked_by_policy"].is_(True))
    .group_by(_APPROVALS["state"])
)


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
        **_approval_facts(change["sys_id"]),
    }


def _approval_facts(change: str) -> Facts:
    counts = {row.state: row.count for row in _COUNTS.all({"change": change})}
    facts = {f"approval.{state}": counts.get(state, 0) for state in ("requested", "approved", "rejected")}
    return {**facts, "approval.missing": facts["approval.requested"]}
