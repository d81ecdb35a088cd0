"""The conflicts of a change, kept up to date after writes of the change, of its items, and of their relationships."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import String, literal, select, union

from changegate.database import connection
from changegate.extensions import database_now
from changegate.models import Task, TaskCi
from changegate.services.access.caller import SYSTEM_CALLER, Caller
from changegate.services.approvals.departures import RECOMPUTE
from changegate.services.configuration_items.relations import ancestors_of
from changegate.services.conflicts.detection import RECHECK, detect, promise_recheck
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue
from changegate.services.process.changes import changes_table, lock_change
from changegate.services.process.risk_calculation import follow_fact
from changegate.services.risk.conditions import CONFLICTS
from changegate.services.tables.registry import NoRules, Values
from changegate.services.tables.writing.records import write_changes

RELATION_WRITTEN = "conflicts.relation_written"
MOST_CHANGES = 10_000
_TASKS, _AFFECTED = Task.__table__.c, TaskCi.__table__.c


def check_conflicts(change: Values, caller: Caller, *, is_job: bool = False) -> Values:
    """Detect the conflicts of a locked change again; return the change, which is written if its status differs."""
    outcome = detect(change, is_job=is_job)
    if outcome.get("conflict_status", change["conflict_status"]) == change["conflict_status"] and not is_job:
        return change
    return write_changes(changes_table(), change, outcome, caller)


@handles(RECHECK)
def recheck(payload: Mapping[str, Any]) -> None:
    """Detect the conflicts of a change after another change, an item, or a relationship was written.

    If they determine its risk, another policy may apply.
    """
    change = lock_change(payload["change"])
    if change is not None and change["active"]:
        change = check_conflicts(change, SYSTEM_CALLER, is_job=True)
        if follow_fact(change, {CONFLICTS}, SYSTEM_CALLER):
            enqueue(RECOMPUTE, {"change": change["sys_id"]}, key=change["sys_id"])


class RelationRules(NoRules):
    """Rules of cmdb_rel_ci: changes on the items that it connects may have other conflicts now."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Promise to check the changes again."""
        _promise(values["parent"])

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Promise to check the changes again, also those of the former parent."""
        for parent in {record["parent"], changes.get("parent", record["parent"])}:
            _promise(parent)

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Promise to check the changes again."""
        _promise(record["parent"])


def _promise(parent: str) -> None:
    enqueue(RELATION_WRITTEN, {"parent": parent}, key=parent)


@handles(RELATION_WRITTEN)
def recheck_above(payload: Mapping[str, Any]) -> None:
    """Promise to check the open changes on an item and on those that depend on it.

    Changes on the items below need no check of their own: a conflict is stored for both of its changes.
    """
    parent = literal(payload["parent"], String)
    items = ancestors_of(select(parent.label("item")).cte("parents")).subquery()
    affected = select(_AFFECTED["task"]).join(items, _AFFECTED["ci_item"] == items.c.item)
    main = select(_TASKS["sys_id"]).join(items, _TASKS["cmdb_ci"] == items.c.item)
    is_open = (_TASKS["active"], _TASKS["end_date"] > database_now(), _TASKS["sys_class_name"] == "change_request")
    changes = select(_TASKS["sys_id"]).where(_TASKS["sys_id"].in_(union(affected, main)), *is_open)
    promise_recheck(connection().execute(changes.limit(MOST_CHANGES)).scalars())
