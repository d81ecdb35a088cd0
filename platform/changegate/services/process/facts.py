"""The facts of a change, from which a state model decides; read while the change is locked."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChangeTask
from changegate.services.approvals.counting import facts_of
from changegate.services.conflicts.detection import count_conflicts
from changegate.services.process.changes import WORKFLOW, list_active_tasks
from changegate.services.process.freezes import freeze_facts
from changegate.services.process.lifecycle import CANCELED
from changegate.services.standard_changes.templates import is_active
from changegate.services.state_models.conditions import Facts

TASK_CLOSED = "task_closed"
# The type of tasks that look back at a change. Its work is done without them.
REVIEW = "review"
_TASKS = ChangeTask.__table__
_REVIEW = Prepared(
    select(_TASKS.c["sys_id"])
    .where(
        _TASKS.c["change_request"] == parameter("change"),
        _TASKS.c["change_task_type"] == REVIEW,
        _TASKS.c["state"] != CANCELED,
    )
    .limit(1)
)


def gather_facts(
    change: Mapping[str, Any], event: str = "", edited: Collection[str] = (), needed: Collection[str] | None = None
) -> Facts:
    """Return the fields of a change and the computed facts; `event` is what has just happened, if anything.

    `edited` names the fields that a request is about to write, whose values `change` has already. Computed facts that
    are not in `needed` are left out, so that they cost no statement; without it, all are computed.
    """
    facts = {**change, "event": event}
    if _is_needed("conflict.", needed):
        facts["conflict.count"] = count_conflicts(change)
    if _is_needed("approval", needed):
        facts |= facts_of(change, edited, counts=_is_needed("approval.", needed))
    if _is_needed("freeze.", needed):
        facts |= freeze_facts(change)
    if _is_needed("task.", needed):
        tasks = list_active_tasks(change["sys_id"])
        facts["task.active"] = len(tasks)
        facts["task.active_work"] = sum(task["change_task_type"] != REVIEW for task in tasks)
        facts["task.active_manual"] = sum(task["created_from"] != WORKFLOW for task in tasks)
    if _is_needed("template.", needed):
        facts["template.active"] = int(is_active(change["std_change_producer_version"]))
    if _is_needed("review.", needed):
        facts["review.missing"] = int(lacks_review(change))
    return facts


def lacks_review(change: Mapping[str, Any]) -> bool:
    """Return whether an emergency or unauthorized change has no review task, or only canceled ones."""
    is_review_due = change["unauthorized"] or change["type"] == "emergency"
    return is_review_due and _REVIEW.first({"change": change["sys_id"]}) is None


def _is_needed(prefix: str, needed: Collection[str] | None) -> bool:
    return needed is None or any(name.startswith(prefix) for name in needed)
