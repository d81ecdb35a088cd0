"""Moves: the only way in which the state of a change changes.

    a write of the state ──require_move──> refused, or the change moves
    an approval decides  ──apply_outcome─┐       │
    the last task closes ──advance───────┴──> effects ──> automatic moves, into each state once

A move and all its effects are one transaction, in which the change is locked first.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.approvals.requests import end_round, on_entry
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.rounds import CANCELLED, Round
from changegate.services.conflicts.detection import withdraw
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.process.facts import gather_facts
from changegate.services.process.freezes import FREEZE_FACTS, await_thaw
from changegate.services.process.lifecycle import CLOSED_STATES, follow_state
from changegate.services.process.recording import record_move
from changegate.services.process.refusals import move_refused
from changegate.services.process.reviews import open_review_task
from changegate.services.process.work_tasks import cancel_tasks, cancel_workflow_tasks, create_work_tasks
from changegate.services.schedules.stored import hold_schedules
from changegate.services.state_models.decision import Decision, decide
from changegate.services.state_models.shipped import (
    ASSESS,
    AUTHORIZE,
    CANCELED,
    CLOSED,
    IMPLEMENT,
    LABELS,
    NEW,
    REVIEW,
    SCHEDULED,
)
from changegate.services.state_models.stored import model_of
from changegate.services.tables.rules import Values
from changegate.services.tables.writing.records import write_changes

# States that end the open approvals of a change, with the reason that these show.
END_OF_APPROVALS = {
    NEW: "the change went back to New",
    REVIEW: "the change is in Review",
    CLOSED: "the change was closed",
    CANCELED: "the change was canceled",
}


def decide_about(
    change: Mapping[str, Any], event: str = "", edited: Collection[str] = (), *, is_moving: bool = False
) -> Decision:
    """Return the decision about the moves of a change as it is now, or with the fields that a request has `edited`.

    `is_moving` keeps what it depends on until the end of the transaction. The change must be locked.
    """
    model = model_of(change)
    needed = model.facts_needed_in(change["state"])
    if is_moving and not needed.isdisjoint(FREEZE_FACTS):
        hold_schedules()
    return decide(model, gather_facts(change, event, edited, needed))


def apply_outcome(change: Values, approval: str, caller: Caller) -> Values:
    """Write the approval of a locked change, and make the automatic moves that follow; return the change then."""
    return settle(_write_approval(change, approval, caller), caller)


def _write_approval(change: Values, approval: str, caller: Caller) -> Values:
    if approval == change["approval"]:
        return change
    decided = {"approval_set": utc_now()} if approval in {APPROVED, REJECTED} else {}
    return write_changes(changes_table(), change, {"approval": approval, **decided}, caller)


def require_move(record: Mapping[str, Any], changes: Values) -> None:
    """Refuse a move that is not possible; complete the changes with what follows from the new state."""
    state = changes.get("state", record["state"])
    if state == record["state"]:
        return
    # Fields that are sent with a state are taken into account, as if they had been written before.
    before = {**record, **changes, "state": record["state"]}
    decision = decide_about(before, edited=changes.keys(), is_moving=True)
    if not any(move.is_available for move in decision.moves_to(state)):
        raise move_refused(decision, state)
    changes |= _values_of_entry(before, state)


def after_move(record: Mapping[str, Any], caller: Caller) -> Values | None:
    """Carry out the effects of a written move, and the automatic moves that follow; return the change as it is then."""
    change = lock_change(record["sys_id"])
    if change is None:
        return None
    record_move(record, change, caller, None)
    return settle(_enter(change, caller), caller)


def advance(sys_id: str, caller: Caller, event: str = "") -> Values | None:
    """Make the automatic moves that a hold has stopped, or that an event allows; return the change as it is then."""
    change = lock_change(sys_id)
    return None if change is None else settle(change, caller, event)


def settle(change: Values, caller: Caller, event: str = "") -> Values:
    """Make the automatic moves of a change, and return it as it is then. Those that a freeze stops are made later.

    A valid model has no cycle of automatic moves. In any model, none of them returns to a state.
    """
    entered = {change["state"]}
    while True:
        decision = decide_about(change, event, is_moving=True)
        move = decision.automatic_move
        if move is None:
            await_thaw(change, decision)
        if move is None or move.transition.to_state in entered:
            return change
        state = move.transition.to_state
        entered.add(state)
        changes: Values = {"state": state, **_values_of_entry(change, state)}
        follow_state(change, changes, caller, partial(ends_change, change))
        moved = write_changes(changes_table(), change, changes, caller)
        record_move(change, moved, caller, move.transition.name)
        change = _enter(moved, caller)


def ends_change(change: Mapping[str, Any], state: int) -> bool:
    """Return whether a state ends a change: Closed, Canceled, and a final state that no shipped model has."""
    return state in CLOSED_STATES or (state not in LABELS and model_of(change).is_final(state))


def _values_of_entry(change: Mapping[str, Any], state: int) -> Values:
    """Return the values that a change takes when it enters a state; `change` is still in the state before."""
    if state == NEW:
        # A rejection stays visible until approval is requested again.
        return {} if change["approval"] == REJECTED else {"approval": NOT_REQUESTED}
    if state in {ASSESS, AUTHORIZE}:
        return {"approval": NOT_REQUESTED}
    if state == SCHEDULED and change["state"] == NEW and change["std_change_producer_version"]:
        # The template was approved, once for all changes that are created from it.
        return {"approval": APPROVED, "approval_set": utc_now()}
    if state == IMPLEMENT and not change["work_start"]:
        return {"work_start": utc_now()}
    if state == REVIEW and not change["work_end"]:
        return {"work_end": utc_now()}
    if state != CLOSED and ends_change(change, state):
        return {"on_hold": False} | ({"approval": CANCELLED} if change["approval"] == REQUESTED else {})
    return {}


def _enter(change: Values, caller: Caller) -> Values:
    """Carry out the effects of the state that a change has just entered; return the change as it is then."""
    state = change["state"]
    if state in CLOSED_STATES:
        withdraw(change["sys_id"])
    if state in {ASSESS, AUTHORIZE}:
        return _write_approval(change, on_entry(Round(change, caller), state, gather_facts(change)), caller)
    is_end = ends_change(change, state)
    if is_end or state in END_OF_APPROVALS:
        end_round(Round(change, caller), END_OF_APPROVALS.get(state, "the change has ended"))
    if state == IMPLEMENT:
        create_work_tasks(change, caller)
        open_review_task(change, caller)
    elif state == REVIEW:
        cancel_workflow_tasks(change, caller)
        open_review_task(change, caller)
    elif is_end and state != CLOSED:
        cancel_tasks(change, caller)
    return change
