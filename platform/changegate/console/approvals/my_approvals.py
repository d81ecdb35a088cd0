"""My approvals: the list of what waits for the user's answer, answered one by one or together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from changegate.console.approvals.answering import answer_approval
from changegate.console.approvals.block import get_block
from changegate.console.guards import caller, require_login
from changegate.console.records.bulk import MOST_RECORDS
from changegate.console.records.computed_lists import Row, add_computed_table
from changegate.console.records.list_views import list_page
from changegate.console.records.own_lists import show_list_with
from changegate.console.records.pages import record_url
from changegate.errors import InputInvalid, RecordNotFound, VersionOutdated
from changegate.models.base import Entry
from changegate.models.change_request import CHANGE_STATES, RISKS
from changegate.services.catalog.access import READ_BY_ANYONE
from changegate.services.process.approval_details import list_waiting_for
from changegate.services.tables.display.display_values import WireRecord
from changegate.unproxied import current_request

# If a user is asked for more approvals, the newest ones are listed.
MOST_WAITING = 1000
CHANGED = "it has changed since the list was shown. Read it again"
GONE = "it is no longer requested"
bp = Blueprint("my_approvals", __name__, url_prefix="/my-approvals")
bp.before_request(require_login)
ENTRIES: Mapping[str, Entry] = {
    "number": Entry("string", "Change"),
    "short_description": Entry("string", "Short description"),
    "stage": Entry("integer", "State", choices=CHANGE_STATES),
    "risk": Entry("integer", "Risk", choices=RISKS),
    "start_date": Entry("glide_date_time", "Planned start date"),
    "end_date": Entry("glide_date_time", "Planned end date"),
    "requester": Entry("string", "Requested by"),
    "asked": Entry("string", "Requested from"),
    "sys_created_on": Entry("glide_date_time", "Requested"),
}


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What became of one answer, which was given if `is_given`."""

    sys_id: str
    number: str
    outcome: str
    is_given: bool = False


def _rows() -> Iterator[Row]:
    for row in list_waiting_for(caller(), MOST_WAITING):
        yield {**row, "asked": row["approver_name"], "requester": row["requester_name"] or ""}


def _links(row: Row) -> Mapping[str, str]:
    links = {"sys_id": url_for("approvals.record_view", sys_id=row["sys_id"])}
    people = {"asked": row["approver"], "requester": row["requested_by"]}
    return links | {name: record_url("sys_user", user) or "" for name, user in people.items() if user}


def _context(records: Sequence[WireRecord]) -> Mapping[str, Any]:
    blocks = [get_block(record["sys_id"]["value"], caller()) for record in records]
    return {"blocks": {block.sys_id: block for block in blocks}, "selects": True, "most": MOST_WAITING}


MY_APPROVALS = add_computed_table(
    "my_approval",
    "My Approval",
    ENTRIES,
    display_field="number",
    access=READ_BY_ANYONE,
    rows=_rows,
    links=_links,
)
show_list_with("my_approval", "console/approvals/my_approvals.html", _context)


@bp.get("")
def list_view() -> ResponseReturnValue:
    """List the approvals that wait for the user."""
    return list_page(MY_APPROVALS)


@bp.post("")
def answer_view() -> ResponseReturnValue:
    """Answer the selected approvals, each in a transaction of its own, and show a result for each."""
    sent = current_request().form
    chosen = dict(each.partition(":")[::2] for each in sent.getlist("approval"))
    if not chosen or len(chosen) > MOST_RECORDS:
        raise InputInvalid({"approval": [f"Select 1 to {MOST_RECORDS} approvals, and approve or reject them."]})
    numbers = {row["sys_id"]: row["number"] for row in _rows()}
    state, comments = sent.get("state", ""), sent.get("comments", "")
    results = [_answer(sys_id, version, state, comments, numbers) for sys_id, version in chosen.items()]
    return list_page(MY_APPROVALS, results=results)


def _answer(sys_id: str, version: str, state: str, comments: str, numbers: Mapping[str, str]) -> AnswerResult:
    """Answer an approval in the version that the list showed."""
    result = partial(AnswerResult, sys_id, numbers.get(sys_id, "Approval"))
    try:
        refusal = answer_approval(sys_id, state, comments, caller(), condition=version.__eq__)
    except RecordNotFound:
        return result(GONE)
    if refusal is None:
        return result(state, is_given=True)
    return result(CHANGED if isinstance(refusal, VersionOutdated) else refusal.sentence)
