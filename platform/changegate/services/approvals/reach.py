"""The approval rules under which a user can be asked, for the page that shows what a person may do."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.errors import InputInvalid
from changegate.models import ChgApprovalDef, ChgPolicyApproval, SysUserGroup, SysUserGroupMember
from changegate.services.approvals.candidates import FIELD, GROUP, USERS, find_role, target_of
from changegate.services.approvals.people import list_faults


@dataclass(frozen=True, slots=True)
class ReachableRule:
    """A rule of an active policy, why it can ask a user, and why it does not, which is empty if it does."""

    policy: str
    policy_name: str
    name: str
    reason: str
    obstacle: str


def list_reachable_rules(user_id: str) -> list[ReachableRule]:
    """Return the rules that can ask a user, in the order of their policies."""
    groups = _active_groups_of(user_id)
    statement = (
        select(ChgApprovalDef.__table__, ChgPolicyApproval.name.label("policy_name"))
        .join(ChgPolicyApproval, ChgPolicyApproval.sys_id == ChgApprovalDef.policy)
        .where(ChgPolicyApproval.active)
        .order_by(ChgPolicyApproval.order, ChgPolicyApproval.name, ChgApprovalDef.order, ChgApprovalDef.name)
    )
    rules = []
    for row in connection().execute(statement).mappings():
        if reason := _reason_of(row, user_id, groups):
            obstacle = list_faults([user_id], find_role(dict(row))).get(user_id, "")
            rules.append(ReachableRule(row["policy"], row["policy_name"], row["name"], reason, obstacle))
    return rules


def _active_groups_of(user_id: str) -> dict[str, str]:
    """Return the names of a user's active groups by sys_id."""
    of_user = select(SysUserGroup.sys_id, SysUserGroup.name).join(
        SysUserGroupMember, SysUserGroupMember.group == SysUserGroup.sys_id
    )
    rows = connection().execute(of_user.where(SysUserGroupMember.user == user_id, SysUserGroup.active))
    return {row.sys_id: row.name for row in rows.all()}


def _reason_of(rule: Any, user_id: str, groups: dict[str, str]) -> str:
    """Return why a rule can ask a user, or an empty text."""
    source = rule["approver_source"]
    if source == USERS and user_id in (rule["users"] or "").split(","):
        return "It names this user."
    if source == GROUP and rule["group"] in groups:
        return f"It asks the group {groups[rule['group']]}."
    return _reason_of_field(rule["approver_field"] or "", groups) if source == FIELD else ""


def _reason_of_field(path: str, groups: dict[str, str]) -> str:
    try:
        asks_group = target_of(path) == SysUserGroup.__tablename__
    except InputInvalid:  # the field no longer exists
        return ""
    if not asks_group:
        return f"It asks the user in the field {path} of the change."
    return f"It asks the group in the field {path} of the change, if the user is a member." if groups else ""
