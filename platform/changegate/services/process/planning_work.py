"""The work of the workers of the Change Management API: items, services, conflicts, and free times of a change."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from changegate.errors import RecordChanged, RecordNotFound
from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.approvals.content import AFFECTED_CIS
from changegate.services.configuration_items.affected import add_affected, add_services, refresh_services, require_items
from changegate.services.conflicts.detection import RELEVANT_FIELDS, count_affected, require_free
from changegate.services.conflicts.slots import Rejected, find_obstacles
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.process.conflict_checks import check_conflicts
from changegate.services.process.edits import after_edit
from changegate.services.process.freezes import keep_removed_in_freezes
from changegate.services.process.recording import record_item
from changegate.services.schedules.freezes import read_subject
from changegate.services.tables.reading.records import get_row, require_operation
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import INSTANT_FORMAT, render_value
from changegate.services.tables.writing.records import update_record
from changegate.services.workers.workers import Assignment, WorkOutcome, does

# Items in one entry of the history.
ITEMS_IN_ENTRY = 500
PLANNED, NO_SLOT = "Change has been updated", "No slots found for 90 days from now"


@does("affected")
def affect(work: Assignment) -> WorkOutcome:
    """Add affected items to a change: one edit, whatever their number."""
    change, caller, items = _change_of(work), work.caller, work.request["cmdb_ci_sys_ids"]
    # Again: an item may have been deleted since it was asked for.
    require_items(items)
    added = add_affected(change["sys_id"], items, caller.user_name)
    for at in range(0, len(added), ITEMS_IN_ENTRY):
        record_item(change, AFFECTED_CIS, None, added[at : at + ITEMS_IN_ENTRY], caller)
    if added:
        check_conflicts(change, caller)
        after_edit(change["sys_id"], {AFFECTED_CIS}, caller)
    if work.request.get("refresh_impacted_services"):
        _refresh_services(change, caller)
    return WorkOutcome(f"{len(added)} affected CIs were added")


@does("impacted", "offering")
def impact(work: Assignment) -> WorkOutcome:
    """Add impacted services or offerings to a change, or find them by its items if the request names none."""
    change, author = _change_of(work), work.caller.user_name
    named = work.request.get("cmdb_ci_sys_ids")
    if named is not None:
        require_items(named)
        added = add_services(change["sys_id"], named, author)
        check_conflicts(change, work.caller, is_job=True)
        return WorkOutcome(f"{len(added)} services were added")
    came, went = _refresh_services(change, work.caller)
    check_conflicts(change, work.caller, is_job=True)
    return WorkOutcome(f"{came} impacted services were added, {went} were removed")


def _refresh_services(change: Values, caller: Caller) -> tuple[int, int]:
    before = read_subject(change)
    counts = refresh_services(change["sys_id"], caller.user_name)
    # Work has all roles, also for callers without them.
    keep_removed_in_freezes(change, before.items, change, SYSTEM_CALLER)
    return counts


@does("conflict")
def check(work: Assignment) -> WorkOutcome:
    """Detect the conflicts of a change again."""
    change = check_conflicts(_change_of(work), work.caller, is_job=True, always=True)
    return WorkOutcome(f"Conflict status: {change['conflict_status']}")


@does("schedule")
def plan(work: Assignment) -> WorkOutcome:
    """Find the free times of a change or an item, or plan a change for the first one."""
    duration = timedelta(seconds=work.request["duration_in_seconds"])
    start = datetime.fromisoformat(work.request["planned_start_time"])
    if work.request.get("first_available"):
        return plan_first_available(str(work.change), duration, start, work.caller)
    subject = {"sys_id": "", "cmdb_ci": work.request.get("ci_sys_id")} if work.change is None else _change_of(work)
    spans = find_obstacles(subject, start).free_spans(duration)
    return WorkOutcome(f"{len(spans)} free times were found", {"spans": [_span(*span) for span in spans]})


def plan_first_available(sys_id: str, duration: timedelta, start: datetime, caller: Caller) -> WorkOutcome:
    """Plan a change for the first time without conflicts, from a time on.

    Raises `RecordChanged` if the time was taken, or the change was edited, during the search.
    """
    table = changes_table()
    require_operation(table, caller.permissions, "update")
    found = _read(table, sys_id, caller)
    search = find_obstacles(found, start).first_free(duration)
    payload = {
        "spans": [] if search.slot is None else [_span(*search.slot)],
        "rejected": [_rejected(each) for each in search.rejected],
        "rejected_count": search.rejected_count,
    }
    if search.slot is None:
        return WorkOutcome(NO_SLOT, payload)
    change = lock_change(sys_id)
    if change is None:
        raise RecordNotFound
    if any(change[name] != found[name] for name in RELEVANT_FIELDS):
        raise RecordChanged("The change was edited while a free time was searched.")
    require_free(change, *search.slot)
    window = dict(zip(("start_date", "end_date"), search.slot, strict=True))
    update_record(table, caller, sys_id, {name: render_value(table.entries[name], at) for name, at in window.items()})
    return WorkOutcome(PLANNED, payload)


def has_items(change: Mapping[str, Any]) -> bool:
    """Return whether a change is about a configuration item."""
    return bool(change["cmdb_ci"]) or count_affected(change["sys_id"]) > 0


def _read(table: Table, sys_id: str, caller: Caller) -> Values:
    names = tuple(table.columns)
    return dict(zip(names, get_row(table, caller, sys_id, names), strict=True))


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": f"{start:{INSTANT_FORMAT}}", "end": f"{end:{INSTANT_FORMAT}}"}


def _rejected(rejected: Rejected) -> dict[str, Any]:
    obstacle = rejected.obstacle
    because = {"type": obstacle.type, "change": obstacle.change, "schedule": obstacle.schedule}
    return {**_span(rejected.start, rejected.end), **because, "until": f"{obstacle.end:{INSTANT_FORMAT}}"}


def _change_of(work: Assignment) -> Values:
    change = lock_change(work.change) if work.change else None
    if change is None:
        raise RecordNotFound
    return change
