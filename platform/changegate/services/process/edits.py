"""Edits of what an approval covers: answers are voided, and people are asked again.

    change, affected CIs, attachments ──after_edit──> void answers ──> ask again ──> `approval` of the change
    jobs: people, deadlines ─────recompute, follow_up─> the same

The state of the change stays. From Implement on, nothing is voided: edits are deviations. A job works on one change, so
that no transaction of a job locks two of them.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from changegate.extensions import database_now
from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.approvals import requests
from changegate.services.approvals.bound import is_bound
from changegate.services.approvals.content import AFFECTED_CIS
from changegate.services.approvals.counting import count_answers
from changegate.services.approvals.deadlines import FOLLOW_UP, follow_up_open, has_expired, list_due
from changegate.services.approvals.departures import RECOMPUTE
from changegate.services.approvals.rounds import Round
from changegate.services.approvals.voiding import void_uncovered
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue
from changegate.services.jobs.repeating import repeating
from changegate.services.process.changes import lock_change
from changegate.services.process.conflict_checks import check_conflicts
from changegate.services.process.facts import gather_facts
from changegate.services.process.freezes import keep_removed_in_freezes
from changegate.services.process.moves import apply_outcome
from changegate.services.process.recording import record_item
from changegate.services.process.risk_calculation import follow_fact
from changegate.services.risk.conditions import CONFLICTS
from changegate.services.tables.rules import Values

SWEEP_INTERVAL = timedelta(minutes=1)
MOST_DUE = 1000
PEOPLE, TIME = "users have left or joined", "an answer has expired"


def after_edit(sys_id: str, edited: Collection[str], caller: Caller) -> Values | None:
    """Void the answers that depend on what a caller has edited, and ask again; return the change if it was written.

    `edited` are names of fields, `task_ci`, or `sys_attachment`.
    """
    current = _lock_round(sys_id, caller) if edited else None
    if current is None:
        return None
    gather = partial(gather_facts, current.change)
    return apply_outcome(current.change, requests.after_edit(current, frozenset(edited), gather), caller)


def after_item(
    sys_id: str, name: str, removed: Any, added: Any, caller: Caller, *, has_conflicts: bool = False
) -> None:
    """Record that a caller has removed, added, or replaced an affected CI or an attachment, and void answers.

    With `has_conflicts`, the conflicts of the change are detected again. This takes a lock before which all changes of
    the transaction must be locked.
    """
    change = lock_change(sys_id)
    if change is not None:
        record_item(change, name, removed, added, caller)
        if has_conflicts:
            change = check_conflicts(change, caller)
        if name == AFFECTED_CIS:
            is_written = follow_fact(change, {name, CONFLICTS}, caller)
            after = lock_change(sys_id) if is_written else change
            if removed is not None and after is not None:
                keep_removed_in_freezes(change, [removed], after, caller)
        after_edit(sys_id, {name}, caller)


@handles(RECOMPUTE)
def recompute(payload: Mapping[str, Any]) -> None:
    """Request the approvals of a change from other people after users have left or joined."""
    current = _lock_round(payload["change"])
    if current is not None and not has_expired(current):
        _request_again(current, PEOPLE, keeps_approved=True)


@handles(FOLLOW_UP)
def follow_up(payload: Mapping[str, Any]) -> None:
    """Remind, escalate, and end the approvals of a change that wait for too long, and ask again what has expired."""
    current = _lock_round(payload["change"])
    if current is None:
        return
    voided = void_uncovered(current)
    follow_up_open(current, database_now())
    if voided or not current.stages:
        _request_again(current, TIME)
    else:
        apply_outcome(current.change, count_answers(current), SYSTEM_CALLER)


@repeating("approvals.deadlines", every=SWEEP_INTERVAL)
def enqueue_follow_ups(at: datetime) -> bool:
    """Enqueue a job for each change that is due; the next run finds those that are left."""
    for change in list_due(at, MOST_DUE):
        enqueue(FOLLOW_UP, {"change": change}, key=change)
    return False


def _lock_round(sys_id: str, caller: Caller = SYSTEM_CALLER) -> Round | None:
    """Lock a change, and return its round if the change has requested approvals or must do so."""
    change = lock_change(sys_id)
    current = Round(change, caller) if change is not None and is_bound(change) else None
    return current if current is not None and requests.is_waiting(current) else None


def _request_again(current: Round, reason: str, *, keeps_approved: bool = False) -> None:
    gather = partial(gather_facts, current.change)
    approval = requests.request_again(current, reason, gather, keeps_approved=keeps_approved)
    apply_outcome(current.change, approval, SYSTEM_CALLER)
