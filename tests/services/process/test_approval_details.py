"""The details of approvals, on both databases: what is asked, of whom, and what has changed since an answer."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from changegate.errors import RecordNotFound
from changegate.extensions import db, now
from changegate.models import SysapprovalApprover
from changegate.services.process.approval_details import get_details, list_waiting, list_waiting_for
from changegate.services.process.changes import find_change
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.services.approvals.asked_changes import (
    add,
    add_group,
    add_people,
    add_policy,
    answer,
    approvals_of,
    of_users,
)
from tests.support.people import ROOT, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")


@pytest.fixture
def people() -> dict[str, str]:
    return add_people("ann", "bob", "cid", "req")


@pytest.fixture
def change(people: dict[str, str]) -> str:
    """Return a change that waits for Ann and Bob."""
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"), name="Both")
    fields = {"requested_by": people["req"], "implementation_plan": "Plan A", "assignment_group": add_group("Network")}
    made = add("change_request", **fields)
    update_record(get_table("change_request"), ROOT, made, {"state": "-4"})
    return made


def waiting(user: str) -> list[str]:
    """Return the approvers of what waits for a user."""
    return [each["approver"] for each in list_waiting_for(caller_for(user), 10)]


def test_the_approver_sees_what_is_covered_and_who_else_is_asked(people: dict[str, str], change: str) -> None:
    [row] = approvals_of(change, approver=people["ann"])
    details = get_details(row["sys_id"], caller_for(people["ann"]))
    assert details.covered["implementation_plan"] == "Plan A"
    assert [other["approver"] for other in details.others] == [people["bob"]]
    assert (details.missing, details.refusal) == (2, None)
    with pytest.raises(RecordNotFound):
        get_details(row["sys_id"], caller_for(people["cid"]))


def test_earlier_answers_show_what_has_changed_since(people: dict[str, str], change: str) -> None:
    answer(change, caller_for(people["ann"]))
    update_record(get_table("change_request"), ROOT, change, {"implementation_plan": "Plan B"})
    [row] = approvals_of(change, approver=people["bob"])
    asked = get_details(row["sys_id"], caller_for(people["bob"])).asked
    assert asked is not None
    [earlier] = asked.answers
    assert earlier.row["answered_by"] == people["ann"]
    assert earlier.differences == ['Implementation plan changed from "Plan A" to "Plan B"']


def test_what_waits_for_a_user_contains_what_was_delegated(people: dict[str, str], change: str) -> None:
    assert (waiting(people["ann"]), waiting(people["cid"])) == ([people["ann"]], [])
    ends = f"{now() + timedelta(days=1):%Y-%m-%d %H:%M:%S}"
    add("sys_user_delegate", user=people["ann"], delegate=people["cid"], ends=ends)
    # An account that has asked for the change wrote it, so that it does not apply.
    assert waiting(people["cid"]) == []
    for user, fields in (("ann", {"ends": ends}), ("bob", {"approval": approvals_of(change)[1]["sys_id"]})):
        sent = {"delegate": people["cid"], **fields}
        create_record(get_table("sys_user_delegate"), caller_for(people[user]), sent)
    assert sorted(waiting(people["cid"])) == sorted([people["ann"], people["bob"]])
    found = find_change(change)
    assert found is not None
    assert len(list_waiting(found, caller_for(people["cid"]))) == 2


def test_what_waits_has_facts_of_its_change_the_newest_first(people: dict[str, str], change: str) -> None:
    fields = {"risk": "2", "start_date": "2050-01-01 10:00:00", "assignment_group": add_group("Servers")}
    later = add("change_request", requested_by=people["req"], **fields)
    update_record(get_table("change_request"), ROOT, later, {"state": "-4"})
    db.session.execute(
        update(SysapprovalApprover)
        .where(SysapprovalApprover.sysapproval == change)
        .values(sys_created_on=now() - timedelta(hours=1))
    )
    first, second = list_waiting_for(caller_for(people["ann"]), 10)
    assert (first["risk"], first["start_date"], first["requested_by"]) == (
        2,
        datetime(2050, 1, 1, 10, tzinfo=UTC),
        people["req"],
    )
    assert (first["requester_name"], first["approver_name"], second["risk"]) == ("Req", "Ann", None)
    assert list_waiting_for(caller_for(people["ann"]), 1) == [first]


def test_answers_leave_the_list(people: dict[str, str], change: str) -> None:
    answer(change, caller_for(people["ann"]))
    assert waiting(people["ann"]) == []
    [row] = approvals_of(change, approver=people["ann"])
    details = get_details(row["sys_id"], caller_for(people["ann"]))
    assert details.refusal == "its state is Approved"
