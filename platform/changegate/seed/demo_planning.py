"""What the demo's changes are planned around: items that depend on each other, a freeze, and maintenance windows."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from changegate.extensions import now
from changegate.services.access.caller import SYSTEM_CALLER, as_process
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record

# Each item with those that it depends on.
DEPENDS_ON: Mapping[str, tuple[str, ...]] = {
    "payments": ("checkout",),
    "checkout": ("orders-db", "web-fra-07"),
    "storefront": ("customers-db", "web-fra-07"),
    "core-switch-02": ("edge-router-01",),
}
ZONE = "Europe/Berlin"
FREEZE = {
    "name": "Clearance sale",
    "description": "Nothing that customers pay with is changed during the sale.",
    "configuration_items": "payments",
}
# Days from the first start of the demo to the first day of the freeze, and to the day after it.
FREEZE_BEGINS, FREEZE_ENDS = 5, 8
WINDOWS = {"name": "Nights of the databases", "description": "Fewest orders come in."}
OFFERED = {
    "name": "Restart a web server",
    "description": "One server at a time leaves the load balancer, restarts, and comes back.",
    "template": "short_description=Restart a web server^category=Software^risk=4^impact=3^assignment_group={group}"
    "^implementation_plan=1. Take the server out of the load balancer.\n2. Restart it.\n3. Put it back.^EQ",
    "mandatory_fields": "cmdb_ci,start_date",
    "offered_to_all": "true",
}


def seed_planning(items: Mapping[str, str], group: str) -> None:
    """Add the relationships of items by name, their schedules, and a template of a group that is offered to all."""
    for parent, children in DEPENDS_ON.items():
        for child in children:
            _create("cmdb_rel_ci", parent=items[parent], child=items[child])
    begins, ends = (f"{now() + timedelta(days=days):%Y-%m-%d} 00:00:00" for days in (FREEZE_BEGINS, FREEZE_ENDS))
    freeze = _create("cmn_schedule_blackout", **FREEZE, time_zone=ZONE)
    _create("cmn_schedule_span", schedule=freeze, name="Sale", start_date_time=begins, end_date_time=ends)
    windows = _create("cmn_schedule_maintenance", **WINDOWS, time_zone=ZONE)
    night = {"start_date_time": "2026-01-01 22:00:00", "end_date_time": "2026-01-02 04:00:00", "repeat_type": "daily"}
    _create("cmn_schedule_span", schedule=windows, name="Every night", **night)
    for name in ("orders-db", "customers-db"):
        update_record(get_table("cmdb_ci"), as_process(SYSTEM_CALLER), items[name], {"maintenance_schedule": windows})
    _create("std_change_record_producer", **{**OFFERED, "template": OFFERED["template"].format(group=group)})


def _create(table: str, **fields: Any) -> str:
    caller = as_process(SYSTEM_CALLER)
    return str(create_record(get_table(table), caller, fields, input_display_value=True)["sys_id"])
