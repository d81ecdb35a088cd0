"""Tables of schedules: freezes, maintenance windows, and their spans."""

from functools import partial

from changegate.models import (
    ChgFreezeOverride,
    CmnSchedule,
    CmnScheduleBlackout,
    CmnScheduleMaintenance,
    CmnScheduleSpan,
)
from changegate.services.catalog.access import CHANGE_READERS, READ_BY_ANYONE, REFERENCE_DATA, rows_of_own_tasks
from changegate.services.history.recorded_rules import recorded
from changegate.services.process.freeze_override_rules import FreezeOverrideRules
from changegate.services.schedules.row_rules import BlackoutRules, ScheduleRules, SpanRules
from changegate.services.tables.registry import ANYONE, Access, Table

_recorded = partial(recorded, subject_table="cmn_schedule", recorded_as="schedule_edited")
PARTS = (("cmn_schedule_span", "schedule"),)
_schedule = partial(
    Table,
    display_field="name",
    access=REFERENCE_DATA,
    extends="cmn_schedule",
    blank_fields=("sys_tags",),
    is_closed_to_tokens=True,
)

SCHEDULE_TABLES = (
    # Read only: each class of schedules has rules of its own, and is written through its own table.
    Table("cmn_schedule", "Schedule", CmnSchedule, "name", READ_BY_ANYONE, blank_fields=("sys_tags",)),
    _schedule(
        name="cmn_schedule_blackout",
        label="Blackout Schedule",
        model=CmnScheduleBlackout,
        parts=(*PARTS, ("chg_freeze_override", "freeze")),
        rules=_recorded(BlackoutRules, "cmn_schedule_blackout"),
        classes=("cmn_schedule_blackout",),
    ),
    _schedule(
        name="cmn_schedule_maintenance",
        label="Maintenance Schedule",
        model=CmnScheduleMaintenance,
        parts=PARTS,
        rules=_recorded(ScheduleRules, "cmn_schedule_maintenance"),
        classes=("cmn_schedule_maintenance",),
    ),
    Table(
        name="cmn_schedule_span",
        label="Schedule Entry",
        model=CmnScheduleSpan,
        display_field="name",
        access=REFERENCE_DATA,
        rules=_recorded(SpanRules, "cmn_schedule_span", subject_of=lambda _, span: span["schedule"]),
        blank_fields=("sys_tags",),
        is_closed_to_tokens=True,
    ),
    # `FreezeOverrideRules` refuses callers without the role that the freeze names. Nobody edits what was decided.
    Table(
        name="chg_freeze_override",
        label="Freeze Override",
        model=ChgFreezeOverride,
        display_field="sys_id",
        access=Access(read=ANYONE, create=ANYONE),
        rules=FreezeOverrideRules(),
        write_limit="A freeze names the role that may override it.",
        own_rows=rows_of_own_tasks("change_request"),
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
        is_closed_to_tokens=True,
    ),
)
