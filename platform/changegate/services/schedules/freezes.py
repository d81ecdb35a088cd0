"""Freezes that cover a change."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import select, union_all

from changegate.database.prepared import Prepared, parameter
from changegate.models import TaskCi, TaskCmdbCiService
from changegate.models.cmn_schedule import EARLIEST, LATEST
from changegate.services.schedules.spans import DAY
from changegate.services.schedules.stored import Freeze, Schedules, read_schedules

# The fields of a change with the items that it is about.
ITEM_FIELDS = ("cmdb_ci", "business_service", "service_offering")
# Up to this length, a time is compared with the freezes of its days alone.
SHORT_TIME = DAY * 7
_ITEMS = union_all(
    select(TaskCi.ci_item.label("item")).where(TaskCi.task == parameter("change")),
    select(TaskCmdbCiService.cmdb_ci_service).where(TaskCmdbCiService.task == parameter("change")),
).subquery()
_ITEMS_OF = Prepared(select(_ITEMS.c.item))


@dataclass(frozen=True, slots=True)
class FreezeSubject:
    """What a freeze may cover. Without `change`, its type, group, and fields are unknown, and every freeze applies.

    `items` are the sys_ids of configuration items, services, and service offerings. A change whose environment is
    unknown is covered by freezes of all environments, because nothing shows that it is somewhere else.
    """

    items: frozenset[str]
    environment: str | None = None
    change: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FrozenSpan:
    """An interval in which a freeze applies. Without `until`, it ends when the freeze does."""

    freeze: Freeze
    start: datetime
    until: datetime | None = None

    @property
    def end(self) -> datetime:
        """The end, which is exclusive; `LATEST` if none is known."""
        return self.until or self.freeze.schedule.end_after(self.start) or LATEST

    @property
    def known_end(self) -> datetime | None:
        """The end, or None if none is known."""
        return None if self.end >= LATEST else self.end


def subject_of(change: Mapping[str, Any], further_items: Iterable[str] = ()) -> FreezeSubject:
    """Return what freezes are compared with: the fields of a change, and its affected CIs and impacted services."""
    of_change = (change.get(name) for name in ITEM_FIELDS)
    items = frozenset(item for item in (*of_change, *further_items) if item)
    return FreezeSubject(items, change.get("source_environment"), change)


def read_subject(change: Mapping[str, Any], further_items: Iterable[str] = ()) -> FreezeSubject:
    """Return what freezes are compared with, also the stored affected CIs and impacted services of a change."""
    stored = (row.item for row in _ITEMS_OF.all({"change": change["sys_id"]}))
    return subject_of(change, (*stored, *further_items))


def compared_fields() -> frozenset[str]:
    """Return the fields of a change by which the active freezes decide whether they cover it."""
    return _compared_by(read_schedules())


@lru_cache(maxsize=8)
def _compared_by(schedules: Schedules) -> frozenset[str]:
    by_lists = ("assignment_group", "type", *ITEM_FIELDS) if schedules.freezes else ()
    return frozenset(by_lists).union(*(freeze.condition.fields for freeze in schedules.freezes))


def freezes_over(subject: FreezeSubject, start: datetime, end: datetime) -> list[FrozenSpan]:
    """Return the freezes that cover a subject at some time from `start` to `end`, each with its first interval."""
    freezes = list_covering(subject, _in_force(start, end))
    starts = ((freeze, freeze.schedule.first_start(start, end)) for freeze in freezes)
    return [FrozenSpan(freeze, first) for freeze, first in starts if first is not None]


def blocked_spans(subject: FreezeSubject | None, start: datetime, end: datetime) -> list[FrozenSpan]:
    """Return all intervals from `start` to `end` in which a freeze covers a subject, clipped to these.

    Without a subject, those of all freezes.
    """
    freezes = _in_force(start, end)
    return [
        FrozenSpan(freeze, *interval)
        for freeze in (freezes if subject is None else list_covering(subject, freezes))
        for interval in freeze.schedule.intervals(start, end)
    ]


def list_covering(subject: FreezeSubject, among: Iterable[Freeze] | None = None) -> Iterator[Freeze]:
    """Yield the active freezes that cover a subject, at whatever time, or those of them `among` some freezes."""
    freezes = read_schedules().freezes if among is None else among
    return (freeze for freeze in freezes if _covers(freeze, subject))


def _in_force(start: datetime, end: datetime) -> Iterable[Freeze]:
    """Return the active freezes that may apply from `start` to `end`: for a short time, those of its days."""
    schedules = read_schedules()
    start, end = max(start, EARLIEST), min(end, LATEST)
    if end - start > SHORT_TIME or not schedules.freezes:
        return schedules.freezes
    first = start.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (first + DAY * number for number in range((end - first) // DAY + 1))
    of_days = {freeze for day in days for freeze in _freezes_on(schedules, day)}
    return [freeze for freeze in schedules.freezes if freeze in of_days]


@lru_cache(maxsize=1024)
def _freezes_on(schedules: Schedules, day: datetime) -> tuple[Freeze, ...]:
    """Return the freezes that apply at some time of a day in UTC."""
    return tuple(freeze for freeze in schedules.freezes if freeze.schedule.intervals(day, day + DAY))


def _covers(freeze: Freeze, subject: FreezeSubject) -> bool:
    if freeze.items and freeze.items.isdisjoint(subject.items):
        return False
    if freeze.environments and subject.environment and subject.environment.lower() not in freeze.environments:
        return False
    change = subject.change
    if change is None:
        return True
    if freeze.groups and change.get("assignment_group") not in freeze.groups:
        return False
    if freeze.types and (change.get("type") or "normal") not in freeze.types:
        return False
    # A record that was just created shows its caller no private fields; they count as empty.
    return freeze.condition.matches({name: change.get(name) for name in freeze.condition.fields})
