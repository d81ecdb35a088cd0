"""The conflicts of a change, kept up to date after writes of the change, of its items, and of their relationships."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import String, literal, or_, select

from changegate.database import connection
from changegate.extensions import database_now
from changegate.models import Task, TaskCi
from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.approvals.departures import RECOMPUTE
from changegate.services.configuration_items.relations import reach_of
from changegate.services.conflicts.detection import (
    RECHECK,
    detect,
    find_closed,
    is_large,
    promise_recheck,
    stored_closed,
)
from changegate.services.conflicts.overlaps import is_planned
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.process.risk_calculation import follow_fact
from changegate.services.risk.conditions import CONFLICTS
from changegate.services.schedules.stored import SCHEDULES_EDITED
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.writing.records import write_changes

ITEM_EDITED = "conflicts.item_edited"
MOST_CHANGES, CHANGES_AT_ONCE = 10_000, 500
_TASKS, _AFFECTED = Task.__table__.c, TaskCi.__table__.c


def check_conflicts(change: Values, caller: Caller, *, is_job: bool = False, always: bool = False) -> Values:
    """Detect the conflicts of a locked change again; return the change.

    It is written if its status differs, or always to store the time of the run.
    """
    outcome = detect(change, is_job=is_job)
    is_same = outcome.get("conflict_status", change["conflict_status"]) == change["conflict_status"]
    if is_same and not always:
        return change
    return write_changes(changes_table(), change, outcome, caller)


@handles(RECHECK)
def recheck(payload: Mapping[str, Any]) -> None:
    """Detect the conflicts of a change after another change, an item, or a relationship was written.

    If they determine its risk, another policy may apply.
    """
    change = lock_change(payload["change"])
    if change is not None and change["active"]:
        change = check_conflicts(change, SYSTEM_CALLER, is_job=True, always=is_large(change["sys_id"]))
        if follow_fact(change, {CONFLICTS}, SYSTEM_CALLER):
            enqueue(RECOMPUTE, {"change": change["sys_id"]}, key=change["sys_id"])


@handles(SCHEDULES_EDITED)
def recheck_windows(payload: Mapping[str, Any]) -> None:
    """Promise to check the open changes that have other conflicts with schedules now, some changes in each run."""
    is_open = (_TASKS["active"], _TASKS["end_date"] > database_now(), _TASKS["sys_class_name"] == "change_request")
    following = select(Task.__table__).where(*is_open, _TASKS["sys_id"] > payload.get("after", ""))
    rows = connection().execute(following.order_by(_TASKS["sys_id"]).limit(CHANGES_AT_ONCE)).all()
    changes = [row._asdict() for row in rows]
    if len(rows) == CHANGES_AT_ONCE:
        enqueue(SCHEDULES_EDITED, {"after": rows[-1].sys_id}, key=SCHEDULES_EDITED)
    planned = (change for change in changes if change["conflict_last_run"] is not None and is_planned(change))
    promise_recheck(each["sys_id"] for each in planned if set(find_closed(each)) != stored_closed(each["sys_id"]))


class RelationRules(Rules):
    """Rules of cmdb_rel_ci: changes on the items that it connects may have other conflicts now."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Promise to check the changes again."""
        promise_around(values["parent"], values["child"])

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Promise to check the changes again, also those around the former items."""
        promise_around(*(row[name] for row in (record, {**record, **changes}) for name in ("parent", "child")))

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Promise to check the changes again."""
        promise_around(record["parent"], record["child"])


def promise_around(*items: str) -> None:
    """Promise to check the open changes on some items and on related ones."""
    for item in sorted(set(items)):
        enqueue(ITEM_EDITED, {"item": item}, key=item)


@handles(ITEM_EDITED)
def recheck_around(payload: Mapping[str, Any]) -> None:
    """Promise to check the open changes on an item and on those that are related to it."""
    edited = select(literal(payload["item"], String).label("item")).cte("edited")
    items = select(reach_of(edited).c.related)
    affected = select(_AFFECTED["task"]).where(_AFFECTED["ci_item"].in_(items))
    is_about = or_(_TASKS["cmdb_ci"].in_(items), _TASKS["sys_id"].in_(affected))
    is_open = (_TASKS["active"], _TASKS["end_date"] > database_now(), _TASKS["sys_class_name"] == "change_request")
    changes = select(_TASKS["sys_id"]).where(is_about, *is_open).limit(MOST_CHANGES)
    promise_recheck(connection().execute(changes).scalars())
