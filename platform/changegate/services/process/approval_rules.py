"""What happens when an approval is written."""

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
_CLASS = Prepared(select(Task.sys_class_name).where(Task.sys_id == parameter("wanted")))


class ApprovalRules(NoRules):
    """Writes to sysapproval_approver: whoever is asked answers, and only with an answer.

    See docs/reference/change-records.md#approvals.
    """

    def before_create(self, values: Values, caller: Caller) -> None:
        """Say what the approval is about in both of the ways clients look for; an answer is nobody else's to give."""
        if "admin" not in caller.roles and values["state"] in ANSWERS and values.get("approver") != caller.sys_id:
            raise AccessRefused("Operation Failed", "ACL Exception Insert Failed due to security constraints")
        if task := values.get("sysapproval"):
            row = _CLASS.first({"wanted": task})
            values.setdefault("document_id", task)
            values.setdefault("source_table", row.sys_class_name if row else "task")

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an answer that is another's to give, and a rejection without a reason."""
        if "admin" not in caller.roles:
            if record["approver"] != caller.sys_id:
                raise AccessRefused("Operation Failed", "ACL Exception Update Failed due to security constraints")
            for name in set(changes) - ANSWER:
                del changes[name]
        if changes.get("state") == REJECTED and not changes.get("comments", record["comments"]):
            raise OperationFailed("Data Policy Exception: The following fields are mandatory: Comments")
