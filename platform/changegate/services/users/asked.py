"""Users and groups that were asked for approvals, which are evidence: they are deactivated instead of deleted."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import SysapprovalApprover
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules

_APPROVALS = SysapprovalApprover.__table__.c
_REFUSED = "{} was asked for approvals, which are kept as evidence. Deactivate it instead of deleting it"


class GroupRules(NoRules):
    """Rules of sys_user_group."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a group that was asked for an approval."""
        require_unasked(_OF_GROUP, record["sys_id"], f"The group {record['name']}")


def require_unasked_user(record: Mapping[str, Any]) -> None:
    """Refuse to delete a user who was asked for an approval or answered one. Raises `OperationFailed`."""
    require_unasked(_OF_USER, record["sys_id"], f"The account {record['user_name']}")


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
