"""What tokens must not change because it determines who approves: members and managers that active rules use."""

from sqlalchemy import String, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgApprovalDef, ChgPolicyApproval
from changegate.services.access.caller import Caller
from changegate.services.approvals.candidates import FIELD, table_of_field
from changegate.services.users.roles import refuse_tokens

GROUP_REFUSED = "An access token cannot change the members or the manager of a group that an active approval rule names"
MANAGER_REFUSED = "An access token cannot change the manager of a user while an active approval rule asks that manager"
_ACTIVE = select(ChgApprovalDef.approver_field).join(
    ChgPolicyApproval, (ChgPolicyApproval.sys_id == ChgApprovalDef.policy) & ChgPolicyApproval.active
)
_OF_GROUP = Prepared(_ACTIVE.where(ChgApprovalDef.group == parameter("group", String)).limit(1))
_OF_FIELDS = Prepared(_ACTIVE.where(ChgApprovalDef.approver_source == FIELD))


def refuse_tokens_of_groups(caller: Caller, *groups: str | None) -> None:
    """Refuse a token that would change who approves for a group. Raises `AccessRefused`."""
    if caller.grant is not None and any(_OF_GROUP.first({"group": group}) for group in groups if group):
        refuse_tokens(caller, GROUP_REFUSED)


def refuse_tokens_of_managers(caller: Caller) -> None:
    """Refuse a token that would change the manager of a user, if a rule asks such a manager. Raises `AccessRefused`."""
    if caller.grant is not None and any(_is_manager_of_user(row.approver_field) for row in _OF_FIELDS.all({})):
        refuse_tokens(caller, MANAGER_REFUSED)


def _is_manager_of_user(path: str) -> bool:
    first, _, second = path.partition(".")
    return second == "manager" and table_of_field(first) == "sys_user"
