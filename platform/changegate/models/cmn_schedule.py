"""Schedules: freezes and maintenance windows, their spans, and the overrides of freezes."""

from datetime import UTC, date, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import (
    SYS_ID_LENGTH,
    Record,
    boolean,
    choice,
    day,
    glide_list,
    integer,
    reference,
    string,
    text,
)

# The time in which schedules are evaluated: no time zone leads out of the calendar there.
EARLIEST, LATEST = datetime(1971, 1, 1, tzinfo=UTC), datetime(2500, 1, 1, tzinfo=UTC)
WINDOW_HOURS = 168
SCHEDULE_CLASSES = {
    "cmn_schedule": "Schedule",
    "cmn_schedule_blackout": "Blackout Schedule",
    "cmn_schedule_maintenance": "Maintenance Schedule",
}
ENFORCEMENTS = {"hard": "Hard", "soft": "Soft"}
SPAN_TYPES = {"include": "Included", "exclude": "Excluded"}
REPEAT_TYPES = {
    "never": "Does not repeat",
    "daily": "Daily",
    "weekly": "Weekly",
    "monthly": "Monthly",
    "yearly": "Yearly",
}
MONTHLY_TYPES = {
    "dom": "Day of the month",
    "ldom": "Last day of the month",
    "dow": "Weekday of the month",
    "ldow": "Last weekday of the month",
}


class CmnSchedule(Record, Base):
    """A schedule of any class: wall-clock spans in a time zone. `version` counts its edits and those of its spans."""

    __tablename__ = "cmn_schedule"
    __mapper_args__ = {"polymorphic_on": "sys_class_name", "polymorphic_identity": "cmn_schedule"}

    name: Mapped[str] = string("Name", 100, unique=True)
    sys_class_name: Mapped[str] = choice("Class", SCHEDULE_CLASSES, is_read_only=True)
    description: Mapped[str | None] = text("Description", 1000)
    time_zone: Mapped[str] = string("Time zone", 40, example="Europe/Berlin")
    active: Mapped[bool] = boolean("Active", default=True)
    version: Mapped[int] = integer("Version", is_read_only=True, default=1)


class CmnScheduleBlackout(CmnSchedule):
    """A freeze. It covers the changes that match all of its filled lists and its condition."""

    __mapper_args__ = {"polymorphic_identity": "cmn_schedule_blackout"}

    enforcement: Mapped[str | None] = choice("Enforcement", ENFORCEMENTS, default="hard")
    override_role: Mapped[str | None] = reference("Override role", "sys_user_role", ondelete="RESTRICT")
    configuration_items: Mapped[str | None] = glide_list("Configuration items and services", "cmdb_ci")
    assignment_groups: Mapped[str | None] = glide_list("Assignment groups", "sys_user_group")
    environments: Mapped[str | None] = string("Environments", 1000, example="production,staging")
    change_types: Mapped[str | None] = string("Types", 100, example="normal,standard")
    condition: Mapped[str | None] = text("Condition")


class CmnScheduleMaintenance(CmnSchedule):
    """The maintenance windows of the configuration items that refer to it."""

    __mapper_args__ = {"polymorphic_identity": "cmn_schedule_maintenance"}


class CmnScheduleSpan(Record, Base):
    """A span of a schedule, by the wall clock of its time zone; `end_date_time` is the first time outside of it."""

    __tablename__ = "cmn_schedule_span"

    schedule: Mapped[str] = reference("Schedule", "cmn_schedule", ondelete="CASCADE", index=True)
    name: Mapped[str | None] = string("Name", 100)
    type: Mapped[str] = choice("Type", SPAN_TYPES, default="include")
    start_date_time: Mapped[str] = string("Start", 40, example="2030-12-21 00:00:00")
    end_date_time: Mapped[str] = string("End", 40, example="2031-01-02 00:00:00")
    repeat_type: Mapped[str] = choice("Repeats", REPEAT_TYPES, default="never")
    repeat_count: Mapped[int] = integer("Repeat every", default=1)
    days_of_week: Mapped[str | None] = string("Days of the week", 7)
    monthly_type: Mapped[str | None] = choice("Monthly type", MONTHLY_TYPES)
    repeat_until: Mapped[date | None] = day("Repeat until")


class ChgFreezeOverride(Record, Base):
    """A freeze that does not apply to a change, by whom, and why.

    It holds while the change has the content, and the freeze the version, for which the reason was given.
    """

    __tablename__ = "chg_freeze_override"

    change_request: Mapped[str] = reference(
        "Change", "change_request", stored_in="task", ondelete="CASCADE", index=True
    )
    freeze: Mapped[str] = reference("Freeze", "cmn_schedule_blackout", stored_in="cmn_schedule", ondelete="CASCADE")
    reason: Mapped[str] = text("Reason", 1000)
    overridden_by: Mapped[str | None] = reference("Overridden by", "sys_user", is_read_only=True)
    freeze_version: Mapped[int] = integer("Version of the freeze", is_read_only=True, default=0)
    content_hash: Mapped[str | None] = string("Content hash", 64, is_read_only=True)


class CmnScheduleRevision(Base):
    """One row, which every write of a schedule changes: its random value names the state of all schedules."""

    __tablename__ = "cmn_schedule_revision"

    sys_id: Mapped[str] = mapped_column(String(SYS_ID_LENGTH), primary_key=True)
    revision: Mapped[str] = mapped_column(String(SYS_ID_LENGTH))
