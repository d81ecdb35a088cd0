"""Voiding: answers end when what they cover changes, or when their time is over."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, func, or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import SysapprovalApprover
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import (
    RECALCULATED,
    Content,
    changed_fields,
    describe_differences,
    find_content,
    read_content,
    store_content,
)
from changegate.services.approvals.departures import UNBOUND_STATES
from changegate.services.approvals.rollup import APPROVED, REQUESTED
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.tables.registry import Values, get_table
from changegate.services.tables.values import INSTANT_FORMAT
from changegate.services.tables.writing.records import write_changes

CANCELLED = "cancelled"
# Of each of the hours of a rule; the greatest number is a year.
LEAST_HOURS, MOST_HOURS = 1, 8760
_APPROVALS = SysapprovalApprover.__table__


@dataclass(frozen=True, slots=True)
class VoidAnswer:
    """An answer that no longer counts: the row as it was, and why, in words."""

    row: Mapping[str, Any]
    reason: str


def void_after_edit(change: Values, edited: frozenset[str], caller: Caller) -> bool:
    """Void the answers that depend on fields that a caller has edited, and let open requests cover the new content.

    `change` has the values after the edit, and its row is locked. An edit that leaves the content as it was when a
    person answered voids nothing. Returns whether an answer is void or a request covers another content now.
    """
    voided, refreshed = _void(change, edited, caller)
    return bool(voided) or refreshed


def void_uncovered(change: Values, caller: Caller) -> list[VoidAnswer]:
    """Void the answers whose content has changed in any way, or whose time is over; the row of the change is locked.

    Values that the process recalculates are left out.
    """
    voided, _ = _void(change, None, caller)
    return voided


def find_uncovered(change: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return, by sys_id, why answers among approval rows no longer count: content or time. Nothing is written."""
    reader = _Reader(change)
    reasons = {row["sys_id"]: _find_reason(row, reader, None) for row in rows if row["state"] == APPROVED}
    return {sys_id: reason for sys_id, reason in reasons.items() if reason}


def effective_approval(change: Mapping[str, Any], edited: frozenset[str] = frozenset()) -> str:
    """Return the `approval` of a change, which is only requested if an answer no longer counts.

    `change` may have values that a request is about to write, and `edited` names them: a request that edits and moves a
    change at once is decided by what was approved. Nothing is written.
    """
    approval: str = change["approval"]
    if approval != APPROVED or change["state"] in UNBOUND_STATES:
        return approval
    reader, rows = _Reader(change), [row for row in live_rows(change["sys_id"]) if row["state"] == APPROVED]
    is_void = any(_find_reason(row, reader, None) or _find_reason(row, reader, edited) for row in rows)
    return REQUESTED if is_void else approval


def expiry_of(change: Mapping[str, Any], valid_hours: int | None) -> datetime | None:
    """Return when an answer that is given now expires: after the hours of its rule, or else at the planned end."""
    if valid_hours is not None:
        return now().replace(microsecond=0) + timedelta(hours=limit_hours(valid_hours))
    end: datetime | None = change["end_date"]
    return end


def limit_hours(hours: int) -> int:
    """Return the hours of a rule within the limits: rules from before the limits were validated may exceed them."""
    return min(max(hours, LEAST_HOURS), MOST_HOURS)


class _Reader:
    """The current contents of one change, each read once."""

    def __init__(self, change: Mapping[str, Any]) -> None:
        self._change = change
        self._known: dict[frozenset[str], Content] = {}

    def current(self, fields: Iterable[str]) -> Content:
        names = frozenset(fields)
        if names not in self._known:
            self._known[names] = read_content(self._change, names)
        return self._known[names]


def _void(change: Values, edited: frozenset[str] | None, caller: Caller) -> tuple[list[VoidAnswer], bool]:
    """Return the answers that are void now, and whether an open request covers another content."""
    reader, voided, is_refreshed = _Reader(change), [], False
    for row in live_rows(change["sys_id"]):
        if row["state"] == APPROVED:
            if reason := _find_reason(row, reader, edited):
                voided.append(_void_row(row, f"{reason}, by {caller.user_name}" if edited else reason, caller))
        elif approved := find_content(row["content_hash"]):
            is_refreshed |= _refresh(row, reader.current(approved), caller)
    if voided:
        _remember(change, voided, caller)
    return voided, is_refreshed


def _find_reason(row: Mapping[str, Any], reader: _Reader, edited: frozenset[str] | None) -> str | None:
    """Return why an answer no longer counts, as a sentence without a full stop, or None."""
    if edited is None and row["expires"] is not None and row["expires"] <= now():
        return f"The approval was valid until {row['expires']:{INSTANT_FORMAT}}"
    approved = find_content(row["content_hash"])
    if approved is None:
        return None
    current = reader.current(approved)
    changed = changed_fields(approved, current)
    relevant = changed - RECALCULATED if edited is None else changed & edited
    pairs = ({name: content[name] for name in relevant} for content in (approved, current))
    return "; ".join(describe_differences(*pairs)) or None


def _void_row(row: Values, reason: str, caller: Caller) -> VoidAnswer:
    changes = {"state": CANCELLED, "voided_at": utc_now(), "void_reason": reason}
    write_changes(get_table("sysapproval_approver"), row, changes, caller)
    return VoidAnswer(row, reason)


def _refresh(row: Values, current: Content, caller: Caller) -> bool:
    """Let an open request cover the current content; return whether it is another one.

    The new version of the row refuses answers to the old content.
    """
    digest = store_content(current)
    if digest == row["content_hash"]:
        return False
    write_changes(get_table("sysapproval_approver"), row, {"content_hash": digest}, caller)
    return True


def _remember(change: Values, voided: Sequence[VoidAnswer], caller: Caller) -> None:
    rows = [(answer.row, answer.reason) for answer in voided]
    approvals = [{"approval": row["sys_id"], "approver": row["approver"], "reason": reason} for row, reason in rows]
    facts = {"round": voided[0].row["round"], "approvals": approvals}
    append("change_request", change["sys_id"], "voided", facts, actor_of(caller))


def covered_fields(change: str) -> frozenset[str]:
    """Return the fields of a change that open or given approvals of its current round cover."""
    digests = {row["content_hash"] for row in live_rows(change)}
    return frozenset(name for digest in digests for name in find_content(digest) or ())


def live_rows(change: str) -> Iterator[Values]:
    """Return the approvals of a change that a policy has requested in its current round, if they are open or count."""
    names = _APPROVALS.c.keys()
    return (dict(zip(names, row, strict=True)) for row in _LIVE.all({"change": change}))


def _live() -> Any:
    columns, others = _APPROVALS.c, _APPROVALS.alias()
    change = parameter("change", String)
    latest = select(func.max(others.c["round"])).where(others.c["sysapproval"] == change).scalar_subquery()
    is_live = or_(columns["state"] == APPROVED, columns["state"] == REQUESTED, columns["is_held"])
    of_change = (columns["sysapproval"] == change, columns["asked_by_policy"], columns["round"] == latest)
    return select(_APPROVALS).where(*of_change, is_live).order_by(columns["sys_created_on"], columns["sys_id"])


_LIVE = Prepared(_live())
