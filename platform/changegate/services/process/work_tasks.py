"""The tasks of a change that its moves create and cancel, and that follow its holds."""

from collections.abc import Mapping
from typing import Any

from changegate.services.access.caller import Caller, as_process
from changegate.services.process.changes import WORKFLOW, lock_active_tasks, tasks_table
from changegate.services.process.lifecycle import CANCELED, follow_state
from changegate.services.process.recording import record_task_move
from changegate.services.tables.rules import Values
from changegate.services.tables.values import render_value
from changegate.services.tables.writing.records import create_record, write_changes

WORK = (("implementation", "Implement"), ("testing", "Post implementation testing"))
COPIED = ("assignment_group", "assigned_to", "cmdb_ci")
# The window of the change, in which its implementation is planned.
WINDOW = {"planned_start_date": "start_date", "planned_end_date": "end_date"}


def create_work_tasks(change: Mapping[str, Any], caller: Caller) -> None:
    """Create the two tasks of the implementation, unless such tasks are active already."""
    if any(task["created_from"] == WORKFLOW for task in lock_active_tasks(change["sys_id"])):
        return
    table = tasks_table()
    for task_type, title in WORK:
        values = {name: change[name] for name in COPIED if change[name]}
        if task_type == "implementation":
            # The engine parses what it is sent, so the times are rendered as on the wire.
            values |= {name: render_value(table.entries[name], change[of]) for name, of in WINDOW.items()}
        values |= {"change_request": change["sys_id"], "change_task_type": task_type, "short_description": title}
        create_record(table, as_process(caller), {**values, "created_from": WORKFLOW})


def cancel_workflow_tasks(change: Mapping[str, Any], caller: Caller) -> None:
    """Cancel the active tasks that the process created; those that were added by hand stay."""
    _cancel((task for task in lock_active_tasks(change["sys_id"]) if task["created_from"] == WORKFLOW), caller)


def cancel_tasks(change: Mapping[str, Any], caller: Caller) -> None:
    """Cancel all active tasks."""
    _cancel(lock_active_tasks(change["sys_id"]), caller)


def hold_tasks(change: Mapping[str, Any], caller: Caller) -> None:
    """Put the active tasks of a change on hold with it, for the same reason; those already on hold stay as they are."""
    for task in lock_active_tasks(change["sys_id"]):
        if not task["on_hold"] or task["is_held_by_change"]:
            held = {"on_hold": True, "on_hold_reason": change["on_hold_reason"], "is_held_by_change": True}
            write_changes(tasks_table(), task, held, caller)


def release_tasks(change: Mapping[str, Any], caller: Caller) -> None:
    """Release the tasks that were put on hold with their change; those that were held by hand stay on hold."""
    for task in lock_active_tasks(change["sys_id"]):
        if task["is_held_by_change"]:
            released = {"on_hold": False, "on_hold_reason": None, "is_held_by_change": False}
            write_changes(tasks_table(), task, released, caller)


def _cancel(tasks: Any, caller: Caller) -> None:
    for task in tasks:
        changes: Values = {"state": CANCELED}
        follow_state(task, changes, caller)
        record_task_move(task, changes, caller)
        write_changes(tasks_table(), task, changes, caller)
