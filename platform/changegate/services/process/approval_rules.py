"""The rules for writes of approvals."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed, OperationRefused, RecordNotFound
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.answers import (
    COMMENTS_MISSING,
    after_answer,
    complete_answer,
    find_change_of,
    require_answer_by_person,
)
from changegate.services.approvals.rollup import REJECTED
from changegate.services.approvals.rounds import ANSWERED, Round
from changegate.services.process.changes import lock_change
from changegate.services.process.moves import apply_outcome
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing.audit import require_never_deleted

ANSWER = frozenset({"state", "comments"})
FOR_THE_APPROVER = "Only the approver and administrators may answer this approval."
KEPT = "An approval that a policy requested is evidence and cannot be deleted"
_CLASS = Prepared(select(Task.sys_class_name).where(Task.sys_id == parameter("task")))


class ApprovalRules(Rules):
    """Rules of sysapproval_approver: only the approver may answer, and may write nothing but the answer.

    Only approvals that a policy requested count for the change. The others are informational. See docs/approvals.md.
    """

    def require_unused(self, sys_id: str) -> None:
        """Refuse the sys_id of a deleted approval, to which delegations stay."""
        require_never_deleted("sysapproval_approver", sys_id)

    def before_create(self, values: Values, caller: Caller) -> None:
        """Fill in both pairs of fields that name the approved record; refuse an answer of another user."""
        if values["state"] in ANSWERED:
            if "admin" not in caller.roles and values.get("approver") != caller.sys_id:
                raise OperationRefused("Insert", FOR_THE_APPROVER)
            require_answer_by_person(caller, values.get("approver"))
        if task := values.get("sysapproval"):
            row = _CLASS.first({"task": task})
            values.setdefault("document_id", task)
            values.setdefault("source_table", row.sys_class_name if row else "task")

    def before_lock(self, sys_id: str) -> None:
        """Lock the change before its approval, in the order of all writers."""
        if change := find_change_of(sys_id):
            lock_change(change)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an answer that the caller may not give, and a rejection without comments."""
        if record["asked_by_policy"]:
            if changes:
                complete_answer(record, changes, Round(_change_of(record), caller))
            return
        if "admin" not in caller.roles:
            if record["approver"] != caller.sys_id:
                raise OperationRefused("Update", FOR_THE_APPROVER)
            for name in set(changes) - ANSWER:
                del changes[name]
        if changes.get("state") in ANSWERED:
            require_answer_by_person(caller, record["approver"])
        if changes.get("state") == REJECTED and not changes.get("comments", record["comments"]):
            raise OperationFailed(COMMENTS_MISSING)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Count the answers, and move the change if they are enough."""
        if record["asked_by_policy"]:
            current = Round(_change_of(record), caller)
            apply_outcome(current.change, after_answer(current, {**record, **changes}), caller)

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete what a policy requested."""
        if record["asked_by_policy"]:
            raise OperationFailed(KEPT)


def _change_of(record: Mapping[str, Any]) -> dict[str, Any]:
    change = lock_change(record["sysapproval"]) if record["sysapproval"] else None
    if change is None:
        raise RecordNotFound
    return change
