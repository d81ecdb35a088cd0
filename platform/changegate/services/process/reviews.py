"""The review of emergency and unauthorized changes: a task with a deadline, which must be closed before the change."""

from collections.abc import Mapping
from typing import Any

from changegate.extensions import settings
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller, as_process
from changegate.services.process.changes import tasks_table
from changegate.services.process.facts import REVIEW, lacks_review
from changegate.services.tables.values import render_value
from changegate.services.tables.writing.records import create_record

_TITLES = {True: "Review the unauthorized change", False: "Review the emergency change"}


def open_review_task(change: Mapping[str, Any], caller: Caller) -> None:
    """Create the review task of an emergency or unauthorized change, unless it has one; the change is locked."""
    if not lacks_review(change):
        return
    table, due = tasks_table(), utc_now() + settings().review_deadline
    # The engine parses what it is sent, so the time is rendered as on the wire.
    values = {
        "change_request": change["sys_id"],
        "change_task_type": REVIEW,
        "short_description": _TITLES[bool(change["unauthorized"])],
        "due_date": render_value(table.entries["due_date"], due),
    }
    if change["assignment_group"]:
        values["assignment_group"] = change["assignment_group"]
    create_record(table, as_process(caller), values)
