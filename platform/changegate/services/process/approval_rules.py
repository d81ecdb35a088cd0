"""The rules for writes of approvals."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationFailed
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules, Values

ANSWER = frozenset({"state", "comments"})
REJECTED = "rejected"
ANSWERS = frozenset({"approved", REJECTED})
_CLASS = Prepared(select(Task.sys_class_name).where(Task.sys_id == parameter("task")))


class ApprovalRules(NoRules):
    """Rules of sysapproval_approver: only the approver may answer, and may write nothing but the answer.

    See docs/reference/change-records.md#approvals.
    """

    def before_create(self, values: Values, caller: Caller) -> None:
        """Fill in both pairs of fields that name the approved record; refuse an answer of another user."""
        if "admin" not in caller.roles and values["state"] in ANSWERS and values.get("approver") != caller.sys_id:
            raise AccessRefused("Operation Failed", "ACL Exception Insert Failed due to security constraints")
        if task := values.get("sysapproval"):
            row = _CLASS.first({"task": task})
            values.setdefault("document_id", task)
            values.setdefault("source_table", row.sys_class_name if row else "task")

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an answer that belongs to another user, and a rejection without comments."""
        if "admin" not in caller.roles:
            if record["approver"] != caller.sys_id:
                raise AccessRefused("Operation Failed", "ACL Exception Update Failed due to security constraints")
            for name in set(changes) - ANSWER:
                del changes[name]
        if changes.get("state") == REJECTED and not changes.get("comments", record["comments"]):
            raise OperationFailed("Data Policy Exception: The following fields are mandatory: Comments")
