"""Departures: changes whose approvals must be requested from other people, because users have left or joined.

The rules of accounts, groups, members, and roles enqueue a job for each change that a write may affect, in its
transaction; of very many changes, jobs do so. Until the job of a change has run, a user who left cannot answer, and
their answer does not count.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sqlalchemy import or_, select

from changegate.database import connection
from changegate.models import SysapprovalApprover, SysUserGroupMember, Task
from changegate.services.access.caller import Caller
from changegate.services.approvals.bound import bound_changes
from changegate.services.approvals.rollup import NOT_REQUESTED
from changegate.services.approvals.token_limits import refuse_tokens_of_groups, refuse_tokens_of_managers
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue, take_waiting
from changegate.services.tables.rules import Rules, Values
from changegate.services.users.accounts import UserRules
from changegate.services.users.asked import GroupRules
from changegate.services.users.roles import MembershipRules, RoleRules

# The kind of job that brings the approvals of one change up to date; the process has its handler.
RECOMPUTE = "approvals.recompute"
FURTHER = "approvals.recompute_further"
CHANGES_AT_ONCE = 500
_APPROVALS, _MEMBERS = SysapprovalApprover.__table__.c, SysUserGroupMember.__table__.c


class _Recomputing(Rules):
    """Rules after whose writes the approvals are recomputed that depend on the users and groups of the record."""

    # The columns with the sys_ids of users and groups.
    users: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[tuple[str, ...]] = ()
    # Only updates of these fields matter; None means all.
    fields: ClassVar[frozenset[str] | None] = None

    def guard(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would determine who approves; `record` is empty for a creation."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Guard the creation."""
        super().before_create(values, caller)
        self.guard({}, values, caller)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Guard the changes."""
        super().before_update(record, changes, caller)
        self.guard(record, changes, caller)

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Guard the deletion."""
        super().before_delete(record, caller)
        self.guard(record, {}, caller)

    def after_create(self, values: Values, caller: Caller) -> None:
        """Recompute approvals."""
        super().after_create(values, caller)
        self._recompute(values)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Recompute approvals, also those of the former users and groups."""
        super().after_update(record, changes, caller)
        if self.fields is None or self.fields & changes.keys():
            self._recompute(record, {**record, **changes})

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Recompute approvals."""
        super().after_delete(record, caller)
        self._recompute(record)

    def _recompute(self, *rows: Mapping[str, Any]) -> None:
        users = {row[name] for row in rows for name in self.users if row.get(name)}
        groups = {row[name] for row in rows for name in self.groups}
        recompute_changes(users, groups)


class PersonRules(_Recomputing, UserRules):
    """Rules of sys_user; a change does not wait for users who are inactive or locked out."""

    users = ("sys_id",)
    fields = frozenset({"active", "locked_out"})

    def guard(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse another manager while a rule asks managers of users."""
        if record and "manager" in changes:
            refuse_tokens_of_managers(caller)


class GroupOfPeopleRules(_Recomputing, GroupRules):
    """Rules of sys_user_group; a change may wait for the manager of a group, and not for an inactive group."""

    users = ("manager",)
    groups = ("sys_id",)
    fields = frozenset({"active", "manager"})

    def guard(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse another manager while a rule asks the group or its manager."""
        if record and "manager" in changes:
            refuse_tokens_of_groups(caller, record["sys_id"])


class MemberRules(_Recomputing, MembershipRules):
    """Rules of sys_user_grmember; a change waits for the members of a group."""

    users = ("user",)
    groups = ("group",)

    def guard(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse other members while a rule asks the group."""
        refuse_tokens_of_groups(caller, record.get("group"), changes.get("group"))


class RoleOfUserRules(_Recomputing, RoleRules):
    """Rules of sys_user_has_role; a rule may ask only people with a role."""

    users = ("user",)


class RoleOfGroupRules(_Recomputing, RoleRules):
    """Rules of sys_group_has_role, whose roles the members of the group have."""

    groups = ("group",)


def recompute_changes(users: Iterable[str] = (), groups: Iterable[str] = (), after: str = "") -> None:
    """Enqueue a job for each change that has requested approvals of users or groups, or for which none could be asked.

    A group may be asked in all open changes, so this ends with `CHANGES_AT_ONCE` of those after a sys_id, and enqueues
    a job for the others.
    """
    tasks = Task.__table__.c
    of_users = select(_MEMBERS["group"]).where(_MEMBERS["user"].in_(users))
    of_groups = select(_MEMBERS["user"]).where(_MEMBERS["group"].in_(groups))
    is_approver = or_(_APPROVALS["approver"].in_(users), _APPROVALS["approver"].in_(of_groups))
    is_affected = or_(is_approver, _APPROVALS["group"].in_(groups), _APPROVALS["group"].in_(of_users))
    # Also approvals that have ended: the people who left may come back.
    of_change = (_APPROVALS["sysapproval"] == tasks["sys_id"], _APPROVALS["asked_by_policy"])
    asked = select(_APPROVALS["sys_id"]).where(*of_change, is_affected).exists()
    waits = or_(asked, tasks["approval"] == NOT_REQUESTED)
    # In a fixed order, so that two transactions do not wait for each other's jobs.
    following = select(tasks["sys_id"]).where(bound_changes(), waits, tasks["sys_id"] > after).order_by(tasks["sys_id"])
    changes = connection().execute(following.limit(CHANGES_AT_ONCE)).scalars().all()
    for change in changes:
        enqueue(RECOMPUTE, {"change": change}, key=change)
    if len(changes) == CHANGES_AT_ONCE:
        enqueue(FURTHER, {"users": sorted(users), "groups": sorted(groups), "after": changes[-1]})


@handles(FURTHER)
def recompute_further(payload: Mapping[str, Any]) -> None:
    """Enqueue the jobs of further changes, once for all writes that wait for it, such as those of an import."""
    payloads = [payload, *take_waiting(FURTHER)]
    users, groups = ({sys_id for each in payloads for sys_id in each[name]} for name in ("users", "groups"))
    recompute_changes(users, groups, min(each["after"] for each in payloads))
