"""What tokens must not change because it determines who approves: members and managers that active rules use."""

from functools import lru_cache

from sqlalchemy import String, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgApprovalDef, ChgPolicyApproval, Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.candidates import FIELD, table_of_field
from changegate.services.users.roles import refuse_tokens

GROUP_REFUSED = "An access token cannot change the members or the manager of a group that an active approval rule asks"
MANAGER_REFUSED = "An access token cannot change the manager of a user while an active approval rule asks that manager"
_ACTIVE = select(ChgApprovalDef.approver_field).join(
    ChgPolicyApproval, (ChgPolicyApproval.sys_id == ChgApprovalDef.policy) & ChgPolicyApproval.active
)
_OF_GROUP = Prepared(_ACTIVE.where(ChgApprovalDef.group == parameter("group", String)).limit(1))
_OF_FIELDS = Prepared(_ACTIVE.where(ChgApprovalDef.approver_source == FIELD))


def refuse_tokens_of_groups(caller: Caller, *groups: str | None) -> None:
    """Refuse a token that would change who approves for a group. Raises `AccessRefused`.

    A rule asks a group by its name, or because an active change names the group in the field of the rule.
    """
    if caller.grant is not None and any(_is_asked(group) for group in groups if group):
        refuse_tokens(caller, GROUP_REFUSED)


def refuse_tokens_of_managers(caller: Caller) -> None:
    """Refuse a token that would change the manager of a user, if a rule asks such a manager. Raises `AccessRefused`."""
    paths = (row.approver_field.partition(".") for row in _OF_FIELDS.all({})) if caller.grant is not None else ()
    if any(second == "manager" and table_of_field(first) == "sys_user" for first, _, second in paths):
        refuse_tokens(caller, MANAGER_REFUSED)


def _is_asked(group: str) -> bool:
    fields = {row.approver_field.partition(".")[0] for row in _OF_FIELDS.all({})}
    of_changes = (_naming(name) for name in sorted(fields) if table_of_field(name) == "sys_user_group")
    return any(statement.first({"group": group}) for statement in (_OF_GROUP, *of_changes))


@lru_cache(maxsize=16)
def _naming(field: str) -> Prepared:
    """Return the statement for active changes that name a group in a field."""
    columns = Task.__table__.c
    is_active = (columns["sys_class_name"] == "change_request", columns["active"].is_(True))
    return Prepared(select(columns["sys_id"]).where(columns[field] == parameter("group", String), *is_active).limit(1))
