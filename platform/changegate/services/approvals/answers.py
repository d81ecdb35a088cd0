"""Answers: who may answer an approval that a policy requested, and what an answer stores."""

from operator import itemgetter

from sqlalchemy import String, func, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import now
from changegate.models import SysapprovalApprover
from changegate.models.base import utc_now
from changegate.models.task import APPROVALS
from changegate.services.access.caller import Caller
from changegate.services.approvals.counting import count_answers
from changegate.services.approvals.delegation import ADMINISTRATOR, capacity_of, is_delegate
from changegate.services.approvals.eligibility import list_exclusions
from changegate.services.approvals.hours import expiry_of
from changegate.services.approvals.requests import redraw
from changegate.services.approvals.rollup import APPROVED, REJECTED, REQUESTED
from changegate.services.approvals.rounds import ANSWERED, TABLE, Round, Row, is_open
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.tables.rules import Values
from changegate.services.tables.versions import VersionCheck, require_version_of

COMMENTS_MISSING = "Data Policy Exception: The following fields are mandatory: Comments"
NOTHING_PENDING = "You have no pending approval of this change. Its blockers show whose approvals it waits for"
ANSWER_REFUSED = (
    "An access token answers an approval only if its subject is the approver and it has the scope approval.answer; "
    "use a user's name and password"
)
NOT_REQUESTED = (
    "This approval does not wait for an answer: its state is {}. Answer an approval of this change that is Requested"
)
ANSWERED_OTHERWISE = "an approval was answered by another person or in another state"
WINDOW_OVER = "The planned end of this change was {:%Y-%m-%d %H:%M:%S}. Plan a new window first"
_PENDING = Prepared(
    select(func.count().label("how_many")).where(
        SysapprovalApprover.approver == parameter("user", String),
        SysapprovalApprover.state == REQUESTED,
        SysapprovalApprover.asked_by_policy,
    )
)
_CHANGE_OF = Prepared(
    select(SysapprovalApprover.sysapproval).where(SysapprovalApprover.sys_id == parameter("approval", String))
)


def count_pending(user: str) -> int:
    """Return the number of approvals that wait for a user's own answer. One small statement, also for error pages."""
    row = _PENDING.first({"user": user})
    return int(row.how_many) if row else 0


def find_change_of(approval: str) -> str | None:
    """Return the sys_id of the task that an approval is for."""
    row = _CHANGE_OF.first({"approval": approval})
    return None if row is None else row.sysapproval


def require_answer_by_person(caller: Caller, approver: str | None) -> None:
    """Refuse an answer by a token, unless its subject is the approver and one of its scopes names approvals.

    Neither useraccount nor a rule for every table suffices: a pipeline must not approve its own change.
    """
    is_allowed = caller.is_subject and approver == caller.sys_id and caller.permissions.has_rule_of(TABLE)
    if caller.grant is not None and not is_allowed:
        raise AccessRefused("Operation Failed", ANSWER_REFUSED)


def complete_answer(row: Row, changes: Values, current: Round) -> None:
    """Complete the changes that answer an approval in place, or refuse them; nothing but the answer can be changed.

    The caller of the round holds the lock of the change. Raises `AccessRefused` and `OperationFailed`.
    """
    for name in changes.keys() - {"state", "comments"}:
        del changes[name]
    caller, stage = current.caller, current.stages.get(row["stage"])
    capacity = capacity_of(row["approver"], caller, current.initiators, row["sys_id"])
    require_answer_by_person(caller, row["approver"])
    if row["state"] != REQUESTED or stage is None:
        raise OperationFailed(NOT_REQUESTED.format(APPROVALS.get(row["state"], row["state"])))
    if changes.get("state") not in ANSWERED:
        raise OperationFailed("An approval is answered with the state approved or rejected")
    if changes["state"] == REJECTED and not changes.get("comments", row["comments"]):
        raise OperationFailed(COMMENTS_MISSING)
    rule = stage.rule_of(row)
    # The answer of an administrator for another person is recorded, and does not count if four eyes forbid it.
    if capacity != ADMINISTRATOR and (reason := _why_not(row, current)):
        raise AccessRefused("Operation Failed", f"You cannot answer this approval: {reason}")
    expires = expiry_of(current.change, rule["definition"]) if rule else None
    if changes["state"] == APPROVED and expires is not None and expires <= now():
        raise OperationFailed(WINDOW_OVER.format(expires))
    changes |= {"answered_at": utc_now(), "answered_by": caller.sys_id, "answered_as": capacity, "expires": expires}
    of_row = {name: row[name] for name in ("round", "stage", "approver", "approval_def", "content_hash")}
    of_answer = {name: changes.get(name) for name in ("state", "comments", "answered_by", "answered_as")}
    actor = actor_of(caller, acts_for=None if caller.sys_id == row["approver"] else row["approver"])
    facts = {"approval": row["sys_id"], **of_row, **of_answer}
    append("change_request", current.change["sys_id"], "answered", facts, actor)


def why_unanswerable(row: Row, current: Round) -> str | None:
    """Return why the caller of a round cannot answer an approval that a policy requested, or None if they can."""
    if row["state"] != REQUESTED or row["stage"] not in current.stages or row["round"] != current.number:
        return f"its state is {APPROVALS.get(row['state'], row['state'])}"
    try:
        capacity = capacity_of(row["approver"], current.caller, current.initiators, row["sys_id"])
    except AccessRefused:
        return "it is requested from another user"
    return None if capacity == ADMINISTRATOR else _why_not(row, current)


def _why_not(row: Row, current: Round) -> str | None:
    """Return why the caller may not answer an approval for its approver, or None."""
    stage = current.stages.get(row["stage"])
    rule = stage.rule_of(row) if stage else None
    if rule is None:
        return "its rule is no longer part of the policy"
    caller, approver = current.caller.sys_id, row["approver"]
    excluded = list_exclusions(current, row["stage"], rule, {caller, approver})
    if caller in excluded:
        return excluded[caller]
    if approver in excluded:
        return f"it is that of another user, who may not approve: {excluded[approver]}"
    return None


def answer_pending(current: Round, state: str, comments: str | None, condition: VersionCheck | None = None) -> str:
    """Answer every pending approval of the caller of a round, and return the `approval` that follows.

    If the caller has no pending approval of their own, those that they may answer as a delegate are answered. Raises
    `OperationFailed` if no approval is pending, `VersionOutdated` if `condition` does not hold for the stored version
    of the change, and the errors of `complete_answer`.
    """
    caller = current.caller
    # By state: a rule of a later state may accept the answer that the same person gives in an earlier one.
    rows = sorted((row for row in current.rows if row["state"] == REQUESTED), key=itemgetter("stage"))
    pending = [row for row in rows if row["approver"] == caller.sys_id]
    if not pending:
        pending = [row for row in rows if is_delegate(caller, row["approver"], current.initiators, row["sys_id"])]
    if not pending:
        raise OperationFailed(NOTHING_PENDING)
    # Only now: callers who are not asked and cannot see the change must not learn its version.
    require_version_of(current.change, condition)
    answered: list[Row] = []
    for row in pending:
        # The approvals that the caller may not answer stay open; if these are all, the last one explains the refusal.
        if (answered or row is not pending[-1]) and _why_not(row, current):
            continue
        changes: Values = {"state": state} | ({"comments": comments} if comments else {})
        complete_answer(row, changes, current)
        current.update(row, changes)
        answered.append(row)
    return after_answer(current, answered[0])


def after_answer(current: Round, row: Row) -> str:
    """Count the answers after one was given, and return the `approval` that follows.

    Whom the rules ask is determined again if the answer may not count, or may exclude its author in another state.
    """
    approval = count_answers(current)
    elsewhere = any(is_open(each) and each["stage"] != row["stage"] for each in current.rows)
    if approval in ANSWERED or not (elsewhere or row["answered_as"] == ADMINISTRATOR):
        return approval
    return redraw(current, ANSWERED_OTHERWISE)
