"""My approvals: what waits for the user's answer, answered one by one or together."""

from dataclasses import dataclass

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from changegate.console.changes.related import MOST_ROWS, pending_query
from changegate.console.guards import caller, require_login
from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError, InputInvalid
from changegate.services.process.answering import answer_change
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table
from changegate.unproxied import current_request

FIELDS = (
    "sys_id",
    "sysapproval",
    "sysapproval.short_description",
    "sysapproval.assignment_group",
    "sysapproval.sys_mod_count",
    "group",
    "stage",
    "sys_created_on",
    "expires",
)
ANSWERS = ("approved", "rejected")
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
    """Answer the selected approvals, each change in a transaction of its own, and show a result for each."""
    sent = current_request().form
    state, comments = sent.get("state", ""), sent.get("comments", "").strip() or None
    chosen = dict.fromkeys(sent.getlist("change"))
    if state not in ANSWERS or not chosen or len(chosen) > MOST_ROWS:
        raise InputInvalid({"change": [f"Select 1 to {MOST_ROWS} changes, and approve or reject them."]})
    seen = dict(each.rpartition(":")[::2] for each in chosen)
    numbers = {row["sysapproval"]["value"]: row["sysapproval"]["display_value"] for row in _pending()}
    results = [
        AnswerResult(sys_id, numbers.get(sys_id, sys_id), _answer(sys_id, count, state, comments))
        for sys_id, count in seen.items()
    ]
    return _page(results)


def _answer(sys_id: str, update_count: str, state: str, comments: str | None) -> str:
    """Answer for one change in the version that the list showed; return why it was refused, or an empty string."""

    def is_as_shown(version: str) -> bool:
        return version.partition("-")[0] == update_count

    answered = attempt(lambda: answer_change(sys_id, state, comments, caller(), condition=is_as_shown), raised=())
    return (answered.detail or answered.message) if isinstance(answered, ChangegateError) else ""


def _pending() -> list[WireRecord]:
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=FIELDS)
    found = read_page(
        get_table("sysapproval_approver"), caller(), pending_query(caller()), shape, limit=MOST_ROWS, offset=0
    )
    return list(found.records)


def _page(results: list[AnswerResult]) -> str:
    return render_template("console/changes/my_approvals.html", approvals=_pending(), results=results)
