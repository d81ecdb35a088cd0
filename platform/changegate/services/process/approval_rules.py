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
TABLE = "sysapproval_approver"
ANSWER_REFUSED = (
    "An access token answers an approval only if its subject is the approver and it has the scope approval.answer; "
    "use a user's name and password"
)
ANSWERS = frozenset({"approved", REJECTED})
_CLASS = Prepared(select(Task.sys_class_name).where(Task.sys_id == parameter("task")))


class ApprovalRules(NoRules):
    """Rules of sysapproval_approver: only the approver may answer, and may write nothing but the answer.

    See docs/reference/change-records.md#approvals.
    """

    def before_create(self, values: Values, caller: Caller) -> None:
        """Fill in both pairs of fields that name the approved record; refuse an answer of another user."""
        if values["state"] in ANSWERS:
            if "admin" not in caller.roles and values.get("approver") != caller.sys_id:
                raise AccessRefused("Operation Failed", "ACL Exception Insert Failed due to security constraints")
            require_answer_by_person(caller, values.get("approver"))
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
        if changes.get("state") in ANSWERS:
            require_answer_by_person(caller, record["approver"])
        if changes.get("state") == REJECTED and not changes.get("comments", record["comments"]):
            raise OperationFailed("Data Policy Exception: The following fields are mandatory: Comments")


def require_answer_by_person(caller: Caller, approver: str | None) -> None:
    """Refuse an answer by a token, unless its subject is the approver and one of its scopes names approvals.

    Neither useraccount nor a rule for every table suffices: a pipeline must not approve its own change.
    """
    is_allowed = caller.is_subject and approver == caller.sys_id and caller.permissions.has_rule_of(TABLE)
    if caller.grant is not None and not is_allowed:
        raise AccessRefused("Operation Failed", ANSWER_REFUSED)
