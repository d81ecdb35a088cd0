"""The default approval policy: the group that approves risky changes, and what each state of a change needs."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.extensions import db
from changegate.models import ChgApprovalDef, ChgPolicyApproval, SysUserGroup
from changegate.services.state_models.shipped import READ_ONLY
from changegate.services.tables.dictionary import sys_id_of

CAB_APPROVAL = "CAB Approval"
_ASSESS, _AUTHORIZE = -4, -3
# After the policies of a site, whose order is 100 by default.
_FIRST_ORDER = 1000
_PEER_ANSWERS = {"approver_source": "field", "approver_field": "assignment_group"}
_MANAGER_ANSWERS = {"approver_source": "field", "approver_field": "assignment_group.manager", "accepts_earlier": True}
_CAB_ANSWERS = {"approver_source": "group", "group": CAB_APPROVAL}
_DEADLINES = {"reminder_hours": 24, "escalation_hours": 72}
# Name, state, condition, and the only rule: its name, and who answers.
POLICIES: tuple[tuple[str, int, str, str, Mapping[str, Any]], ...] = (
    ("Normal change: peer", _ASSESS, "type=normal", "A member of the assignment group", _PEER_ANSWERS),
    (
        "Normal change of low risk: manager",
        _AUTHORIZE,
        "type=normal^risk=4^assignment_group.managerISNOTEMPTY",
        "The manager of the assignment group",
        _MANAGER_ANSWERS,
    ),
    ("Normal change: CAB", _AUTHORIZE, "type=normal", "A member of the CAB", _CAB_ANSWERS),
    ("Emergency change: CAB", _AUTHORIZE, "type=emergency", "A member of the CAB", _CAB_ANSWERS),
)


def seed_approvals() -> None:
    """Add the group and the policies that are missing; existing ones are not changed."""
    group = db.session.execute(select(SysUserGroup).where(SysUserGroup.name == CAB_APPROVAL)).scalar_one_or_none()
    if group is None:
        group = SysUserGroup(
            name=CAB_APPROVAL, description="Approves changes of high or moderate risk, and emergencies"
        )
        db.session.add(group)
        db.session.flush()
    for at, (name, state, condition, rule, approvers) in enumerate(POLICIES):
        sys_id = sys_id_of("chg_policy_approval", name)
        if db.session.get(ChgPolicyApproval, sys_id) is not None:
            continue
        policy = ChgPolicyApproval(sys_id=sys_id, name=name, active=True, order=_FIRST_ORDER + at, state=state)
        policy.condition, policy.sys_policy = condition, READ_ONLY
        policy.description = "The default approval policy. A policy with a lower order takes precedence."
        db.session.add(policy)
        db.session.flush()
        fields = {**_DEADLINES, **approvers, **({"group": group.sys_id} if "group" in approvers else {})}
        db.session.add(ChgApprovalDef(sys_id=sys_id_of("chg_approval_def", name), policy=sys_id, name=rule, **fields))
    db.session.flush()
