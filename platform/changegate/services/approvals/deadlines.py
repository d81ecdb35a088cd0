"""Deadlines of open approvals: reminder, escalation to the manager of the group, expiry; never an approval.

`due_date` of an open approval is its next deadline. If servers were down for long, the next deadline counts from the
one that was reached too late: no approval expires without its reminder.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, func, or_, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.models import SysapprovalApprover, SysUser, SysUserGroup, Task
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.approvals.candidates import find_role
from changegate.services.approvals.departures import BOUND_STATES
from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.approvals.people import list_faults
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED, can_be_approved
from changegate.services.approvals.stages import CANCELLED, EMPTIED, Stage, count_stage, read_rounds
from changegate.services.approvals.stored import (
    add_approval,
    add_decision,
    list_approvals,
    update_approval,
    withdraw,
)
from changegate.services.approvals.voiding import limit_hours
from changegate.services.history.actors import SYSTEM
from changegate.services.history.chain import append
from changegate.services.tables.journals import add_journal_entries

REMIND, ESCALATE, EXPIRE = "reminder_hours", "escalation_hours", "expiry_hours"
# Kept in `approval_source`: a manager is asked under a rule that does not name them.
ESCALATED = "Escalation to the manager of the group"
EXPIRED = "nobody answered in time"
_MANAGER = Prepared(select(SysUserGroup.manager).where(SysUserGroup.sys_id == parameter("group")))
Row = Mapping[str, Any]


def first_deadline(rule: Row, requested_at: datetime) -> datetime | None:
    """Return the first deadline of an approval that is requested under a rule, for its `due_date`."""
    steps = _steps(rule)
    return requested_at + timedelta(hours=steps[0][0]) if steps else None


def list_due(at: datetime, limit: int) -> list[str]:
    """Return changes with open approvals whose deadline has passed, or with approvals that have expired."""
    approvals, tasks = SysapprovalApprover.__table__.c, Task.__table__.c
    is_due = and_(approvals["state"] == REQUESTED, approvals["due_date"] <= at)
    is_over = and_(approvals["state"] == APPROVED, approvals["expires"] <= at)
    # From the changes that wait: old approvals are never deleted.
    of_change = (tasks["sys_id"] == approvals["sysapproval"], tasks["sys_class_name"] == "change_request")
    # A rejection ends a round: in a model in which it moves no change, nothing is left to follow up.
    is_waiting = (tasks["state"].in_(BOUND_STATES), tasks["approval"] != REJECTED)
    statement = select(tasks["sys_id"]).where(*of_change, *is_waiting)
    others = SysapprovalApprover.__table__.alias().c
    latest = select(func.max(others["round"])).where(others["sysapproval"] == tasks["sys_id"]).scalar_subquery()
    is_current = (approvals["asked_by_policy"], approvals["voided_at"].is_(None), approvals["round"] == latest)
    is_live = (*is_current, or_(is_due, is_over))
    return list(connection().execute(statement.where(*is_live).distinct().limit(limit)).scalars())


def meet_deadlines(change: Row, at: datetime, caller: Caller) -> None:
    """Do what is due for the open approvals of a locked change.

    A stage that cannot be approved any more ends, so that the change waits with the reason until somebody acts.
    """
    rounds = read_rounds(change["sys_id"])
    due: dict[str, list[Row]] = {REMIND: [], ESCALATE: [], EXPIRE: []}
    for row in list_approvals(change["sys_id"], rounds.number):
        rule = _rule_of(row, rounds.stages.get(row["stage"]))
        is_due = row["state"] == REQUESTED and row["due_date"] is not None and row["due_date"] <= at
        if is_due and rule and (pending := _pending(rule, row)):
            (hours, step), *later = pending
            following = at.replace(microsecond=0) + timedelta(hours=later[0][0] - hours) if later else None
            due[step].append({**row, "rule": rule, "hours": hours, "next_due_date": following})
    for step, mark in ((REMIND, "reminded_at"), (ESCALATE, "escalated_at")):
        for taken in due[step]:
            update_approval(taken, {mark: utc_now(), "due_date": taken["next_due_date"]}, caller)
    notes = [f"Reminder: no answer yet from {_names(due[REMIND])}."] if due[REMIND] else []
    notes += _escalate(change, due[ESCALATE], caller)
    if notes:
        add_journal_entries("change_request", change["sys_id"], {"work_notes": "\n".join(notes)}, caller)
    _expire(change, due[EXPIRE], caller)
    for state in {row["stage"] for row in due[EXPIRE]}:
        _end_hopeless(change, rounds.stages[state], caller)


def has_expired(stage: Stage | None) -> bool:
    """Return whether a stage has ended because nobody answered in time; only an edit requests it again."""
    return stage is not None and stage.definition["reason"] == EXPIRED


def _end_hopeless(change: Row, stage: Stage, caller: Caller) -> None:
    rounds = read_rounds(change["sys_id"])
    rows = list_approvals(change["sys_id"], rounds.number)
    counted = count_stage(change, stage, rows, initiators_of(change))
    answers = [answer for answer in counted.answers if answer.state in {APPROVED, REQUESTED}]
    if can_be_approved(stage.quorums, answers, counts_person_once=stage.counts_person_once):
        return
    names = ("round", "stage", "policy", "policy_name", "policy_version", "facts", "explanation")
    kept = {name: stage.definition[name] for name in names}
    kept["explanation"] |= {EMPTIED: False}
    add_decision(change, {**kept, "outcome": NOT_REQUESTED, "reason": EXPIRED}, caller)
    withdraw(change, [(row, EXPIRED) for row in counted.rows if row["state"] == REQUESTED], caller)


def _steps(rule: Row) -> list[tuple[int, str]]:
    return sorted((limit_hours(rule[step]), step) for step in (REMIND, ESCALATE, EXPIRE) if rule[step] is not None)


def _pending(rule: Row, row: Row) -> list[tuple[int, str]]:
    """Return the steps of a rule that have not been taken for an approval, with their hours."""
    done = {REMIND: row["reminded_at"], ESCALATE: row["escalated_at"], EXPIRE: None}
    return [(hours, step) for hours, step in _steps(rule) if done[step] is None]


def _rule_of(row: Row, stage: Stage | None) -> Row | None:
    rules: Iterable[Row] = stage.rules if stage else ()
    return next((rule["definition"] for rule in rules if rule["rule"] == row["approval_def"]), None)


def _expire(change: Row, rows: Sequence[Row], caller: Caller) -> None:
    for row in rows:
        reason = f"No answer within {row['hours']} hours"
        update_approval(row, {"state": CANCELLED, "voided_at": utc_now(), "void_reason": reason}, caller)
    if rows:
        expired = [{"approval": row["sys_id"], "approver": row["approver"]} for row in rows]
        append("change_request", change["sys_id"], "expired", {"approvals": expired}, SYSTEM)


def _escalate(change: Row, rows: Sequence[Row], caller: Caller) -> Iterator[str]:
    """Ask the managers of the groups as well, once for each rule; return notes about it."""
    initiators = initiators_of(change) if rows else None
    for _, same_rule in groupby(sorted(rows, key=itemgetter("approval_def")), itemgetter("approval_def")):
        overdue = list(same_rule)
        yield f"No answer in time from {_names(overdue)}. {_ask_manager(change, overdue[0], initiators, caller)}"


def _ask_manager(change: Row, row: Row, initiators: Initiators | None, caller: Caller) -> str:
    """Ask the manager of the group under the same rule, unless the manager may not approve; return what was done."""
    group = _MANAGER.first({"group": row["group"]}) if row["group"] else None
    if group is None or group.manager is None:
        return "There is no manager of a group to escalate to."
    reason = list_faults([group.manager], find_role(row["rule"])).get(group.manager)
    if reason is None and initiators is not None and not row["rule"]["allows_requester"]:
        reason = initiators.why_not(group.manager)
    if reason is not None:
        return f"The manager of the group cannot be asked: {reason}."
    place = ("round", "stage", "approval_def")
    of_round = list_approvals(change["sys_id"], row["round"])
    if any(other["approver"] == group.manager and all(other[n] == row[n] for n in place) for other in of_round):
        return "The manager of the group is asked already."
    copied = {name: row[name] for name in (*place, "policy", "group", "content_hash", "order")}
    copied["due_date"] = row["next_due_date"]
    marks = {"approval_source": ESCALATED, "reminded_at": utc_now(), "escalated_at": utc_now()}
    add_approval(change, {**copied, **marks, "approver": group.manager, "state": REQUESTED}, caller)
    return f"{_names([{'approver': group.manager}])}, the manager of the group, is asked as well."


def _names(rows: Iterable[Row]) -> str:
    names = select(SysUser.name).where(SysUser.sys_id.in_([row["approver"] for row in rows])).order_by(SysUser.name)
    return ", ".join(connection().execute(names).scalars())
