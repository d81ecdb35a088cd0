"""Windows: when a change is allowed, when a freeze or a missing maintenance window speaks against it, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import func, or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid
from changegate.models import CmdbCi
from changegate.models.cmn_schedule import WINDOW_HOURS
from changegate.services.schedules.freezes import FreezeSubject, list_covering, subject_of
from changegate.services.schedules.overrides import roles_that_override
from changegate.services.schedules.spans import Interval, Schedule, Timeline, Union, horizon_of, merge, subtract
from changegate.services.schedules.stored import Freeze, find_maintenance
from changegate.services.tables.values import INSTANT_FORMAT

WINDOWS_PATH = "/api/sn_chg_rest/windows"
ALLOWED, FROZEN, OUTSIDE = "allowed", "frozen", "outside_maintenance"
MOST_WINDOWS, MOST_REASONS = 500, 20
_ITEM = Prepared(
    select(CmdbCi.sys_id, CmdbCi.name)
    .where(or_(CmdbCi.sys_id == parameter("ci"), func.lower(CmdbCi.name) == func.lower(parameter("name"))))
    .order_by((CmdbCi.sys_id == parameter("first")).desc())
    .limit(2)
)


@dataclass(frozen=True, slots=True)
class Window:
    """An interval in which a change is allowed, frozen, or outside of maintenance; `reasons` are freezes, as JSON."""

    start: datetime
    end: datetime
    state: str
    reasons: Sequence[dict[str, Any]]
    more_reasons: int


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows from `start` to `end`, without gaps, and the next instant from `start` on at which one is allowed."""

    start: datetime
    end: datetime
    windows: Sequence[Window]
    next_opening: datetime | None


def find_item(ci: str) -> Any:
    """Return the configuration item with a sys_id or a name, as (sys_id, name). Raises `InputInvalid`."""
    rows = _ITEM.all({"ci": ci, "name": ci, "first": ci})
    if not rows:
        raise InputInvalid({"ci": [f"There is no configuration item {ci[:100]!r}."]})
    if len(rows) > 1 and rows[0].sys_id != ci:
        raise InputInvalid({"ci": [f"Several configuration items have the name {ci[:100]!r}. Give the sys_id."]})
    return rows[0]


def list_windows(subject: FreezeSubject, ci: str | None, start: datetime, end: datetime) -> Windows:
    """Return the windows of a subject whose main configuration item is `ci`; the first `MOST_WINDOWS` of them."""
    freezes = tuple(list_covering(subject))
    frozen = Union(tuple(freeze.schedule for freeze in freezes))
    maintenance = find_maintenance(ci) if ci else None
    closed, allowed = frozen.intervals(start, end), _allowed(frozen, maintenance, start, end)
    windows = [
        *((*each, FROZEN) for each in closed),
        *((*each, ALLOWED) for each in allowed),
        *((*each, OUTSIDE) for each in subtract([(start, end)], merge([*closed, *allowed]))),
    ]
    windows.sort()
    opening = allowed[0][0] if allowed else _opening_after(frozen, maintenance, start, end)
    reasons = partial(_reasons, freezes)
    shown = [Window(*each, *(reasons(*each[:2]) if each[2] == FROZEN else ((), 0))) for each in windows[:MOST_WINDOWS]]
    return Windows(start, shown[-1].end if shown else end, shown, opening)


def windows_of(change: Mapping[str, Any], at: datetime) -> Windows:
    """Return the windows of a week for a new change, from its planned start on, or from `at`."""
    start = (change.get("start_date") or at).replace(microsecond=0)
    return list_windows(subject_of(change), change.get("cmdb_ci"), start, start + timedelta(hours=WINDOW_HOURS))


def _allowed(frozen: Timeline, maintenance: Schedule | None, start: datetime, end: datetime) -> list[Interval]:
    open_ = [(start, end)] if maintenance is None else maintenance.intervals(start, end)
    return subtract(open_, frozen.intervals(start, end))


def _opening_after(frozen: Timeline, maintenance: Schedule | None, start: datetime, end: datetime) -> datetime | None:
    """Return the first instant after some windows at which a change is allowed, up to a horizon."""
    limit = horizon_of(start)
    # In steps that grow: most freezes end soon after.
    step = end - start
    while end < limit:
        following = min(end + step, limit)
        if allowed := _allowed(frozen, maintenance, end, following):
            return allowed[0][0]
        end, step = following, 2 * step
    return None


# Most windows begin and end with a freeze, and not with the time that a caller asks for.
@lru_cache(maxsize=1024)
def _reasons(freezes: tuple[Freeze, ...], start: datetime, end: datetime) -> tuple[Sequence[dict[str, Any]], int]:
    """Return the first freezes that apply between two instants, as JSON, and the number of the others."""
    found = [freeze for freeze in freezes if freeze.schedule.first_start(start, end)]
    return tuple(map(_reason, found[:MOST_REASONS])), max(0, len(found) - MOST_REASONS)


def render_windows(found: Windows) -> dict[str, Any]:
    """Return windows as JSON, with times in UTC."""
    opening = found.next_opening
    return {
        "from": _text(found.start),
        "to": _text(found.end),
        "next_opening": _text(opening) if opening else None,
        "spans": [
            {
                "start": _text(window.start),
                "end": _text(window.end),
                "state": window.state,
                "reasons": window.reasons,
                "more_reasons": window.more_reasons,
            }
            for window in found.windows
        ],
    }


def _reason(freeze: Freeze) -> dict[str, Any]:
    return {
        "freeze": freeze.sys_id,
        "name": freeze.name,
        "enforcement": "hard" if freeze.is_hard else "soft",
        "override_roles": [*roles_that_override(freeze)],
        "change_types": sorted(freeze.types),
        "assignment_groups": sorted(freeze.groups),
        "condition": freeze.condition.text,
    }


def path_of_windows(change: Mapping[str, Any]) -> str:
    """Return the path that shows the windows of a change as it is."""
    names = {"ci": "cmdb_ci", "environment": "source_environment", "from": "start_date"}
    values = {name: change.get(field) for name, field in names.items()}
    texts = {name: _text(value) if isinstance(value, datetime) else value for name, value in values.items() if value}
    return f"{WINDOWS_PATH}?{urlencode(texts)}" if texts else WINDOWS_PATH


def _text(at: datetime) -> str:
    return f"{at:{INSTANT_FORMAT}}"
