"""Records that approvals depend on: they are deactivated instead of deleted.

Those who were asked are evidence. Without the account of a requester or opener, their other accounts could approve. A
change without its assignment group lacks a mandatory field, and the people whom rules ask.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import ChgApprovalDecision, SysapprovalApprover, Task
from changegate.services.access.caller import Caller
from changegate.services.tables.rules import Rules
from changegate.services.tables.writing.audit import require_never_deleted

_APPROVALS = SysapprovalApprover.__table__.c
_TASKS = Task.__table__.c
_REFUSED = "{} was asked for approvals, which are kept as evidence. Deactivate it instead of deleting it"
_NAMED = "{} is named by {}, which has not ended. Deactivate it instead of deleting it"
_REQUESTED = "{} requested or opened {}, which this person must not approve. Deactivate it instead of deleting it"


class GroupRules(Rules):
    """Rules of sys_user_group."""

    def require_unused(self, sys_id: str) -> None:
        """Refuse the sys_id of a deleted group, which may be the owner of integrations."""
        require_never_deleted("sys_user_group", sys_id)

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a group that was asked for an approval, or to which an active change is assigned."""
        require_unasked(_OF_GROUP, record["sys_id"], f"The group {record['name']}")
        if change := _ASSIGNED.first({"group": record["sys_id"]}):
            raise OperationFailed(_NAMED.format(f"The group {record['name']}", change.number))


def require_unasked_user(record: Mapping[str, Any]) -> None:
    """Refuse to delete a user who was asked for an approval or answered one. Raises `OperationFailed`."""
    require_unasked(_OF_USER, record["sys_id"], f"The account {record['user_name']}")


def require_no_requester(record: Mapping[str, Any]) -> None:
    """Refuse to delete a user who requested or opened a change that is open or decided. Raises `OperationFailed`."""
    if change := _REQUESTED_BY.first({"user": record["sys_id"]}):
        raise OperationFailed(_REQUESTED.format(f"The account {record['user_name']}", change.number))


def require_unasked(approvals: Prepared, sys_id: str, name: str) -> None:
    """Raise `OperationFailed` if there are approvals of a user or group."""
    if approvals.first({"asked": sys_id}):
        raise OperationFailed(_REFUSED.format(name))


_OF_GROUP = Prepared(select(_APPROVALS.sys_id).where(_APPROVALS["group"] == parameter("asked")).limit(1))
_OF_USER = Prepared(
    select(_APPROVALS.sys_id)
    .where(or_(_APPROVALS.approver == parameter("asked"), _APPROVALS.answered_by == parameter("asked")))
    .limit(1)
)
_ASSIGNED = Prepared(
    select(_TASKS["number"])
    .where(
        _TASKS["assignment_group"] == parameter("group"),
        _TASKS["sys_class_name"] == "change_request",
        _TASKS["active"].is_(True),
    )
    .limit(1)
)
_DECISION = select(ChgApprovalDecision.sys_id).where(ChgApprovalDecision.change_request == _TASKS["sys_id"]).exists()
_REQUESTED_BY = Prepared(
    select(_TASKS["number"])
    .where(
        or_(_TASKS["requested_by"] == parameter("user"), _TASKS["opened_by"] == parameter("user")),
        _TASKS["sys_class_name"] == "change_request",
        or_(_TASKS["active"].is_(True), _DECISION),
    )
    .limit(1)
)
