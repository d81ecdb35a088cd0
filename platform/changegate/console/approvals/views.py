"""The page of an approval, to which links in notifications lead, and the answer to it."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from changegate.console.approvals.answering import answer_approval
from changegate.console.approvals.block import get_block
from changegate.console.guards import caller, require_login
from changegate.console.stale_forms import was_seen
from changegate.errors import VersionOutdated
from changegate.unproxied import current_request

# The content that the answered page showed, by its hash.
SHOWN = "shown"
OUTDATED = "Not answered: what you were shown has changed. Read it again, then answer."
bp = Blueprint("approvals", __name__, url_prefix="/approvals")
bp.before_request(require_login)


@bp.get("/<sys_id>")
def record_view(sys_id: str) -> str:
    """Show an approval; raises `RecordNotFound`."""
    return _page(sys_id)


@bp.post("/<sys_id>/answer")
def answer_view(sys_id: str) -> ResponseReturnValue:
    """Answer an approval in the version that the page showed; otherwise, show what has changed since."""
    sent = current_request().form
    state = sent.get("state", "")
    # Before the version is compared: users who are not asked do not learn whether it is the stored one.
    if get_block(sys_id, caller()).details.refusal:
        return _page(sys_id), 403
    refusal = answer_approval(sys_id, state, sent.get("comments", ""), caller(), condition=was_seen)
    if refusal is not None:
        is_outdated = isinstance(refusal, VersionOutdated)
        page = _page(sys_id, OUTDATED if is_outdated else refusal.sentence, sent.get(SHOWN, ""))
        return page, 409 if is_outdated else refusal.status
    block = get_block(sys_id, caller())
    flash(f"{block.number} is {state} by you.")
    if block.reads_change and block.details.asked:
        return redirect(url_for("change_requests.record_view", sys_id=block.details.asked.sys_id, tab="approvals"))
    return redirect(url_for("approvals.record_view", sys_id=sys_id))


def _page(sys_id: str, refusal: str = "", shown: str = "") -> str:
    block = get_block(sys_id, caller())
    asked = block.details.asked
    return render_template(
        "console/approvals/record.html",
        block=block,
        refusal=refusal,
        # Texts that were typed stay, so that a refusal loses nothing.
        comments=current_request().form.get("comments", ""),
        since_shown=asked.differences_since(shown) if asked and shown else (),
    )
