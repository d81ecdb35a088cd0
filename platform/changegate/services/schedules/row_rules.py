"""The rules for writes of schedules and their spans."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid, OperationFailed
from changegate.models import CmnSchedule, CmnScheduleSpan
from changegate.models.cmn_schedule import EARLIEST, LATEST
from changegate.services.access.caller import Caller
from changegate.services.access.time_zones import time_zone_names
from changegate.services.jobs.queue import hasten
from changegate.services.schedules.recurrence import Repetition
from changegate.services.schedules.stored import NEVER, new_revision, parse_span, parse_wall_clock, split_names
from changegate.services.state_models.conditions import COMPUTED, TABLE, parse_condition
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Rules, Values

# The kind of job that moves a change which waits for the end of a freeze; the process has its handler.
RELEASE = "freezes.release"
# So that the spans of all schedules can be evaluated in one request.
MOST_SPANS, MOST_REPEATING, MOST_REPEAT_COUNT = 10_000, 500, 99
LONGEST = {
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=28),
    "yearly": timedelta(days=365),
}
WALL_CLOCK = "Enter a time by the clock of the schedule's zone, without an offset, such as 2026-12-24 22:00:00."
_SCHEDULES, _SPANS = CmnSchedule.__table__, CmnScheduleSpan.__table__
_LOCKED = Prepared(
    select(_SCHEDULES.c["sys_id"])
    .where(_SCHEDULES.c["sys_id"] == parameter("schedule"))
    .with_for_update(key_share=True)
    .execution_options(locks_rows=True)
)
_SCHEDULE_OF = Prepared(select(_SPANS.c["schedule"]).where(_SPANS.c["sys_id"] == parameter("span")))
_RAISE_VERSION = Prepared(
    update(_SCHEDULES)
    .where(_SCHEDULES.c["sys_id"] == parameter("of_schedule"))
    .values(version=_SCHEDULES.c["version"] + 1, sys_mod_count=_SCHEDULES.c["sys_mod_count"] + 1)
)


class ScheduleRules(Rules):
    """Rules of all classes of schedules: every edit raises the version, and changes that wait are looked at again."""

    def require_valid(self, schedule: Values) -> None:
        """Refuse a schedule without a known time zone; store its name as the time zone database spells it."""
        known = time_zone_names().get((schedule.get("time_zone") or "").strip().lower())
        if known is None:
            message = "Enter the IANA name of a time zone, such as Europe/Berlin or Etc/UTC."
            raise InputInvalid({"time_zone": [message]})
        schedule["time_zone"] = known

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid schedule."""
        self.require_valid(values)
        new_revision()

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an invalid schedule, and raise the version."""
        if not changes:
            return
        after = {**record, **changes}
        self.require_valid(after)
        changes |= {name: after[name] for name in changes}
        changes["version"] = record["version"] + 1
        new_revision()

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Look again at the changes that wait for the end of a freeze."""
        hasten(RELEASE)
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Let moves that depend on the schedule come first."""
        new_revision()

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Look again at the changes that wait for the end of a freeze."""
        hasten(RELEASE)


class BlackoutRules(ScheduleRules):
    """Rules of cmn_schedule_blackout."""

    def require_valid(self, schedule: Values) -> None:
        """Refuse unknown types, and a condition that cannot be evaluated from the fields of a change."""
        super().require_valid(schedule)
        types = get_table(TABLE).entries["type"].choices or {}
        if unknown := sorted(split_names(schedule.get("change_types")) - set(types)):
            message = f"{unknown[0]!r} is not a type of changes. Enter some of {', '.join(types)}, or nothing for all."
            raise InputInvalid({"change_types": [message]})
        condition = parse_condition(schedule.get("condition") or "")
        if computed := [name for name in condition.fields if name in COMPUTED]:
            message = f"{computed[0]} is not a field of a change. A freeze depends on fields only."
            raise InputInvalid({"condition": [message]})


class SpanRules(Rules):
    """Rules of cmn_schedule_span: a span is an edit of its schedule."""

    def before_lock(self, sys_id: str) -> None:
        """Lock the schedule first."""
        if span := _SCHEDULE_OF.first({"span": sys_id}):
            _LOCKED.first({"schedule": span.schedule})

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid span, and too many of them."""
        _require_valid_span(values)
        if values.get("schedule"):
            _LOCKED.first({"schedule": values["schedule"]})
        new_revision()
        _require_few_spans(values)

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Raise the version of the schedule."""
        _follow(values["schedule"])
        return None

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an invalid span, and to move a span to another schedule."""
        if "schedule" in changes:
            raise InputInvalid({"schedule": ["A span stays with its schedule. Add a span to the other one instead."]})
        after = {**record, **changes}
        _require_valid_span(after)
        changes |= {name: after[name] for name in changes}
        new_revision()
        if record["repeat_type"] == NEVER:
            _require_few_spans(after)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Raise the version of the schedule."""
        _follow(record["schedule"])
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Let moves that depend on the schedule come first."""
        new_revision()

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Raise the version of the schedule."""
        _follow(record["schedule"])


def _follow(schedule: str) -> None:
    _RAISE_VERSION.execute({"of_schedule": schedule})
    hasten(RELEASE)


def _require_few_spans(span: Mapping[str, Any]) -> None:
    """Refuse more spans than one request can evaluate. Edits take turns, so the count cannot change meanwhile."""
    counted = select(func.count(_SPANS.c["sys_id"]))
    most, kind = MOST_SPANS, "spans"
    if span.get("repeat_type", NEVER) != NEVER:
        counted = counted.where(_SPANS.c["repeat_type"] != NEVER)
        most, kind = MOST_REPEATING, "repeating spans"
    if connection().execute(counted).scalar_one() >= most:
        raise OperationFailed(f"All schedules together can have {most} {kind}. Delete spans that are over")


def _require_valid_span(span: Values) -> None:
    """Refuse a span that is empty or overlaps with its own repetition; store its times in one format."""
    for name in ("start_date_time", "end_date_time"):
        if span.get(name):
            span[name] = _canonical(name, span[name])
    if not span.get("start_date_time") or not span.get("end_date_time"):
        return  # refused as mandatory
    if set(span.get("days_of_week") or "") - set("1234567"):
        raise InputInvalid({"days_of_week": ["Enter digits from 1 for Monday to 7 for Sunday, such as 12345."]})
    if not 1 <= span.get("repeat_count", 1) <= MOST_REPEAT_COUNT:
        raise InputInvalid({"repeat_count": [f"Enter a number from 1 to {MOST_REPEAT_COUNT}."]})
    parsed = parse_span(span)
    if parsed.ends <= parsed.starts:
        raise InputInvalid({"end_date_time": ["The end must be after the start. It is the first time outside of it."]})
    if parsed.repetition is not None:
        _require_valid_repetition(parsed.repetition, parsed.starts.date(), parsed.ends - parsed.starts)


def _require_valid_repetition(repetition: Repetition, first: date, length: timedelta) -> None:
    longest = LONGEST[repetition.kind]
    if length > longest:
        message = (
            f"A span that repeats {repetition.kind} can last {longest.days} days. Shorten it, or do not repeat it."
        )
        raise InputInvalid({"end_date_time": [message]})
    if repetition.until is not None and repetition.until < first:
        raise InputInvalid({"repeat_until": ["The last date must not be before the first one."]})


def _canonical(name: str, text: str) -> str:
    try:
        at = parse_wall_clock(text.strip())
    except ValueError:
        raise InputInvalid({name: [f"{text[:40]!r} is not a time. {WALL_CLOCK}"]}) from None
    if at.tzinfo is not None or len(text.strip()) < len("2026-12-24 22:00"):
        raise InputInvalid({name: [WALL_CLOCK]})
    if not EARLIEST.year <= at.year < LATEST.year:
        raise InputInvalid({name: [f"Enter a year from {EARLIEST.year} to {LATEST.year - 1}."]})
    return f"{at.replace(microsecond=0):%Y-%m-%d %H:%M:%S}"
