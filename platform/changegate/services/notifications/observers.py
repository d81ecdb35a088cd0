"""The events of changes, tasks, and approvals, noted within the transaction that writes them.

Each write of a change passes here. A write that concerns nobody must cost nothing, so only its own fields are read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from changegate.models.change_task import CHANGE_TASK_STATES
from changegate.services.access.caller import Caller
from changegate.services.approvals.rollup import APPROVED, REJECTED, REQUESTED
from changegate.services.notifications.kinds import (
    APPROVAL_DECIDED,
    APPROVAL_REQUESTED,
    APPROVAL_VOIDED,
    ASSIGNED,
    EXPIRING,
    GROUP_ASSIGNED,
    OWN,
    WATCHED,
)
from changegate.services.notifications.settings import is_group_interested
from changegate.services.notifications.telling import GROUP, USER, USER_OR_DELEGATE, Told, tell
from changegate.services.state_models.stored import model_of

Row = Mapping[str, Any]
_OWNERS = ("requested_by", "opened_by", "assigned_to")
_DECIDED = (APPROVED, REJECTED)
APPROVALS = "sysapproval_approver"


class TaskObserver:
    """Tells people about changes and tasks: their assignment, moves, decisions, and comments."""

    def created(self, record: Row, caller: Caller) -> None:
        """Tell whom a new task is assigned to."""
        _tell_assigned(record, record, caller)

    def changed(self, before: Row, changes: Row, caller: Caller) -> None:
        """Tell about an assignment, a move, and a decision."""
        _tell_assigned(before, changes, caller)
        if "state" in changes:
            told = [*_owners(before, OWN), *_listed(before["watch_list"])]
            if _concerns(told, caller):
                tell("moved", *_place(before), told, caller, detail=_move_of(before, {**before, **changes}))
        if changes.get("approval") in _DECIDED:
            tell(changes["approval"], *_place(before), _owners(before, APPROVAL_DECIDED), caller)

    def noted(self, record: Row, entries: Mapping[str, str], caller: Caller) -> None:
        """Tell about comments and work notes; the latter only those who work on the task."""
        for element, text in entries.items():
            is_internal = element == "work_notes"
            watchers = _listed(record.get("work_notes_list" if is_internal else "watch_list"))
            event = "noted" if is_internal else "commented"
            tell(event, *_place(record), [*_owners(record, OWN), *watchers], caller, text=text)


class ApprovalObserver:
    """Tells approvers about requests, reminders, and answers of theirs that no longer count."""

    def created(self, record: Row, caller: Caller) -> None:
        """Tell the approver of a request."""
        if record["state"] == REQUESTED:
            _tell_approver("approval_requested", APPROVAL_REQUESTED, record, caller)

    def changed(self, before: Row, changes: Row, caller: Caller) -> None:
        """Tell the approver of a request after a hold, of a reminder, and of an answer that is void."""
        if changes.get("state") == REQUESTED:
            _tell_approver("approval_requested", APPROVAL_REQUESTED, before, caller)
        if changes.get("reminded_at"):
            _tell_approver("approval_waits", EXPIRING, before, caller)
        if changes.get("voided_at") and before["answered_at"]:
            _tell_approver("approval_voided", APPROVAL_VOIDED, before, caller, detail=changes.get("void_reason"))

    def noted(self, record: Row, entries: Mapping[str, str], caller: Caller) -> None:
        """Do nothing: approvals have no journals."""


class DelegationObserver:
    """Tells delegates about single approvals that are handed over to them."""

    def created(self, record: Row, caller: Caller) -> None:
        """Tell the delegate as if the approval were requested from them."""
        if approval := record.get("approval"):
            told = [(APPROVAL_REQUESTED, USER, record["delegate"])]
            tell("approval_requested", APPROVALS, approval, told, caller, key=f"approval_requested {approval}")

    def changed(self, before: Row, changes: Row, caller: Caller) -> None:
        """Tell the new delegate of an approval, or of another approval."""
        if not {"approval", "delegate"}.isdisjoint(changes):
            self.created({**before, **changes}, caller)

    def noted(self, record: Row, entries: Mapping[str, str], caller: Caller) -> None:
        """Do nothing: delegations have no journals."""


def _tell_approver(event: str, kind: str, approval: Row, caller: Caller, detail: str | None = None) -> None:
    sys_id = approval["sys_id"]
    told = [(kind, USER_OR_DELEGATE, approval["approver"])]
    # A request that a hold had ended is not told again.
    tell(event, APPROVALS, sys_id, told, caller, detail=detail, key=f"{event} {sys_id}")


def _tell_assigned(record: Row, values: Row, caller: Caller) -> None:
    if person := values.get("assigned_to"):
        tell("assigned", *_place(record), [(ASSIGNED, USER, person)], caller)
    if (group := values.get("assignment_group")) and is_group_interested(group):
        tell("group_assigned", *_place(record), [(GROUP_ASSIGNED, GROUP, group)], caller)


def _place(record: Row) -> tuple[str, str]:
    return record["sys_class_name"], record["sys_id"]


def _owners(record: Row, kind: str) -> list[Told]:
    return [(kind, USER, person) for name in _OWNERS if (person := record.get(name))]


def _listed(users: str | None) -> Iterable[Told]:
    return [(WATCHED, USER, user) for user in users.split(",")] if users else []


def _concerns(told: Iterable[Told], caller: Caller) -> bool:
    return any(who != caller.sys_id for _, _, who in told)


def _move_of(before: Row, after: Row) -> str:
    """Return a move as text, such as "From New to Assess"."""
    if before["sys_class_name"] == "change_request":
        labels = (model_of(row).label_of(row["state"]) for row in (before, after))
    else:
        labels = (CHANGE_TASK_STATES[str(row["state"])] for row in (before, after))
    return "From {} to {}".format(*labels)
