"""Answers: who may answer an approval that a policy requested, and what an answer stores."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import now
from changegate.models.base import utc_now
from changegate.models.task import APPROVALS
from changegate.services.access.caller import Caller
from changegate.services.approvals.delegation import ADMINISTRATOR, answerer_of, is_delegate
from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.approvals.people import list_faults
from changegate.services.approvals.rollup import APPROVED, REJECTED, REQUESTED
from changegate.services.approvals.stages import ANSWERED, ApprovalOutcome, Stage, read_rounds, settle
from changegate.services.approvals.stored import TABLE, list_approvals, update_approval
from changegate.services.approvals.voiding import expiry_of
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.tables.versions import VersionCheck, require_version_of

COMMENTS_MISSING = "Data Policy Exception: The following fields are mandatory: Comments"
NOTHING_PENDING = "You have no pending approval of this change"
ANSWER_REFUSED = (
    "An access token answers an approval only if its subject is the approver and it has the scope approval.answer; "
    "use a user's name and password"
)
WINDOW_OVER = "An approval of this change would have been valid until {:%Y-%m-%d %H:%M:%S}"
Row = Mapping[str, Any]


def require_answer_by_person(caller: Caller, approver: str | None) -> None:
    """Refuse an answer by a token, unless its subject is the approver and one of its scopes names approvals.

    Neither useraccount nor a rule for every table suffices: a pipeline must not approve its own change.
    """
    is_allowed = caller.is_subject and approver == caller.sys_id and caller.permissions.has_rule_of(TABLE)
    if caller.grant is not None and not is_allowed:
        raise AccessRefused("Operation Failed", ANSWER_REFUSED)


def complete_answer(row: Row, changes: dict[str, Any], change: Row, caller: Caller) -> None:
    """Complete the changes that answer an approval in place, or refuse them; nothing but the answer can be changed.

    The caller holds the lock of the change. Raises `AccessRefused` and `OperationFailed`.
    """
    for name in changes.keys() - {"state", "comments"}:
        del changes[name]
    stage = read_rounds(change["sys_id"]).stages.get(row["stage"])
    initiators = initiators_of(change)
    answerer = answerer_of(row["approver"], caller, initiators)
    require_answer_by_person(caller, row["approver"])
    if row["state"] != REQUESTED or stage is None:
        state = APPROVALS.get(row["state"], row["state"])
        raise OperationFailed(f"This approval waits for no answer: its state is {state}")
    if changes.get("state") not in ANSWERED:
        raise OperationFailed("An approval is answered with the state approved or rejected")
    if changes["state"] == REJECTED and not changes.get("comments", row["comments"]):
        raise OperationFailed(COMMENTS_MISSING)
    # The answer of an administrator for another person is recorded, and does not count if four eyes forbid it.
    if answerer.capacity != ADMINISTRATOR and (reason := _why_not(row, stage, caller, initiators)):
        raise AccessRefused("Operation Failed", f"You cannot answer this approval: {reason}")
    rule = _rule_of(row, stage)
    expires = expiry_of(change, rule["definition"]["valid_hours"] if rule else None)
    if changes["state"] == APPROVED and expires is not None and expires <= now():
        raise OperationFailed(f"{WINDOW_OVER.format(expires)}. Plan a new window first")
    changes |= {"answered_at": utc_now(), "answered_by": answerer.user, "answered_as": answerer.capacity}
    changes["expires"] = expires
    _remember(row, changes, change, caller)


def _remember(row: Row, changes: Row, change: Row, caller: Caller) -> None:
    """Append the answer to the history of the change."""
    of_row = {name: row[name] for name in ("round", "stage", "approver", "approval_def", "content_hash")}
    of_answer = {name: changes.get(name) for name in ("state", "comments", "answered_by", "answered_as")}
    acts_for = None if caller.sys_id == row["approver"] else row["approver"]
    facts = {"approval": row["sys_id"], **of_row, **of_answer}
    append("change_request", change["sys_id"], "answered", facts, actor_of(caller, acts_for=acts_for))


def _rule_of(row: Row, stage: Stage) -> Row | None:
    return next((rule for rule in stage.rules if rule["rule"] == row["approval_def"]), None)


def _why_not(row: Row, stage: Stage, caller: Caller, initiators: Initiators) -> str | None:
    rule = _rule_of(row, stage)
    if rule is None:
        return "its rule is no longer part of the policy"
    faults = list_faults({caller.sys_id, row["approver"]}, rule["role"])
    if fault := faults.get(caller.sys_id):
        return fault
    if row["approver"] in faults:
        return f"it is that of another user, who may no longer approve: {faults[row['approver']]}"
    return None if rule["definition"]["allows_requester"] else initiators.why_not(caller.sys_id)


def answer_pending(
    change: Row, state: str, comments: str | None, caller: Caller, condition: VersionCheck | None = None
) -> ApprovalOutcome:
    """Answer every pending approval of the caller for a change, and return what follows.

    If the caller has no pending approval of their own, those that they may answer as a delegate are answered. Raises
    `OperationFailed` if no approval is pending, `VersionOutdated` if `condition` does not hold for the stored version
    of the change, and the errors of `complete_answer`.
    """
    rounds = read_rounds(change["sys_id"])
    rows = [row for row in list_approvals(change["sys_id"], rounds.number) if row["state"] == REQUESTED]
    pending = [row for row in rows if row["approver"] == caller.sys_id]
    if not pending and rows:
        initiators = initiators_of(change)
        pending = [row for row in rows if is_delegate(caller, row["approver"], initiators)]
    if not pending:
        raise OperationFailed(NOTHING_PENDING)
    # Only now: callers who are not asked and cannot see the change must not learn its version.
    require_version_of(change, condition)
    for row in pending:
        changes: dict[str, Any] = {"state": state} | ({"comments": comments} if comments else {})
        complete_answer(row, changes, change, caller)
        update_approval(row, changes, caller)
    return settle(change, caller)
