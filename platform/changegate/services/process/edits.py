"""Edits of what an approval covers: answers are voided, and people are asked again.

    change, affected CIs, attachments ──after_edit──> void answers ──> ask again ──> `approval` of the change
    jobs: people, deadlines ────attend, follow_up───> the same

The state of the change stays. From Implement on, nothing is voided: edits are deviations. A job works on one change, so
that no transaction of a job locks two of them.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from changegate.extensions import database_now
from changegate.services.access.caller import Caller
from changegate.services.approvals import requests
from changegate.services.approvals.content import AFFECTED_CIS
from changegate.services.approvals.deadlines import has_expired, list_due, meet_deadlines
from changegate.services.approvals.departures import ATTEND, UNBOUND_STATES
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.stages import read_rounds
from changegate.services.approvals.stages import settle as count_answers
from changegate.services.approvals.voiding import void_after_edit, void_uncovered
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue
from changegate.services.jobs.repeating import repeating
from changegate.services.process.changes import SYSTEM_CALLER, lock_change
from changegate.services.process.conflict_checks import check_conflicts
from changegate.services.process.facts import gather_facts
from changegate.services.process.moves import apply_outcome, model_of
from changegate.services.process.recording import record_item
from changegate.services.process.risk_calculation import follow_fact
from changegate.services.risk.conditions import CONFLICTS
from changegate.services.tables.registry import Values

FOLLOW_UP = "approvals.follow_up"
SWEEP_INTERVAL = timedelta(minutes=1)
MOST_DUE = 1000
EDITED, PEOPLE, TIME = "the change was edited", "somebody has left or joined", "an answer has expired"


def after_edit(sys_id: str, edited: Collection[str], caller: Caller) -> Values | None:
    """Void the answers that depend on what a caller has edited, and ask again; return the change if it was written.

    `edited` are names of fields, `task_ci`, or `sys_attachment`.
    """
    change = lock_change(sys_id) if edited else None
    if change is None or change["state"] in UNBOUND_STATES:
        return None
    stages = _stages_of(change)
    if _waits_for_nobody(change, stages):
        return apply_outcome(change, requests.ask_again(change, caller, gather_facts(change)), caller)
    if not _is_asked(change, stages):
        return None
    # First, because an answer that depends on the edit shows the difference, even if another policy applies now.
    is_void = void_after_edit(change, frozenset(edited), caller)
    # Without anybody to ask, the edit may have named other people.
    if is_void or change["approval"] == NOT_REQUESTED:
        return _ask_again(change, EDITED, caller)
    return apply_outcome(change, requests.reselect(change, caller, EDITED, gather_facts(change)), caller)


def after_item(sys_id: str, name: str, removed: Any, added: Any, caller: Caller) -> None:
    """Record that a caller has removed, added, or replaced an affected CI or an attachment, and void answers."""
    change = lock_change(sys_id)
    if change is not None:
        record_item(change, name, removed, added, caller)
        if name == AFFECTED_CIS:
            change = check_conflicts(change, caller)
            follow_fact(change, {name, CONFLICTS}, caller)
        after_edit(sys_id, {name}, caller)


@handles(ATTEND)
def attend(payload: Mapping[str, Any]) -> None:
    """Request the approvals of a change from other people after somebody has left or joined."""
    change = lock_change(payload["change"])
    if change is None or change["state"] in UNBOUND_STATES:
        return
    stages = _stages_of(change)
    if any(map(has_expired, stages.values())):
        return
    if _waits_for_nobody(change, stages):
        apply_outcome(change, requests.ask_again(change, SYSTEM_CALLER, gather_facts(change)), SYSTEM_CALLER)
    elif _is_asked(change, stages):
        _ask_again(change, PEOPLE, SYSTEM_CALLER, keeps_approved=True)


@handles(FOLLOW_UP)
def follow_up(payload: Mapping[str, Any]) -> None:
    """Remind, escalate, and end the approvals of a change that wait for too long, and ask again what has expired."""
    change = lock_change(payload["change"])
    if change is None or change["state"] in UNBOUND_STATES or not _is_asked(change, _stages_of(change)):
        return
    voided = void_uncovered(change, SYSTEM_CALLER)
    meet_deadlines(change, database_now(), SYSTEM_CALLER)
    if voided:
        _ask_again(change, TIME, SYSTEM_CALLER)
    else:
        apply_outcome(change, count_answers(change, SYSTEM_CALLER), SYSTEM_CALLER)


@repeating("approvals.deadlines", every=SWEEP_INTERVAL)
def promise_follow_ups(at: datetime) -> bool:
    """Promise a job for each change with a deadline that has passed; the next run finds those that are left."""
    for change in list_due(at, MOST_DUE):
        enqueue(FOLLOW_UP, {"change": change}, key=change)
    return False


def _stages_of(change: Values) -> Mapping[int, Any]:
    return read_rounds(change["sys_id"]).stages


def _waits_for_nobody(change: Values, stages: Mapping[int, Any]) -> bool:
    """Return whether nobody could be asked when the change entered its state, or the change was imported in it."""
    if change["approval"] == REJECTED or change["state"] not in requests.STAGES:
        return False
    stage = stages.get(change["state"])
    return stage is None or (change["approval"] == NOT_REQUESTED and not stage.asks_people)


def _is_asked(change: Values, stages: Mapping[int, Any]) -> bool:
    """Return whether approvals of the current round are open or count, or were lost by an edit in a later state.

    A change in a final state of its model needs no approval any more.
    """
    if change["approval"] not in {NOT_REQUESTED, REQUESTED, APPROVED} or not stages:
        return False
    return not model_of(change).is_final(change["state"])


def _ask_again(change: Values, reason: str, caller: Caller, *, keeps_approved: bool = False) -> Values:
    """Select policies again, and ask the people whose answers are void or who are asked now."""
    requests.reselect(change, caller, reason, gather_facts(change), keeps_approved=keeps_approved)
    return apply_outcome(change, requests.redraw(change, caller, reason), caller)
