"""The demo's changes in every state, with their tasks, approvals, and items."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from sqlalchemy import update

from changegate.database import connection
from changegate.extensions import now
from changegate.models import SysapprovalApprover, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.users.accounts import get_user

WORK: tuple[tuple[str, str, str, str], ...] = (
    ("Replace the power supply of", "edge-router-01", "Network", "Hardware"),
    ("Open port 8443 on", "core-switch-02", "Network", "Network"),
    ("Upgrade the firmware of", "core-switch-02", "Network", "Network"),
    ("Add an index to the orders table of", "orders-db", "Database", "Software"),
    ("Move the nightly backup window of", "customers-db", "Database", "Service"),
    ("Fail over and patch", "orders-db", "Database", "System Software"),
    ("Deploy the new basket of", "checkout", "Web Platform", "Application Software"),
    ("Renew the certificate of", "storefront", "Web Platform", "Software"),
    ("Raise the memory limit of", "payments", "Web Platform", "Service"),
    ("Retire the old kernel on", "web-fra-07", "Web Platform", "System Software"),
)
# State, type, and risk of changes in progress, closed, and canceled.
STATES: tuple[tuple[int, str, int], ...] = (
    (-5, "normal", 4),
    (-4, "normal", 3),
    (-3, "normal", 2),
    (-2, "standard", 4),
    (-1, "emergency", 2),
    (0, "normal", 3),
    (3, "standard", 4),
    (3, "normal", 3),
    (4, "normal", 4),
)
# Review and Closed: their planned windows are in the past.
OVER = frozenset({0, 3})
PRIORITIES = (4, 3, 4, 2, 4, 3, 4, 4, 1, 3)
CHANGES = 36
MARK = "demo"
APPROVALS = {-5: "not requested", -4: "requested", -3: "requested", 4: "cancelled"}
# Answers to earlier requests; the policies ask for those that are still open.
ANSWERED = frozenset({"approved", "cancelled"})
CLOSED = {"close_code": "successful", "close_notes": "Done as planned."}
FAILED = {"close_code": "unsuccessful", "close_notes": "Rolled back: the check afterward failed."}
# The change that failed, those that a user without a role requested, and those that overlap the change before.
FAILURE = 16
REQUESTED = frozenset({18, 28, 30})
AT_ONCE = frozenset({2, 12})
UNASSIGNED, WATCHED = (9, 27), (4, 13, 21, 31)
# The hours between two changes, and those from the creation of a change that is over to its start, end, and closure.
APART, STARTED, ENDED, CLOSED_AFTER = 7, 2, 4, 5
QUESTION = "Does this time suit you?"
# The states of the two tasks of a change, by its state.
TASK_STATES = {-1: (2, 1), 0: (3, 2), 3: (3, 3), 4: (4, 4)}
TASKS = (("implementation", "Implement"), ("testing", "Post implementation testing"))


def seed_changes(*, people: Sequence[str], template: str, approver: str, requester: str) -> None:
    """Add the changes, opened by `people` in turn; standard changes are created from the template.

    Some of them were requested by `requester`, and some are planned at the same time as another one of the same item.
    """
    states, names = cycle(STATES), cycle(people)
    # Not all of what people open is theirs to do.
    assignees = {index: people[(index + 1) % len(people)] for index in range(0, CHANGES, 4)}
    assignees |= dict.fromkeys(UNASSIGNED, "")
    watchers = {index: get_user(people[index % len(people) - 1]).sys_id for index in WATCHED}
    for index in range(CHANGES):
        state, change_type, risk = next(states)
        user_name = next(names)
        caller = Caller(get_user(user_name).sys_id, user_name, Permissions(frozenset({"admin"})))
        age = APART * (CHANGES - index)
        values = _change(index) | {"state": state, "type": change_type, "risk": risk}
        values |= window(now() - timedelta(hours=age - STARTED)) if state in OVER else {}
        values |= {"approval": APPROVALS.get(state, "approved")}
        values |= {"std_change_producer_version": template} if change_type == "standard" else {}
        values |= {"requested_by": requester, "comments": QUESTION} if index in REQUESTED else {}
        values |= {"assigned_to": assignees.get(index, user_name), "watch_list": watchers.get(index, "")}
        values |= (FAILED if index == FAILURE else CLOSED) if state == 3 else {}
        change = create_record(get_table("change_request"), caller, values)
        _seed_tasks(change, caller)
        if change["approval"] in ANSWERED and change_type != "standard":
            _add(
                "sysapproval_approver",
                caller,
                sysapproval=change["sys_id"],
                approver=approver,
                state=change["approval"],
            )
        _add("task_ci", caller, task=change["sys_id"], ci_item=change["cmdb_ci"])
        date_back(change["sys_id"], hours=age, is_closed=state == 3)


def _change(index: int) -> dict[str, Any]:
    work, ci, group, category = WORK[index % len(WORK)]
    at = index - 1 if index in AT_ONCE else index
    start = now() + timedelta(days=at % 12, hours=at % 5)
    return {
        "short_description": f"{work} {ci}",
        "description": f"{work} {ci}, with a check before and after, and a way back.",
        "category": category,
        "cmdb_ci": ci,
        "assignment_group": group,
        "priority": PRIORITIES[index % len(PRIORITIES)],
        "correlation_display": MARK,
        "work_notes": f"{ci} is ours; the window is agreed with its users.",
        **window(start),
    }


def window(start: datetime) -> dict[str, str]:
    """Return the planned window of a change that begins in the hour of a time."""
    return {
        "start_date": f"{start:%Y-%m-%d %H:00:00}",
        "end_date": f"{start + timedelta(hours=ENDED - STARTED):%Y-%m-%d %H:00:00}",
    }


def _seed_tasks(change: Any, caller: Caller) -> None:
    for (task_type, title), state in zip(TASKS, TASK_STATES.get(change["state"], ()), strict=False):
        values = {
            "change_request": change["sys_id"],
            "change_task_type": task_type,
            "created_from": "workflow",
            "short_description": title,
            "state": state,
            "assignment_group": change["assignment_group"],
            "assigned_to": change["assigned_to"],
            "cmdb_ci": change["cmdb_ci"],
        }
        _add("change_task", caller, **values | (CLOSED if state == 3 else {}))


def _add(table: str, caller: Caller, **values: Any) -> None:
    create_record(get_table(table), caller, values)


def date_back(sys_id: str, *, hours: int, is_closed: bool, **fields: Any) -> None:
    """Set the times of a change back, and further columns."""
    opened = now() - timedelta(hours=hours)
    stamps = {"sys_created_on": opened, "sys_updated_on": opened, "opened_at": opened}
    stamps |= {"closed_at": opened + timedelta(hours=CLOSED_AFTER)} if is_closed else {}
    stamps |= fields
    connection().execute(update(Task).where(Task.sys_id == sys_id).values(stamps))
    asked = update(SysapprovalApprover).where(SysapprovalApprover.sysapproval == sys_id)
    connection().execute(asked.values(sys_created_on=opened))
