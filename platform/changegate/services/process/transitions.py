"""State transitions of a change by type, and who may make them (docs/table-api.md, "Moves of a change")."""

from collections.abc import Iterator, Mapping
from typing import Any

from changegate.errors import OperationFailed
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access.caller import Caller

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
GATEKEEPERS = frozenset({"change_manager"})
STANDARD = "standard"
Moves = frozenset[tuple[int, int]]

_ANY_TYPE: Moves = frozenset(
    {
        (SCHEDULED, IMPLEMENT),
        (IMPLEMENT, REVIEW),
        (REVIEW, CLOSED),
        *((state, CANCELED) for state in (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT)),
    }
)
# Transitions that every writer of a change may make, and those that need an approval.
FREE_MOVES: Mapping[str, Moves] = {
    "normal": _ANY_TYPE | {(NEW, ASSESS), (ASSESS, NEW)},
    STANDARD: _ANY_TYPE,
    "emergency": _ANY_TYPE | {(NEW, AUTHORIZE), (AUTHORIZE, NEW)},
}
APPROVED_MOVES: Mapping[str, Moves] = {
    "normal": frozenset({(ASSESS, AUTHORIZE), (AUTHORIZE, SCHEDULED), (AUTHORIZE, NEW)}),
    STANDARD: frozenset({(NEW, SCHEDULED)}),
    "emergency": frozenset({(AUTHORIZE, SCHEDULED)}),
}
# ServiceNow's message for a refused transition; clients search it for the name of the business rule.
_ABORTED = (
    "Operation against file 'change_request' was aborted by Business Rule "
    "'Change Model: Check State Transition^03ee7a1fb54b4a5c8df2ad3a0b3c3f52'. "
    "Business Rule Stack:Change Model: Check State Transition. From {}, this caller can move it to: {}."
)


def passes_gates(caller: Caller) -> bool:
    """Return whether a caller may decide instead of an approval: change managers and administrators without a token."""
    return caller.grant is None and caller.permissions.has_role(GATEKEEPERS)


def require_move(record: Mapping[str, Any], changes: Mapping[str, Any], caller: Caller) -> None:
    """Refuse a transition that the type of the change, a hold, or the roles of the caller do not allow."""
    before = record["state"]
    if changes.get("state", before) == before:
        return
    reachable = sorted(_reachable({**record, **changes, "state": before}, record, caller))
    if changes["state"] not in reachable:
        names = ", ".join(CHANGE_STATES[str(state)] for state in reachable) or "no other state"
        raise OperationFailed(_ABORTED.format(CHANGE_STATES.get(str(before), before), names))


def _reachable(change: Mapping[str, Any], record: Mapping[str, Any], caller: Caller) -> Iterator[int]:
    change_type = change["type"] if change["type"] in FREE_MOVES else "normal"
    moves = FREE_MOVES[change_type]
    if passes_gates(caller):
        moves |= APPROVED_MOVES[change_type]
        if change["unauthorized"] and change_type == "emergency":
            moves |= {(AUTHORIZE, REVIEW)}
    elif change_type == STANDARD and record["std_change_producer_version"]:
        # A template was approved once for all changes that are created from it.
        moves |= APPROVED_MOVES[STANDARD]
    for before, after in moves:
        if before == change["state"] and (after == CANCELED or not change["on_hold"]):
            yield after
