"""Conditions on how many related records there are, on both databases."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import insert

from changegate.database import connection
from changegate.errors import RequestUnreadable
from changegate.models import ChangeRequest, ChangeTask, SysapprovalApprover
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from tests.support.change_rows import USERS, insert_rows
from tests.support.queries import ROOT, find

ANN = Caller("a" * 32, "ann", Permissions(frozenset()))
ITIL = Caller("0" * 32, "desk", Permissions(frozenset({"itil"})))
IDS = {name: str(at) * 32 for at, name in enumerate(("none", "one", "three"), start=1)}


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    """Three changes: with no task, with one, and with three of which one is closed."""
    with either_app.app_context():
        insert_rows()
        common = {"state": 1, "sys_class_name": "change_request", "requested_by": ANN.sys_id, "type": "emergency"}
        changes = [{**common, "sys_id": IDS[name], "number": name, "short_description": name} for name in IDS]
        owners = [("one", 1, "a"), ("three", 1, "a"), ("three", 2, "b"), ("three", 3, "b")]
        tasks = [
            {
                "number": f"T{at}",
                "sys_class_name": "change_task",
                "change_request": IDS[name],
                "state": state,
                "assigned_to": letter * 32,
            }
            for at, (name, state, letter) in enumerate(owners)
        ]
        approvals = [{"sysapproval": IDS["one"], "approver": user["sys_id"], "state": "requested"} for user in USERS]
        connection().execute(insert(ChangeRequest.__table__), changes)
        connection().execute(insert(ChangeTask.__table__), tasks)
        connection().execute(insert(SysapprovalApprover.__table__), approvals)
        yield


def names(text: str, caller: Caller = ROOT) -> set[str]:
    return {str(name) for name in find(f"type=emergency^{text}", caller, shown="number")}


COUNTS: dict[str, set[str]] = {
    "RLQUERYchange_task.change_request,>=1^ENDRLQUERY": {"one", "three"},
    "RLQUERYchange_task.change_request,>=1,m2m^ENDRLQUERY": {"one", "three"},
    "RLQUERYchange_task.change_request,=0^ENDRLQUERY": {"none"},
    "RLQUERYchange_task.change_request,!=3^ENDRLQUERY": {"none", "one"},
    "RLQUERYchange_task.change_request,>1^ENDRLQUERY": {"three"},
    "RLQUERYchange_task.change_request,<2^ENDRLQUERY": {"none", "one"},
    "RLQUERYchange_task.change_request,>=1^state=3^ENDRLQUERY": {"three"},
    "RLQUERYchange_task.change_request,=1^state=1^ENDRLQUERY": {"one", "three"},
    "RLQUERYchange_task.change_request,>=1^state=2^ORstate=3^assigned_to.user_name=bob^ENDRLQUERY": {"three"},
    "RLQUERYchange_task.change_request,>=1^assigned_to=cy.lee^ENDRLQUERY": set(),
    "RLQUERYchange_task.change_request,>=1^assigned_toLIKEann^ENDRLQUERY^short_description=one": {"one"},
    "number=ONE^ORRLQUERYchange_task.change_request,=3^ENDRLQUERY": {"three"},
    "RLQUERYsysapproval_approver.sysapproval,>=1^state=requested^ENDRLQUERY": {"one"},
    "RLQUERYsysapproval_approver.sysapproval,=0^ENDRLQUERY^RLQUERYtask.parent,=0^ENDRLQUERY": {"none", "three"},
    "RLQUERYtask.parent,=0^RLQUERYtask.parent,=0^ENDRLQUERY^ENDRLQUERY": {"none", "one", "three"},
}
REFER_ELSEWHERE = (
    "RLQUERYchange_task.assigned_to,=0^ENDRLQUERY",
    "RLQUERYchange_task.nonsense,=0^ENDRLQUERY",
    "RLQUERYnonsense.change_request,=0^ENDRLQUERY",
    "RLQUERYsys_user.manager,=0^ENDRLQUERY",
)


def test_counts_related_records() -> None:
    assert {text: names(text) for text in COUNTS} == COUNTS


JOINS: dict[str, set[str]] = {
    "JOINchange_request.sys_id=change_task.change_request!": {"one", "three"},
    "JOINtask.sys_id=change_task.change_request!": {"one", "three"},
    "JOINchange_request.sys_id=change_task.change_request!state=3": {"three"},
    "JOINchange_request.sys_id=change_task.change_request!assigned_to.user_name=ann": {"one", "three"},
    "JOINchange_request.sys_id=change_task.change_request!state=9": set(),
    "JOINchange_request.requested_by=sys_user.sys_id!user_name=ann": {"none", "one", "three"},
    "JOINchange_request.requested_by=sys_user.sys_id!user_name=bob": set(),
    "short_description=none^ORJOINchange_request.sys_id=change_task.change_request!state=3": {"none", "three"},
    "JOINchange_request.sys_id=change_task.change_request!^short_description=one^ORDERBYnumber": {"one"},
}
MALFORMED = (
    *("RLQUERY", "RLQUERYchange_task,>=1^ENDRLQUERY", "RLQUERYchange_task.change_request,>=many^ENDRLQUERY"),
    *("number=one^ORRLQUERYnonsense^ENDRLQUERY", "number=one^NQRLQUERYnonsense", "ORRLQUERYnonsense"),
    *(
        "JOIN",
        "JOINchange_task",
        "JOINchange_request.sys_id=change_task.change_request",
        "number=one^ORJOINx",
        "NQJOINx",
    ),
    "JOINchange_request.sys_id=change_task.change_request!nonsense",
    "JOINCHANGE_REQUEST.SYS_ID=change_task.change_request!",
    "^".join(["RLQUERYtask.parent,=0"] * 5 + ["ENDRLQUERY"] * 5),
    "RLQUERYchange_task.change_request,>=1^RLQUERYnonsense^ENDRLQUERY^ENDRLQUERY",
)
JOINS_NOTHING = (
    *("JOINsys_user.sys_id=change_task.change_request!", "JOINnonsense.sys_id=change_task.change_request!"),
    *("JOINchange_request.sys_id=nonsense.change_request!", "JOINchange_request.sys_id=change_task.nonsense!"),
    *("JOINchange_request.state=change_task.state!", "JOINchange_request.nonsense=change_task.sys_id!"),
    "JOINchange_request.requested_by=sys_user.user_password!",
)


def test_finds_records_that_share_a_value_with_another() -> None:
    assert {text: names(text) for text in JOINS} == JOINS


@pytest.mark.parametrize("text", [*REFER_ELSEWHERE, *MALFORMED, *JOINS_NOTHING])
def test_refuses_a_condition_on_other_records_that_makes_no_sense(text: str) -> None:
    with pytest.raises(RequestUnreadable):
        find(text)


def test_joins_only_what_the_caller_may_see() -> None:
    joined = "JOINtask.sys_id=sysapproval_approver.sysapproval!state=requested"
    assert names(joined, ITIL) == names(joined, ANN) == {"one"}
    connection().execute(SysapprovalApprover.__table__.delete().where(SysapprovalApprover.approver == ANN.sys_id))
    connection().execute(ChangeRequest.__table__.update().values(requested_by=ANN.sys_id, opened_by=None))
    assert names(joined, ITIL) == {"one"}


def test_counts_only_what_the_caller_may_see() -> None:
    counted = "RLQUERYsysapproval_approver.sysapproval,=3^ENDRLQUERY"
    assert names(counted, ITIL) == names(counted, ANN) == {"one"}
    connection().execute(ChangeRequest.__table__.update().values(requested_by=None, opened_by=None))
    assert names(counted, ITIL) == {"one"}
    assert find("RLQUERYsysapproval_approver.sysapproval,=0^ENDRLQUERY", ANN, "task") == []
    users = find("RLQUERYsysapproval_approver.approver,>=1^ENDRLQUERY", ANN, "sys_user", shown="user_name")
    assert users == ["ann"]


def test_dot_walks_within_and_around_a_related_list_are_separate() -> None:
    inner = "RLQUERYchange_task.change_request,>=1^assigned_to.user_name=bob^ENDRLQUERY"
    assert names(f"requested_by.user_name=ann^{inner}^requested_by.active=true") == {"three"}
    assert names(f"requested_by.user_name=bob^{inner}") == set()
    assert names(f"requested_by.user_name=ann^{inner}", ANN) == {"three"}
