"""Conflicts with schedules: freezes that cover a planned change, and items outside of their maintenance windows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, or_, select

from changegate.database import connection
from changegate.database.prepared import parameter
from changegate.models import CmdbCi
from changegate.services.configuration_items.relations import CHILD, PARENT, SAME, items_of_change, reach_of
from changegate.services.conflicts.overlaps import MOST_READ
from changegate.services.schedules.freezes import FreezeSubject, blocked_spans, read_subject, subject_of
from changegate.services.schedules.spans import Interval, subtract
from changegate.services.schedules.stored import Freeze, Schedules, read_schedules

BLACKOUTS = {SAME: "blackout", PARENT: "parent_blackout", CHILD: "child_blackout"}
OUTSIDE = {
    SAME: "not_in_maintenance_window",
    PARENT: "parent_not_in_maintenance_window",
    CHILD: "child_not_in_maintenance_window",
}
_ITEMS = CmdbCi.__table__
_REACH = reach_of(items_of_change(parameter("change", String), parameter("item", String)))
_CONCERNED = select(_REACH.c.kind, _REACH.c.item, _REACH.c.related, _ITEMS.c["maintenance_schedule"]).join(
    _ITEMS, _ITEMS.c["sys_id"] == _REACH.c.related
)


@dataclass(frozen=True, slots=True)
class ClosedTime:
    """An interval in which a schedule allows no change: a freeze, or the time outside of a maintenance window."""

    type: str
    schedule: str
    item: str | None
    related: str | None
    start: datetime
    end: datetime


def list_closed_times(change: Mapping[str, Any], start: datetime, end: datetime) -> list[ClosedTime]:
    """Return the intervals from `start` to `end` in which schedules are against a change, one for each item and cause.

    `change` may be only a `cmdb_ci`, whose type and group are unknown.
    """
    schedules = read_schedules()
    frozen_items = {item for freeze in schedules.freezes for item in freeze.items}
    if not schedules.freezes and not schedules.maintenance:
        return []
    pairs = _pairs(change, frozen_items) if frozen_items or schedules.maintenance else []
    frozen = _frozen(change, pairs, start, end)
    return [*frozen, *_outside(schedules, pairs, start, end)]


def _pairs(change: Mapping[str, Any], frozen_items: set[str]) -> list[Any]:
    """Return the items of a change and related ones that have a maintenance window or are named by a freeze."""
    is_named = _REACH.c.related.in_(sorted(frozen_items))
    statement = _CONCERNED.where(or_(_ITEMS.c["maintenance_schedule"].is_not(None), is_named)).limit(MOST_READ)
    return list(connection().execute(statement, {"change": change["sys_id"], "item": change.get("cmdb_ci")}))


def _frozen(change: Mapping[str, Any], pairs: list[Any], start: datetime, end: datetime) -> Iterator[ClosedTime]:
    related = {pair.related for pair in pairs}
    is_change = "type" in change or "state" in change
    main = {change["cmdb_ci"]} if change.get("cmdb_ci") else set()
    subject = subject_of(change, related | _items_of(change)) if is_change else FreezeSubject(frozenset(related | main))
    for span in blocked_spans(subject, start, end):
        for kind, item, other in _covered_items(span.freeze, change, pairs):
            yield ClosedTime(BLACKOUTS[kind], span.freeze.sys_id, item, other, span.start, span.end)


def _items_of(change: Mapping[str, Any]) -> frozenset[str]:
    """Return all items that freezes compare, also the impacted services, if a freeze names any item."""
    return read_subject(change).items if any(freeze.items for freeze in read_schedules().freezes) else frozenset()


def _covered_items(
    freeze: Freeze, change: Mapping[str, Any], pairs: list[Any]
) -> list[tuple[int, str | None, str | None]]:
    """Return what a freeze covers of a change: each of its items that the freeze names, or the change as a whole."""
    named = [
        (pair.kind, pair.item, None if pair.kind == SAME else pair.related)
        for pair in pairs
        if pair.related in freeze.items
    ]
    return named or [(SAME, change.get("cmdb_ci"), None)]


def _outside(schedules: Schedules, pairs: list[Any], start: datetime, end: datetime) -> Iterator[ClosedTime]:
    closed: dict[str, list[Interval]] = {}
    for kind, item, related, sys_id in pairs:
        schedule = schedules.maintenance.get(sys_id)
        if schedule is None:
            continue
        if sys_id not in closed:
            closed[sys_id] = subtract([(start, end)], schedule.intervals(start, end))
        other = None if kind == SAME else related
        yield from (ClosedTime(OUTSIDE[kind], sys_id, item, other, *interval) for interval in closed[sys_id])
