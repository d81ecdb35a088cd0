"""Overlaps: the changes that are planned at the same time for the same, a parent, or a child item, or person.

The end of a planned window is exclusive. Changes that are closed, canceled, or excluded do not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, String, func, literal, null, or_, select, true, union, union_all

from changegate.database.prepared import Prepared, parameter
from changegate.models import Task, TaskCi
from changegate.models.base import UTCDateTime
from changegate.models.conflict import ASSIGNEE_SCHEDULED, CHILD_SCHEDULED, CI_SCHEDULED, PARENT_SCHEDULED
from changegate.services.configuration_items.relations import CHILD, PARENT, SAME, items_of_change, reach_of

# Overlaps that are read for one change. The count is exact above it, too.
MOST_READ = 10_000
ASSIGNEE = 3
TYPES = {
    SAME: CI_SCHEDULED,
    PARENT: PARENT_SCHEDULED,
    CHILD: CHILD_SCHEDULED,
    ASSIGNEE: ASSIGNEE_SCHEDULED,
}
# What the type of a conflict is for the other change.
MIRRORED = {
    CI_SCHEDULED: CI_SCHEDULED,
    PARENT_SCHEDULED: CHILD_SCHEDULED,
    CHILD_SCHEDULED: PARENT_SCHEDULED,
    ASSIGNEE_SCHEDULED: ASSIGNEE_SCHEDULED,
}
_TASKS, _AFFECTED = Task.__table__, TaskCi.__table__
_CHANGE, _ITEM, _ASSIGNEE = (parameter(name, String) for name in ("change", "item", "assignee"))
_START, _END = (parameter(name, UTCDateTime()) for name in ("start", "end"))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Another change that is planned at the same time: for `person`, or for its item `related` and our `item`."""

    type: str
    change: str
    item: str | None
    related: str | None
    person: str | None
    start: datetime
    end: datetime
    status: str


def is_planned(change: Mapping[str, Any]) -> bool:
    """Return whether a change can have conflicts: it is active, not excluded, and has a planned window."""
    start, end = change.get("start_date"), change.get("end_date")
    is_counted = change.get("active", True) and not change.get("exclude_from_conflict_detection")
    return bool(is_counted and start and end and start < end)


def find_overlaps(
    change: Mapping[str, Any], start: datetime, end: datetime, *, limit: int = MOST_READ
) -> list[Overlap]:
    """Return the overlaps of a change as if it were planned from `start` to `end`, those that begin first."""
    rows = _FIND.all({**_parameters(change, start, end), "limit": limit})
    return [Overlap(TYPES[kind], other, *rest) for kind, other, *rest in rows]


def count_overlaps(change: Mapping[str, Any]) -> int:
    """Return how many overlaps a planned change has, without a limit."""
    row = _COUNT.first(_parameters(change, change["start_date"], change["end_date"]))
    return int(row.how_many) if row else 0


def _parameters(change: Mapping[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
    of_change = {"change": change["sys_id"], "item": change.get("cmdb_ci"), "assignee": change.get("assigned_to")}
    return {**of_change, "start": start, "end": end}


def _pairs() -> Any:
    reach = reach_of(items_of_change(_CHANGE, _ITEM))
    pair = (reach.c.kind, _TASKS.c["sys_id"].label("other"), reach.c.item, reach.c.related, null().label("person"))
    shown = (_TASKS.c["start_date"], _TASKS.c["end_date"], _TASKS.c["conflict_status"])
    # As an expression, it cannot get an automatic index in SQLite, which would then begin with all changes.
    related = func.coalesce(reach.c.related, "")
    of_item = select(*pair, *shown).join(_TASKS, _TASKS.c["cmdb_ci"] == related).where(*_overlaps())
    affecting = select(*pair, *shown).join(_AFFECTED, _AFFECTED.c["ci_item"] == related)
    of_affected = affecting.join(_TASKS, _TASKS.c["sys_id"] == _AFFECTED.c["task"]).where(*_overlaps())
    person = (null().label("item"), null().label("related"), _TASKS.c["assigned_to"])
    of_person = select(literal(ASSIGNEE), _TASKS.c["sys_id"], *person, *shown).where(
        _TASKS.c["assigned_to"] == _ASSIGNEE, *_overlaps()
    )
    return union_all(select(union(of_item, of_affected).subquery()), of_person).subquery()


def _overlaps() -> tuple[ColumnElement[bool], ...]:
    columns = _TASKS.c
    excluded = columns["exclude_from_conflict_detection"]
    is_counted = (columns["active"] == true(), or_(excluded.is_(None), excluded.is_(False)))
    is_other = (columns["sys_class_name"] == "change_request", columns["sys_id"] != _CHANGE)
    # Without a length, the other change has no window (`is_planned`) and would never agree about the conflict.
    is_window = columns["start_date"] < columns["end_date"]
    return (columns["end_date"] > _START, columns["start_date"] < _END, is_window, *is_counted, *is_other)


def _statement() -> Select[Any]:
    pairs = _pairs()
    return (
        select(pairs)
        .order_by(pairs.c.start_date, pairs.c.other, pairs.c.kind, pairs.c.item)
        .limit(parameter("limit", Integer))
    )


_FIND = Prepared(_statement())
_COUNT = Prepared(select(func.count().label("how_many")).select_from(_pairs()))
