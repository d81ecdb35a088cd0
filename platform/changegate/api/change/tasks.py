"""Tasks of a change."""

from flask import Response

from changegate.api.auth import require_scope
from changegate.api.change import calls
from changegate.api.change.calls import CHANGE, REST_API, TASK, bp
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.encoded_query import Condition
from changegate.services.tables.registry import Table, get_table

PARENT = "change_request"


@bp.get("/change/<sys_id>/task")
def list_tasks_view(sys_id: str) -> Response:
    """Return a page of the tasks of a change."""
    table, who = _task_call(sys_id)
    return calls.list_records(table, who, Condition(PARENT, "=", sys_id), order="number")


@bp.post("/change/<sys_id>/task")
def create_task_view(sys_id: str) -> Response:
    """Create a task of a change."""
    table, who = _task_call(sys_id)
    return calls.create(table, who, {PARENT: sys_id})


@bp.patch("/change/<sys_id>/task/<task_sys_id>")
def update_task_view(sys_id: str, task_sys_id: str) -> Response:
    """Change fields of a task."""
    table, who = _task_call(sys_id)
    calls.require_record(table, who, task_sys_id, change_request=sys_id)
    return calls.update(table, who, task_sys_id)


@bp.delete("/change/<sys_id>/task/<task_sys_id>")
def delete_task_view(sys_id: str, task_sys_id: str) -> Response:
    """Delete a task."""
    table, who = _task_call(sys_id)
    calls.require_record(table, who, task_sys_id, change_request=sys_id)
    return calls.delete(table, who, task_sys_id)


def _task_call(sys_id: str) -> tuple[Table, Caller]:
    """Return the table of tasks, and the caller with the limits of this call.

    Raises `ScopeMissing`, and `RecordNotFound` if the caller may not see the change within these limits.
    """
    who = require_scope(REST_API, TASK)
    calls.require_record(get_table(CHANGE), who, sys_id)
    return get_table(TASK), who
