"""Deadlines of open approvals: reminder, escalation to the manager of the group, expiry; never an approval.

`due_date` of an open approval is its next deadline. If servers were down for long, the next deadline counts from the
one that was reached too late: no approval expires without its reminder.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from sqlalchemy import func, select, union

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import ChgApprovalDecision, Job, SysapprovalApprover, SysUser, SysUserGroup, Task
from changegate.services.approvals.asking import place_of
from changegate.services.approvals.bound import bound_changes
from changegate.services.approvals.counting import count_stage
from changegate.services.approvals.eligibility import list_exclusions
from changegate.services.approvals.hours import ESCALATE, EXPIRE, REMIND, steps_of
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED, can_be_approved
from changegate.services.approvals.rounds import CANCELLED, EMPTIED, EXPIRED, STAGES, Round, Row, is_open
from changegate.services.tables.journals import add_journal_entries
from changegate.services.tables.rules import Values

# The kind of jobs that follow up a change; their key is the change.
FOLLOW_UP = "approvals.follow_up"
# An answer that expired earlier ends with the next edit or move of its change. Expired answers of closed changes stay.
EXPIRED_LATELY = timedelta(days=14)
# Kept in `approval_source`: a manager is asked under a rule that does not name them.
ESCALATED = "Escalation to the manager of the group"
UNANSWERED = "the approvals were not answered in time"
# The field that marks each step as done; an expiry ends the approval.
_MARKS = {REMIND: "reminded_at", ESCALATE: "escalated_at"}
_MANAGER = Prepared(select(SysUserGroup.manager).where(SysUserGroup.sys_id == parameter("group")))


def list_due(at: datetime, limit: int) -> list[str]:
    """Return changes whose approvals must be followed up and have no job for it, not even one that failed.

    They have an open approval whose deadline has passed, or an answer that has expired, or they are in a state that
    requests approvals and have requested none, because they were imported or are older than approval policies.
    """
    approvals, tasks = SysapprovalApprover.__table__.c, Task.__table__.c
    others, change = SysapprovalApprover.__table__.alias().c, approvals["sysapproval"]
    latest = select(func.max(others["round"])).where(others["sysapproval"] == change).scalar_subquery()
    is_due = (approvals["state"] == REQUESTED, approvals["due_date"] <= at)
    is_over = (approvals["state"] == APPROVED, approvals["expires"].between(at - EXPIRED_LATELY, at))
    is_current = (approvals["asked_by_policy"], approvals["voided_at"].is_(None), approvals["round"] == latest)
    decision = select(ChgApprovalDecision.sys_id).where(ChgApprovalDecision.change_request == tasks["sys_id"])
    is_unasked = (tasks["sys_class_name"] == "change_request", tasks["state"].in_(STAGES), ~decision.exists())
    # An index finds the rows of each part. No part reads the other changes that wait for approval, which may be many.
    needing = union(
        select(change).where(*is_due, *is_current),
        select(change).where(*is_over, *is_current),
        select(tasks["sys_id"]).where(*is_unasked),
    )
    # Otherwise, changes whose jobs fail would fill each list, and hide the others and the failure.
    has_job = select(Job.sys_id).where(Job.kind == FOLLOW_UP, Job.job_key == tasks["sys_id"]).exists()
    # A rejection ends a round: in a model in which it moves no change, nothing is left to follow up.
    is_waiting = (bound_changes(), tasks["approval"] != REJECTED, ~has_job)
    statement = select(tasks["sys_id"]).where(tasks["sys_id"].in_(needing), *is_waiting)
    statement = statement.order_by(tasks["sys_id"]).limit(limit)
    return list(connection().execute(statement).scalars())


def follow_up_open(current: Round, at: datetime) -> None:
    """Do what is due for the open approvals of a locked change.

    A stage that cannot be approved any more ends, so that the change waits with the reason until it is edited.
    """
    due: dict[str, list[tuple[Values, int]]] = {REMIND: [], ESCALATE: [], EXPIRE: []}
    for row in current.rows:
        stage = current.stages.get(row["stage"])
        rule = stage.rule_of(row) if stage else None
        if rule and row["state"] == REQUESTED and row["due_date"] is not None and row["due_date"] <= at:
            steps = [each for each in steps_of(rule["definition"]) if not row.get(_MARKS.get(each[1], ""))]
            for (hours, step), *later in [steps] if steps else []:
                following = at.replace(microsecond=0) + timedelta(hours=later[0][0] - hours) if later else None
                due[step].append((row, hours))
                if step in _MARKS:
                    current.update(row, {_MARKS[step]: now(), "due_date": following})
    _note(current, [row for row, _ in due[REMIND]], [row for row, _ in due[ESCALATE]])
    current.end([(row, f"No answer within {hours} hours") for row, hours in due[EXPIRE]], EXPIRED)
    for state in {row["stage"] for row, _ in due[EXPIRE]}:
        _end_stage(current, state)


def _note(current: Round, reminded: Sequence[Row], overdue: Sequence[Row]) -> None:
    """Ask the managers of the groups of overdue approvals, once for each rule, and add a work note about all rows."""
    notes = [f"Reminder: no answer yet from {_names(reminded)}."] if reminded else []
    by_rule = itemgetter("stage", "approval_def")
    for (state, _), rows in groupby(sorted(overdue, key=by_rule), by_rule):
        late = [*rows]
        rule = current.stages[state].rule_of(late[0])
        asked = ask_manager(current, state, rule, late[0]) if rule else ""
        notes.append(f"No answer in time from {_names(late)}. {asked}")
    if notes:
        text = {"work_notes": "\n".join(notes)}
        add_journal_entries("change_request", current.change["sys_id"], text, current.caller)


def has_expired(current: Round) -> bool:
    """Return whether a stage has ended without answers in time; only an edit requests its approvals again."""
    return any(stage.definition["reason"] == UNANSWERED for stage in current.stages.values())


def find_manager(group: str | None) -> str | None:
    """Return the manager of a group, if there is one."""
    row = _MANAGER.first({"group": group}) if group else None
    return None if row is None else row.manager


def ask_manager(current: Round, stage: int, rule: Row, row: Row) -> str:
    """Ask the manager of the group under a rule, unless they may not approve; return a sentence about it.

    `row` is an approval that the manager's approval is requested beside, with the next deadline.
    """
    manager = find_manager(row["group"])
    if manager is None:
        return "There is no manager of a group to escalate to."
    if reason := list_exclusions(current, stage, rule, [manager]).get(manager):
        return f"The manager of the group cannot be asked: {reason}."
    place = place_of(row, rule)
    if any(
        other["approver"] == manager and other["state"] != CANCELLED
        for other in current.rows
        if (other["stage"], other["approval_def"]) == (stage, rule["rule"])
    ):
        return "The manager of the group is asked already."
    copied = {name: row[name] for name in ("content_hash", "due_date", "held_at", "state")}
    marks = {"approval_source": ESCALATED, "reminded_at": now(), "escalated_at": now(), "group": row["group"]}
    current.add({**place, **copied, **marks, "approver": manager})
    return f"{_names([{'approver': manager}])}, the manager of the group, is asked as well."


def _end_stage(current: Round, state: int) -> None:
    """End a stage that cannot be approved any more."""
    stage = current.stages[state]
    count = count_stage(current, stage)
    answers = [answer for answer in count.answers if answer.state in {APPROVED, REQUESTED}]
    if not can_be_approved(stage.quorums, answers, counts_person_once=stage.counts_person_once):
        explanation = {**stage.definition["explanation"], EMPTIED: False}
        current.decide(NOT_REQUESTED, {**stage.definition, "explanation": explanation}, UNANSWERED)
        current.end([(row, UNANSWERED) for row in count.rows if is_open(row)])


def _names(rows: Iterable[Row]) -> str:
    names = select(SysUser.name).where(SysUser.sys_id.in_([row["approver"] for row in rows])).order_by(SysUser.name)
    return ", ".join(connection().execute(names).scalars())
