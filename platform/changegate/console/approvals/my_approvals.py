"""My approvals: what waits for the user's answer, answered one by one or together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.approvals.answering import answer_approval
from changegate.console.approvals.block import ApprovalBlock, block_of
from changegate.console.guards import caller, require_login
from changegate.errors import InputInvalid, RecordNotFound, VersionOutdated
from changegate.services.approvals.answers import count_pending
from changegate.services.process.approval_details import list_waiting_for
from changegate.unproxied import current_request

MOST_WAITING = 50
CHANGED = "it has changed since the list was shown. Read it again"
GONE = "it is no longer requested"
bp = Blueprint("my_approvals", __name__, url_prefix="/my-approvals")
bp.before_request(require_login)


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What became of one answer; `error` is empty if it was given."""

    sys_id: str
    number: str
    error: str


@bp.get("")
def list_view() -> str:
    """Show the approvals that wait for the user."""
    return _page([])


@bp.post("")
def answer_view() -> ResponseReturnValue:
    """Answer the selected approvals, each in a transaction of its own, and show a result for each."""
    sent = current_request().form
    chosen = dict(each.partition(":")[::2] for each in sent.getlist("approval"))
    if not chosen or len(chosen) > MOST_WAITING:
        raise InputInvalid({"approval": [f"Select 1 to {MOST_WAITING} approvals, and approve or reject them."]})
    numbers = {block.sys_id: block.number for block in _waiting()}
    state, comments = sent.get("state", ""), sent.get("comments", "")
    return _page([_answer(sys_id, version, state, comments, numbers) for sys_id, version in chosen.items()])


def _answer(sys_id: str, version: str, state: str, comments: str, numbers: Mapping[str, str]) -> AnswerResult:
    """Answer an approval in the version that the list showed."""
    result = partial(AnswerResult, sys_id, numbers.get(sys_id, "Approval"))
    try:
        refusal = answer_approval(sys_id, state, comments, caller(), condition=version.__eq__)
    except RecordNotFound:
        return result(GONE)
    if refusal is None:
        return result("")
    return result(CHANGED if isinstance(refusal, VersionOutdated) else refusal.sentence)


def _waiting() -> list[ApprovalBlock]:
    return [block_of(each, caller()) for each in list_waiting_for(caller(), MOST_WAITING)]


def _page(results: Sequence[AnswerResult]) -> str:
    blocks = _waiting()
    return render_template(
        "console/approvals/my_approvals.html",
        blocks=blocks,
        total=max(len(blocks), count_pending(caller().sys_id)),
        results=results,
    )
