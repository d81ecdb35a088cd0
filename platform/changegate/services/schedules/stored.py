"""Schedules as they are stored: read and parsed once for each revision, and kept in memory.

    a move of a change ──> the row of the revision, locked against edits until the end of the transaction
    other readers ───────> the row of the revision
                             ├── known: the parsed schedules from memory
                             └── unknown: schedules and spans are read and parsed
    an edit of a schedule ──> another random revision, which waits for the moves that have read the row

A move that has seen no freeze is therefore committed before the freeze is, and a rolled-back revision never returns.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update

from changegate.database.prepared import Prepared, Remembered, parameter
from changegate.errors import InputInvalid
from changegate.models import CmdbCi, CmnScheduleBlackout, CmnScheduleRevision, CmnScheduleSpan, SysUserRole
from changegate.services.access.time_zones import find_time_zone
from changegate.services.jobs.queue import enqueue
from changegate.services.schedules.recurrence import Repetition
from changegate.services.schedules.spans import Schedule, Span
from changegate.services.state_models.conditions import FactCondition, parse_condition

# The kind of job that follows an edit of a schedule.
SCHEDULES_EDITED = "schedules.edited"
HARD, NEVER = "hard", "never"
_SCHEDULES, _SPANS = CmnScheduleBlackout.__table__, CmnScheduleSpan.__table__
_ACTIVE = Prepared(
    select(*_SCHEDULES.c, SysUserRole.name.label("role_name"))
    .select_from(_SCHEDULES.outerjoin(SysUserRole.__table__, SysUserRole.sys_id == _SCHEDULES.c["override_role"]))
    .where(_SCHEDULES.c["active"])
    .order_by(_SCHEDULES.c["name"])
)
_ALL_SPANS = Prepared(
    select(_SPANS)
    .join(_SCHEDULES, _SCHEDULES.c["sys_id"] == _SPANS.c["schedule"])
    .where(_SCHEDULES.c["active"])
    .order_by(_SPANS.c["sys_id"])
)
_REVISION = select(CmnScheduleRevision.revision)
_LOCKED = Prepared(_REVISION.with_for_update(read=True).execution_options(locks_rows=True))
_NEW_REVISION = Prepared(update(CmnScheduleRevision).values(revision=parameter("new_revision")))
_SCHEDULE_OF_CI = Prepared(select(CmdbCi.maintenance_schedule).where(CmdbCi.sys_id == parameter("ci")))


@dataclass(frozen=True, eq=False)
class Freeze:
    """A freeze. An empty set covers everything. `override_role` is the name of the role that may override it."""

    sys_id: str
    name: str
    version: int
    is_hard: bool
    override_role: str | None
    schedule: Schedule
    items: frozenset[str]
    groups: frozenset[str]
    environments: frozenset[str]
    types: frozenset[str]
    condition: FactCondition


@dataclass(frozen=True, eq=False)
class Schedules:
    """The active freezes, and the maintenance schedules by sys_id."""

    freezes: tuple[Freeze, ...] = ()
    maintenance: Mapping[str, Schedule] = field(default_factory=dict)


def read_schedules() -> Schedules:
    """Return all active schedules as they are stored now."""
    return _CURRENT.first({}) or Schedules()


def hold_schedules() -> None:
    """Let edits of schedules wait until the end of the transaction, which decides by them."""
    _LOCKED.first({})


def new_revision() -> None:
    """Give the schedules another revision, after the transactions that hold them, and let other edits wait."""
    _NEW_REVISION.execute({"new_revision": secrets.token_hex(16)})
    enqueue(SCHEDULES_EDITED, {}, key=SCHEDULES_EDITED)


def find_maintenance(ci: str) -> Schedule | None:
    """Return the maintenance schedule of a configuration item; without one, or an active one, None."""
    maintenance = read_schedules().maintenance
    row = _SCHEDULE_OF_CI.first({"ci": ci}) if maintenance else None
    return maintenance.get(row.maintenance_schedule) if row else None


def split_names(text: str | None) -> frozenset[str]:
    """Return the names of a comma-separated text, in lower case."""
    return frozenset(name.strip().lower() for name in (text or "").split(",")) - {""}


def parse_span(row: Mapping[str, Any]) -> Span:
    """Return a span from its columns. Raises `ValueError` for a time that is no time."""
    starts, ends = (parse_wall_clock(row[name]) for name in ("start_date_time", "end_date_time"))
    repetition = None
    if row.get("repeat_type", NEVER) != NEVER:
        weekdays = frozenset(int(digit) - 1 for digit in row.get("days_of_week") or "")
        monthly, until = row.get("monthly_type"), row.get("repeat_until")
        repetition = Repetition(row["repeat_type"], row.get("repeat_count") or 1, weekdays, monthly, until)
    return Span(starts, ends, repetition, row.get("type") == "exclude")


def parse_wall_clock(text: str) -> datetime:
    """Return the naive time of a text such as 2026-12-24 22:00:00. Raises `ValueError`."""
    return datetime.fromisoformat(text)


def _load(_revision: Any) -> Schedules:
    spans = defaultdict(list)
    for row in _ALL_SPANS.all({}):
        spans[row.schedule].append(parse_span(row._asdict()))
    freezes, maintenance = [], {}
    for row in _ACTIVE.all({}):
        schedule = Schedule(find_time_zone(row.time_zone) or UTC, tuple(spans[row.sys_id]))
        if row.sys_class_name == "cmn_schedule_blackout":
            freezes.append(_freeze(row, schedule))
        else:
            maintenance[row.sys_id] = schedule
    return Schedules(tuple(freezes), maintenance)


def _freeze(row: Any, schedule: Schedule) -> Freeze:
    return Freeze(
        sys_id=row.sys_id,
        name=row.name,
        version=row.version,
        is_hard=row.enforcement == HARD,
        override_role=row.role_name,
        schedule=schedule,
        items=split_names(row.configuration_items),
        groups=split_names(row.assignment_groups),
        environments=split_names(row.environments),
        types=split_names(row.change_types),
        condition=_condition(row.condition),
    )


def _condition(text: str | None) -> FactCondition:
    try:
        return parse_condition(text or "")
    except InputInvalid:
        # A field that this version does not have any more: the freeze covers more rather than less.
        return FactCondition("")


_CURRENT: Remembered[Schedules] = Remembered(Prepared(_REVISION), _load, size=8)
