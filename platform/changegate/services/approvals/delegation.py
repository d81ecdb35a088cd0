"""Delegation: who answers an approval for whom, and the rules for writes of delegations."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, InputInvalid, OperationRefused
from changegate.extensions import now
from changegate.models import SysapprovalApprover, SysUserDelegate
from changegate.models.base import UTCDateTime
from changegate.services.access.caller import Caller
from changegate.services.approvals.four_eyes import Initiators
from changegate.services.approvals.people import list_faults, person_keys
from changegate.services.approvals.rollup import REQUESTED
from changegate.services.approvals.rounds import Round, Row
from changegate.services.tables.rules import Rules, Values
from changegate.services.users.roles import ADMIN

APPROVER, DELEGATE, ADMINISTRATOR = "approver", "delegate", "administrator"
# The length of a delegation of one approval, if no end is entered and its answer does not expire.
HAND_OVER = timedelta(days=30)
NOT_YOURS = "Only the approver, their delegates, and administrators may answer this approval."
_ACTIVE = (
    SysUserDelegate.approvals,
    SysUserDelegate.starts <= parameter("at", UTCDateTime()),
    SysUserDelegate.ends > parameter("at", UTCDateTime()),
)
_OF_USER = Prepared(
    select(SysUserDelegate.delegate, SysUserDelegate.sys_updated_by, SysUserDelegate.sys_created_by)
    .where(
        SysUserDelegate.user == parameter("user"),
        or_(SysUserDelegate.approval.is_(None), SysUserDelegate.approval == parameter("approval")),
        *_ACTIVE,
    )
    .order_by(SysUserDelegate.delegate)
)
_TO_USER = Prepared(
    select(SysUserDelegate.user, SysUserDelegate.approval).where(
        SysUserDelegate.delegate == parameter("delegate"), *_ACTIVE
    )
)
_OPEN_APPROVAL = Prepared(
    select(SysapprovalApprover.approver, SysapprovalApprover.expires).where(
        SysapprovalApprover.sys_id == parameter("approval"), SysapprovalApprover.state == REQUESTED
    )
)


def capacity_of(approver: str, caller: Caller, initiators: Initiators, approval: str | None = None) -> str:
    """Return as what the caller answers an approval of `approver` now: approver, delegate, or administrator.

    A delegation applies at the time of the answer, and only to the user who delegated: the delegate of a delegate does
    not answer. Administrators may answer for others by name and password. Raises `AccessRefused`.
    """
    if caller.sys_id == approver:
        return APPROVER
    if is_delegate(caller, approver, initiators, approval):
        return DELEGATE
    if ADMIN in caller.roles and caller.grant is None:
        return ADMINISTRATOR
    raise OperationRefused("Update", NOT_YOURS)


def is_delegate(caller: Caller, approver: str, initiators: Initiators, approval: str | None = None) -> bool:
    """Return whether a delegation of the approver to the caller is active, of all approvals or of this one."""
    rows = _OF_USER.all({"user": approver, "approval": approval, "at": now()})
    return caller.sys_id in _delegates(rows, initiators)


def list_delegates(approval: Row, current: Round) -> list[str]:
    """Return the users to whom the approver of an approval of a round has delegated it now."""
    rows = _OF_USER.all({"user": approval["approver"], "approval": approval["sys_id"], "at": now()})
    return _delegates(rows, current.initiators) if rows else []


def find_delegated(delegate: str) -> tuple[set[str], set[str]]:
    """Return the users who have delegated their approvals to a user now, and single approvals that were."""
    rows = _TO_USER.all({"delegate": delegate, "at": now()})
    return {row.user for row in rows if row.approval is None}, {row.approval for row in rows if row.approval}


def _delegates(rows: Iterable[Any], initiators: Initiators) -> list[str]:
    """Return the delegates, except of delegations that the people who asked for the change wrote for another user."""
    return [row.delegate for row in rows if not any(map(initiators.has_written, row[1:]))]


class DelegationRules(Rules):
    """Rules of sys_user_delegate: users delegate their own approvals; administrators delegate those of all users."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Let the caller be the user who delegates if none was sent; check the delegation."""
        values.setdefault("user", caller.sys_id)
        values.setdefault("starts", now().replace(microsecond=0))
        _require_own(values, caller)
        _hand_over(values)
        _check(values)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse changes by others; check the changed delegation."""
        for written in (record, changes):
            _require_own(written, caller)
        if not {"approval", "user"}.isdisjoint(changes):
            _hand_over({**record, **changes})
        # A delegation can always be shortened, also if the delegate cannot answer any more.
        if changes.keys() != {"ends"} or changes["ends"] > record["ends"] or changes["ends"] <= record["starts"]:
            _check({**record, **changes})

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion by others."""
        _require_own(record, caller)


def _require_own(values: Mapping[str, Any], caller: Caller) -> None:
    if values.get("user", caller.sys_id) != caller.sys_id and ADMIN not in caller.roles:
        raise AccessRefused("Operation Failed", "Only the user who delegates, or an administrator, writes a delegation")


def _hand_over(values: Values) -> None:
    """Complete a delegation of one approval, and refuse it unless the approval is an open one of the user."""
    if not values.get("approval"):
        return
    row = _OPEN_APPROVAL.first({"approval": values["approval"]})
    if row is None or row.approver != values["user"]:
        raise InputInvalid({"approval": ["Name an approval that is requested from the user who delegates."]})
    values.setdefault("ends", row.expires or now().replace(microsecond=0) + HAND_OVER)


def _check(values: Mapping[str, Any]) -> None:
    """Refuse a delegation that could never apply. Raises `InputInvalid`."""
    user, delegate = values["user"], values.get("delegate")
    if delegate is None or values.get("ends") is None:
        return  # Mandatory fields, which the engine refuses.
    if values["ends"] <= values["starts"]:
        raise InputInvalid({"ends": ["A delegation must end after it starts."]})
    keys = person_keys([user, delegate])
    if keys[user] == keys[delegate]:
        raise InputInvalid({"delegate": ["The delegate must be another person than the user who delegates."]})
    if fault := list_faults([delegate]).get(delegate):
        raise InputInvalid({"delegate": [f"The delegate cannot answer: {fault}."]})
