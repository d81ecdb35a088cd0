"""Answers to the approvals of a change."""

from dataclasses import replace
from typing import Any

from flask import Response

from changegate.api.auth import require_scope
from changegate.api.change import calls
from changegate.api.change.calls import APPROVAL, CHANGE, META, REST_API, SHAPE, bp, reader
from changegate.api.envelopes import api_response, empty_response, is_body_unwanted
from changegate.api.preconditions import etag_of, if_match
from changegate.database import commit
from changegate.errors import OperationFailed, RecordNotFound, RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.approvals.answers import NOTHING_PENDING
from changegate.services.approvals.rounds import ANSWERED
from changegate.services.process.answering import answer_change
from changegate.services.tables.reading.records import get_row, open_record, render_written
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import parse_value

ANSWER_FIELDS = ("state", "comments")
# What an approver who may not read the change gets to see of it.
SHOWN_TO_APPROVERS = replace(SHAPE, fields=("sys_id", "number", "short_description", "state", "approval"))


@bp.route("/change/<sys_id>/approvals", methods=["PATCH", "POST"])
def answer_view(sys_id: str) -> Response:
    """Answer the approvals of a change that wait for the caller, and return the change."""
    table, who = get_table(CHANGE), require_scope(REST_API, APPROVAL)
    answer, ignored = _sent_answer()
    who.permissions.require_writable(name for name, value in answer.items() if value)
    try:
        with calls.refusals(table, "updated"):
            change = answer_change(sys_id, answer["state"], answer["comments"], who, condition=if_match())
            shown = _shown(table, who, change) | {META: {"ignoredFields": ignored}}
            commit()
    except OperationFailed as refused:
        if NOTHING_PENDING in refused.message:
            # Whether a change exists that the caller cannot see must not show.
            get_row(table, reader(), sys_id, ("sys_id",))
        raise
    headers = etag_of(change)
    return empty_response(200, headers) if is_body_unwanted() else api_response({"result": shown}, headers=headers)


def _sent_answer() -> tuple[dict[str, Any], list[str]]:
    """Return the state and comments that were sent, and the ignored names. Raises `RequestUnreadable`."""
    approvals = get_table(APPROVAL)
    sent = calls.sent_fields(approvals)
    answer: dict[str, Any] = dict.fromkeys(ANSWER_FIELDS)
    for name, value in sent.items():
        if name.lower() in answer:
            if isinstance(value, list):
                raise RequestUnreadable(f"Field {name}: a text is expected, not a list")
            answer[name.lower()] = parse_value(name, approvals.entries[name.lower()], value)
    if answer["state"] not in ANSWERED:
        raise RequestUnreadable(f"Field state: one of {' and '.join(sorted(ANSWERED))} is expected")
    return answer, [name for name in sent if name.lower() not in answer]


def _shown(table: Table, who: Caller, change: Values) -> dict[str, Any]:
    """Return the change as the caller may read it, or else what an approver gets to see of it."""
    try:
        return open_record(table, reader(), change["sys_id"], SHAPE).render()
    except RecordNotFound:
        return render_written(table, who, change, SHOWN_TO_APPROVERS)
