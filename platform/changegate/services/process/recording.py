"""The history of a change: its creation, edits, and deletion, and those of its tasks (docs/history.md)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import SysUser, Task
from changegate.services.access.caller import Caller
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import Beginning, append, describe_beginning
from changegate.services.tables.values import render_value

CHANGE, TASK = "change_request", "change_task"
DELETED = "deleted"
# Fields that never change: the record, and who and what created it.
ORIGIN = (
    "number",
    "opened_by",
    "oauth_entity",
    "oauth_issuer",
    "oauth_subject",
    "source_repository",
    "source_ref",
    "source_commit",
    "source_workflow",
    "source_run",
    "source_actor",
    "source_environment",
)
# Fields that approvals depend on, and those that show how the change went.
RECORDED = (
    "short_description",
    "description",
    "state",
    "approval",
    "type",
    "chg_model",
    "risk",
    "requested_by",
    "assignment_group",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
    "change_plan",
    "risk_impact_analysis",
    "cmdb_ci",
    "business_service",
    "service_offering",
    "start_date",
    "end_date",
    "std_change_producer_version",
    "unauthorized",
    "on_hold",
    "close_code",
    "close_notes",
)
_TASKS = Task.__table__
_CREATION = Prepared(
    select(
        *(_TASKS.c[name] for name in (*ORIGIN, *RECORDED, "sys_created_on", "sys_created_by")),
        SysUser.sys_id.label("creator"),
    )
    .select_from(_TASKS.outerjoin(SysUser.__table__, SysUser.user_name == _TASKS.c.sys_created_by))
    .where(_TASKS.c.sys_id == parameter("sys_id"))
)


def subject_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return table and sys_id of the chain that records a change or task: a task is recorded with its change."""
    change = record.get("change_request") if record["sys_class_name"] == TASK else None
    return (CHANGE, change) if change else (record["sys_class_name"], record["sys_id"])


def record_deletion(record: Mapping[str, Any], caller: Caller) -> None:
    """Append the deletion of a change or task."""
    facts = rendered(record, ("number", "state", "approval"))
    if record["sys_class_name"] == TASK:
        facts[TASK] = record["sys_id"]
    append(*subject_of(record), DELETED, facts, actor_of(caller))


def rendered(record: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Return fields of a task that have a value, as the Table API shows them."""
    return {
        name: render_value(_TASKS.c[name].info["entry"], record[name]) for name in names if record[name] is not None
    }


def _describe(sys_id: str) -> Beginning | None:
    row = _CREATION.first({"sys_id": sys_id})
    if row is None:
        return None
    values = row._asdict()
    actor = {"user": row.creator, "user_name": row.sys_created_by}
    actor |= rendered(values, tuple(name for name in ORIGIN if name.startswith(("oauth_", "source_"))))
    return Beginning(rendered(values, (*ORIGIN, *RECORDED)), actor, row.sys_created_on)


for _table in (CHANGE, TASK):
    describe_beginning(_table, _describe)
