"""Departures: changes whose approvals must be requested from other people, because somebody has left or joined.

The rules of accounts, groups, members, and roles promise a job for each change that a write may affect, in its
transaction. Until the job has run, the person who left cannot answer, and an answer of theirs does not count.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, or_, select

from changegate.database import connection
from changegate.models import SttrmState, SysapprovalApprover, SysUserGroupMember, Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.rollup import NOT_REQUESTED
from changegate.services.approvals.token_limits import refuse_tokens_of_groups, refuse_tokens_of_managers
from changegate.services.jobs.queue import enqueue
from changegate.services.tables.registry import NoRules, Values
from changegate.services.users.accounts import UserRules
from changegate.services.users.asked import GroupRules
from changegate.services.users.roles import MembershipRules, RoleRules

# The kind of job that brings the approvals of one change up to date; the process has its handler.
ATTEND = "approvals.attend"
# States in which a change is bound to no approval: New, and Implement, Review, Closed, and Canceled.
UNBOUND_STATES = (-5, -1, 0, 3, 4)
# All other states of any model. Read from the models, because an index finds the changes in a list of states only.
BOUND_STATES = select(SttrmState.state_value).where(SttrmState.state_value.not_in(UNBOUND_STATES))
_APPROVALS, _MEMBERS = SysapprovalApprover.__table__.c, SysUserGroupMember.__table__.c


class _Attending(NoRules):
    """Rules after whose writes the changes are attended to that wait for the users and groups of the record."""

    # Only updates of these fields matter; None means all.
    fields: ClassVar[frozenset[str] | None] = None

    def users_of(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return the users of a record."""
        return [row["user"]]

    def groups_of(self, row: Mapping[str, Any]) -> list[str]:
        """Return the groups of a record."""
        return []

    def after_create(self, values: Values, caller: Caller) -> None:
        """Attend to the changes."""
        super().after_create(values, caller)
        self._attend(values)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Attend to the changes, also to those of the former users and groups."""
        super().after_update(record, changes, caller)
        if self.fields is None or self.fields & changes.keys():
            self._attend(record, {**record, **changes})

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Attend to the changes."""
        super().after_delete(record, caller)
        self._attend(record)

    def _attend(self, *rows: Mapping[str, Any]) -> None:
        users = {user for row in rows for user in self.users_of(row) if user}
        groups = {group for row in rows for group in self.groups_of(row)}
        of_users = select(_MEMBERS["group"]).where(_MEMBERS["user"].in_(users))
        of_groups = select(_MEMBERS["user"]).where(_MEMBERS["group"].in_(groups))
        is_approver = or_(_APPROVALS["approver"].in_(users), _APPROVALS["approver"].in_(of_groups))
        is_group = or_(_APPROVALS["group"].in_(groups), _APPROVALS["group"].in_(of_users))
        attend_changes(or_(is_approver, is_group))


class PersonRules(_Attending, UserRules):
    """Rules of sys_user; a change does not wait for users who are inactive or locked out."""

    fields = frozenset({"active", "locked_out"})

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would determine who approves as the manager."""
        super().before_update(record, changes, caller)
        if "manager" in changes:
            refuse_tokens_of_managers(caller)

    def users_of(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return the user."""
        return [row["sys_id"]]


class GroupOfPeopleRules(_Attending, GroupRules):
    """Rules of sys_user_group; a change may wait for the manager of a group, and not for an inactive group."""

    fields = frozenset({"active", "manager"})

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would determine who approves as the manager."""
        super().before_update(record, changes, caller)
        if "manager" in changes:
            refuse_tokens_of_groups(caller, record["sys_id"])

    def users_of(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return the manager."""
        return [row.get("manager")]

    def groups_of(self, row: Mapping[str, Any]) -> list[str]:
        """Return the group."""
        return [row["sys_id"]]


class MemberRules(_Attending, MembershipRules):
    """Rules of sys_user_grmember; a change waits for the members of a group."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse a token that would add a member to a group that approves."""
        super().before_create(values, caller)
        refuse_tokens_of_groups(caller, values.get("group"))

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would change the members of a group that approves."""
        super().before_update(record, changes, caller)
        refuse_tokens_of_groups(caller, record["group"], changes.get("group"))

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse a token that would remove a member from a group that approves."""
        super().before_delete(record, caller)
        refuse_tokens_of_groups(caller, record["group"])

    def groups_of(self, row: Mapping[str, Any]) -> list[str]:
        """Return the group."""
        return [row["group"]]


class RoleOfUserRules(_Attending, RoleRules):
    """Rules of sys_user_has_role; a rule may ask only people with a role."""


class RoleOfGroupRules(_Attending, RoleRules):
    """Rules of sys_group_has_role, whose roles the members of the group have."""

    def users_of(self, row: Mapping[str, Any]) -> list[str | None]:
        """Return no user besides the members."""
        return []

    def groups_of(self, row: Mapping[str, Any]) -> list[str]:
        """Return the group."""
        return [row["group"]]


def attend_changes(is_concerned: ColumnElement[bool]) -> None:
    """Promise a job for each change that has requested such an approval, and where nobody could be asked."""
    tasks = Task.__table__.c
    # Also approvals that have ended: the people who left may come back.
    of_change = (_APPROVALS["sysapproval"] == tasks["sys_id"], _APPROVALS["asked_by_policy"])
    asked = select(_APPROVALS["sys_id"]).where(*of_change, is_concerned).exists()
    is_bound = (tasks["sys_class_name"] == "change_request", tasks["state"].in_(BOUND_STATES))
    waits = or_(asked, tasks["approval"] == NOT_REQUESTED)
    # In a fixed order, so that two transactions do not wait for each other's jobs.
    changes = select(tasks["sys_id"]).where(*is_bound, waits).order_by(tasks["sys_id"])
    for change in connection().execute(changes).scalars().all():
        enqueue(ATTEND, {"change": change}, key=change)
