"""The whole life of a change, and what its history proves."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.models import ChgHistory, SysapprovalApprover, SysUserGroup, Task
from changegate.seed import seed_demo
from changegate.services.access.caller import Caller
from changegate.services.evidence.verification import verify
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.conftest import ADMIN_PASSWORD
from tests.services.approvals.asked_changes import add, add_group, add_people
from tests.support.people import ROOT, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
DONE = {"close_code": "successful", "close_notes": "done"}


def write(table: str, caller: Caller, sys_id: str, **sent: Any) -> None:
    update_record(get_table(table), caller, sys_id, sent)
    commit()


def answer(change: str, caller: Caller) -> None:
    approvals = SysapprovalApprover.__table__.c
    open_one = select(approvals.sys_id).where(
        approvals.sysapproval == change, approvals.approver == caller.sys_id, approvals.state == "requested"
    )
    sys_id = connection().execute(open_one).scalar_one()
    write("sysapproval_approver", caller, sys_id, state="approved")


def close_tasks(change: str, caller: Caller) -> None:
    tasks = Task.__table__.c
    open_ones = select(tasks.sys_id).where(tasks.change_request == change, tasks.active)
    for sys_id in connection().execute(open_ones).scalars().all():
        write("change_task", caller, sys_id, state=3, **DONE)


def state_of(change: str) -> int:
    return int(connection().execute(select(Task.state).where(Task.sys_id == change)).scalar_one())


def steps(change: str) -> list[tuple[str, str, Any]]:
    """Return kind, user, and what was reached of every entry."""
    rows = connection().execute(
        select(ChgHistory.kind, ChgHistory.sys_created_by, ChgHistory.facts)
        .where(ChgHistory.subject_id == change)
        .order_by(ChgHistory.seq)
    )
    found = []
    for kind, user, text in rows:
        facts = json.loads(text)
        reached = facts.get("changes", {}).get("state", [None, None])[1]
        found.append((kind, user, reached or facts.get("outcome") or facts.get("state")))
    return found


def test_the_history_of_a_whole_life_is_complete_and_stays() -> None:
    people = add_people("ann", "bob", "eve")
    ann, bob, eve = caller_for(people["ann"], "itil"), caller_for(people["bob"]), caller_for(people["eve"])
    group = add_group("Network", people["bob"])
    cab = connection().execute(select(SysUserGroup.sys_id).where(SysUserGroup.name == "CAB Approval")).scalar_one()
    add("sys_user_grmember", user=people["eve"], group=cab)
    commit()

    change = str(create_record(get_table("change_request"), ann, {"assignment_group": group, "risk": "3"})["sys_id"])
    commit()
    write("change_request", ann, change, state=-4)
    answer(change, bob)
    answer(change, eve)
    assert state_of(change) == -2
    write("change_request", ann, change, state=-1)
    write("change_request", ann, change, backout_plan="Another one")
    close_tasks(change, ann)
    assert state_of(change) == 0
    write("change_request", ann, change, state=3, **DONE)

    assert steps(change) == [
        ("created", "ann", "-5"),
        ("moved", "ann", "-4"),
        ("requested", "ann", "requested"),
        ("answered", "bob", "approved"),
        ("decided", "bob", "approved"),
        ("moved", "bob", "-3"),
        ("requested", "bob", "requested"),
        ("answered", "eve", "approved"),
        ("decided", "eve", "approved"),
        ("moved", "eve", "-2"),
        ("moved", "ann", "-1"),
        ("deviated", "ann", None),
        ("task_moved", "ann", None),
        ("task_moved", "ann", None),
        ("moved", "ann", "0"),
        ("decided", "ann", "cancelled"),
        ("moved", "ann", "3"),
    ]
    report = verify()
    assert (report.observations, report.is_clean) == ([], True)

    delete_record(get_table("change_request"), ROOT, change)
    commit()
    assert [kind for kind, _, _ in steps(change)][-3:] == ["deleted"] * 3
    assert verify().observations == []


def test_the_approval_of_a_manager_who_approved_in_assess_is_recorded_as_accepted() -> None:
    people = add_people("ann", "bob")
    ann, bob = caller_for(people["ann"], "itil"), caller_for(people["bob"])
    group = add_group("Network", people["bob"], manager=people["bob"])
    change = str(create_record(get_table("change_request"), ann, {"assignment_group": group, "risk": "4"})["sys_id"])
    write("change_request", ann, change, state=-4)
    answer(change, bob)
    assert state_of(change) == -2
    kinds = [kind for kind, _, _ in steps(change)]
    assert kinds[4:] == ["decided", "moved", "requested", "accepted", "decided", "moved"]
    assert verify().observations == []


def test_the_demo_has_histories_in_order() -> None:
    seed_demo(admin_password=ADMIN_PASSWORD)
    commit()
    # The demo imports changes in every state.
    assert {each.code for each in verify().observations} == {"approval_imported"}
