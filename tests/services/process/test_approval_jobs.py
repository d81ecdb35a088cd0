"""Time and people: deadlines without an answer, answers that expire, and people who leave before they answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import commit, connection
from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import db, now
from changegate.models import ChgHistory, Job, SysJournalField, SysUserRole
from changegate.services.access.caller import Caller
from changegate.services.approvals import departures
from changegate.services.approvals.deadlines import ESCALATED, FOLLOW_UP, UNANSWERED, list_due
from changegate.services.process import edits
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import render_value
from tests.conftest import Clock
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
    SCHEDULED,
    add,
    add_group,
    add_policy,
    answer,
    approvals_of,
    change_of,
    edit,
    enter,
    of_group,
    of_users,
    remove,
    states_of,
    waiting_for,
    write,
)
from tests.support.jobs import run_due_jobs
from tests.support.people import add_account, caller_for

Later = Callable[..., list[str]]
CHANGES = get_table("change_request")


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    clock = Clock()
    either_app.config |= {"CLOCK": clock, "DATABASE_CLOCK": clock}
    with either_app.app_context():
        yield


@pytest.fixture
def later(either_app: Flask) -> Later:
    """Let time pass, and the workers do what is due; return the kinds of the jobs."""

    def pass_by(**duration: float) -> list[str]:
        commit()
        either_app.config["CLOCK"].advance(**duration)
        kinds = run_due_jobs(either_app, "approvals.deadlines")
        db.session.expire_all()
        return kinds

    return pass_by


@pytest.fixture
def people() -> dict[str, str]:
    return {name: add_account(name) for name in ("ann", "bob", "cem", "boss")}


def waiting_change(*rules: dict[str, Any], **sent: Any) -> str:
    add_policy(*rules, state=AUTHORIZE)
    change = add("change_request", type="normal", **sent)
    enter(change, AUTHORIZE)
    return change


def notes_of(change: str) -> str:
    column = SysJournalField.__table__.c
    statement = select(column["value"]).where(column["element_id"] == change).order_by(column["sys_id"])
    return "\n".join(connection().execute(statement).scalars())


def kinds_of(change: str) -> list[str]:
    column = ChgHistory.__table__.c
    return list(connection().execute(select(column["kind"]).where(column["subject_id"] == change)).scalars())


def caller_of(people: dict[str, str], name: str) -> Caller:
    return caller_for(people[name], "approver_user")


HOURS = {"reminder_hours": "24", "escalation_hours": "48", "expiry_hours": "72"}


def test_no_answer_leads_to_a_reminder_an_escalation_and_an_expiry_but_to_no_approval(
    people: dict[str, str], later: Later
) -> None:
    group = add_group("CAB2", people["ann"], people["bob"], manager=people["boss"])
    change = waiting_change(of_group(group, **HOURS))
    later(hours=23)
    assert "Reminder" not in notes_of(change)

    later(hours=2)
    assert notes_of(change).count("Reminder: no answer yet from Ann, Bob.") == 1
    assert {row["reminded_at"] is None for row in approvals_of(change)} == {False}

    later(hours=24)
    assert "No answer in time from Ann, Bob. Boss, the manager of the group, is asked as well." in notes_of(change)
    assert states_of(change) == dict.fromkeys((people["ann"], people["bob"], people["boss"]), "requested")
    [escalated] = approvals_of(change, approver=people["boss"])
    assert escalated["approval_source"] == ESCALATED

    later(hours=25)
    assert set(states_of(change).values()) == {"cancelled"}
    assert {row["void_reason"] for row in approvals_of(change)} == {"No answer within 72 hours"}
    assert change_of(change)["state"] == AUTHORIZE
    assert change_of(change)["approval"] != "approved"
    assert "expired" in kinds_of(change)


def test_after_an_expiry_the_change_waits_until_it_is_edited(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"])
    change = waiting_change(of_group(group, expiry_hours="1"))
    later(hours=2)
    assert change_of(change)["approval"] == "not requested"
    assert [waiting.reason for waiting in waiting_for(change)] == [UNANSWERED]

    # Nobody asks again only because somebody joins.
    add("sys_user_grmember", user=people["bob"], group=group)
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "cancelled"}
    edit("change_request", change, short_description="Still needed")
    assert states_of(change) == {people["ann"]: "requested", people["bob"]: "requested"}
    assert change_of(change)["approval"] == "requested"


def test_a_request_that_some_can_still_answer_goes_on_after_an_expiry(people: dict[str, str], later: Later) -> None:
    rule = {"expiry_hours": "1", "wait_for": "first"}
    change = waiting_change(of_users(people["ann"], people["bob"], **rule))
    late = approvals_of(change, approver=people["bob"])[0]["sys_id"]
    source = get_table("sysapproval_approver").source
    due = now() + timedelta(hours=3)
    db.session.execute(db.update(source).where(source.c["sys_id"] == late).values(due_date=due))
    later(hours=2)

    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}
    answer(change, caller_of(people, "bob"))
    assert change_of(change)["approval"] == "approved"


def test_the_manager_who_was_asked_as_well_approves(people: dict[str, str], later: Later) -> None:
    group = add_group("CAB2", people["ann"], manager=people["boss"])
    change = waiting_change(of_group(group, escalation_hours="1"))
    later(hours=2)
    later(hours=2)
    answer(change, caller_of(people, "boss"))

    assert change_of(change)["approval"] == "approved"
    assert states_of(change) == {people["ann"]: "not_required", people["boss"]: "approved"}


def test_a_manager_who_asked_for_the_change_is_not_asked_as_well(people: dict[str, str], later: Later) -> None:
    group = add_group("CAB2", people["ann"], manager=people["boss"])
    change = waiting_change(of_group(group, escalation_hours="1"), requested_by=people["boss"])
    later(hours=2)

    assert list(states_of(change)) == [people["ann"]]
    assert "The manager of the group cannot be asked: Boss requested this change." in notes_of(change)


def test_a_manager_without_the_required_role_is_not_asked_as_well(people: dict[str, str], later: Later) -> None:
    group = add_group("CAB2", people["ann"], manager=people["boss"])
    add("sys_user_has_role", user=people["ann"], role="approver_user")
    change = waiting_change(of_group(group, escalation_hours="1", required_role="approver_user"))
    later(hours=2)

    assert list(states_of(change)) == [people["ann"]]
    expected = "The manager of the group cannot be asked: the account does not have the role approver_user."
    assert expected in notes_of(change)


def test_the_approval_of_a_manager_who_was_asked_as_well_ends_with_the_account(
    people: dict[str, str], later: Later
) -> None:
    group = add_group("CAB2", people["ann"], manager=people["boss"])
    change = waiting_change(of_group(group, escalation_hours="1"))
    later(hours=2)
    add("sys_user_grmember", user=people["bob"], group=group)
    later(seconds=1)
    assert states_of(change) == dict.fromkeys((people["ann"], people["bob"], people["boss"]), "requested")

    edit("sys_user", people["boss"], locked_out=True)
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "requested", people["bob"]: "requested", people["boss"]: "cancelled"}


@pytest.mark.parametrize("manager", [None, "ann"])
def test_without_another_manager_an_escalation_is_noted(
    people: dict[str, str], later: Later, manager: str | None
) -> None:
    sent = {"manager": people[manager]} if manager else {}
    change = waiting_change(of_group(add_group("CAB2", people["ann"], **sent), escalation_hours="1"))
    later(hours=2)

    assert list(states_of(change)) == [people["ann"]]
    expected = "The manager of the group is asked already." if manager else "There is no manager of a group"
    assert expected in notes_of(change)


def test_servers_that_were_down_leave_time_after_the_late_reminder(people: dict[str, str], later: Later) -> None:
    change = waiting_change(of_users(people["ann"], reminder_hours="24", expiry_hours="72"))
    later(days=365)
    assert states_of(change) == {people["ann"]: "requested"}
    assert "Reminder" in notes_of(change)

    later(hours=47)
    assert states_of(change) == {people["ann"]: "requested"}
    later(hours=2)
    assert states_of(change) == {people["ann"]: "cancelled"}


def test_a_request_without_deadlines_waits(people: dict[str, str], later: Later) -> None:
    change = waiting_change(of_users(people["ann"]))
    later(days=365)

    assert states_of(change) == {people["ann"]: "requested"}
    assert notes_of(change) == ""


def test_an_answer_expires_and_the_person_is_asked_again(people: dict[str, str], later: Later) -> None:
    rules = (of_users(people["ann"], valid_hours="24"), of_users(people["bob"]))
    change = waiting_change(*rules)
    answer(change, caller_of(people, "ann"))
    later(hours=25)

    void, again = approvals_of(change, approver=people["ann"])
    assert (void["state"], again["state"]) == ("cancelled", "requested")
    assert void["void_reason"].startswith("The approval was valid until ")


def test_an_answer_expires_at_the_planned_end(people: dict[str, str], later: Later) -> None:
    ends = f"{now() + timedelta(days=2):%Y-%m-%d %H:%M:%S}"
    rules = (of_users(people["ann"]), of_users(people["bob"]))
    change = waiting_change(*rules, end_date=ends)
    answer(change, caller_of(people, "ann"))
    assert f"{approvals_of(change, approver=people['ann'])[0]['expires']:%Y-%m-%d %H:%M:%S}" == ends

    later(days=1)
    assert states_of(change)[people["ann"]] == "approved"
    later(days=2)
    assert [row["state"] for row in approvals_of(change, approver=people["ann"])] == ["cancelled", "requested"]


def test_answers_of_earlier_rounds_are_not_followed_up(people: dict[str, str], later: Later) -> None:
    rules = (of_users(people["ann"], valid_hours="1"), of_users(people["bob"]))
    change = waiting_change(*rules)
    answer(change, caller_of(people, "ann"))
    enter(change, AUTHORIZE)
    commit()

    assert list_due(now() + timedelta(hours=2), 10) == []
    answer(change, caller_of(people, "ann"))
    assert list_due(now() + timedelta(hours=2), 10) == [change]


def test_a_rejected_change_that_stays_in_its_state_is_not_followed_up(people: dict[str, str], later: Later) -> None:
    change = waiting_change(of_users(people["ann"], valid_hours="1"), of_users(people["bob"]))
    answer(change, caller_of(people, "ann"))
    answer(change, caller_of(people, "bob"), "rejected", comments="no")
    # As in a model in which a rejection moves no change.
    write(change, state=AUTHORIZE)
    commit()

    assert approvals_of(change, state="approved")
    assert list_due(now() + timedelta(hours=2), 10) == []


def test_a_change_whose_job_fails_hides_no_other_change(
    people: dict[str, str], later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "MOST_DUE", 1)
    changes = [waiting_change(of_users(people["ann"], reminder_hours="1")) for _ in range(2)]
    commit()
    tomorrow = now() + timedelta(days=1)
    for _ in range(3):
        edits.enqueue_follow_ups(tomorrow)
        connection().execute(update(Job).where(Job.kind == FOLLOW_UP).values(attempts=9, failed_at=now()))
    failed = select(Job.job_key).where(Job.kind == FOLLOW_UP, Job.failed_at.is_not(None))
    assert sorted(connection().execute(failed).scalars()) == sorted(changes)


def leave_by(people: dict[str, str], group: str, way: str) -> None:
    if way == "removed from the group":
        table = get_table("sys_user_grmember").source
        is_row = (table.c["user"] == people["ann"], table.c["group"] == group)
        remove("sys_user_grmember", connection().execute(select(table.c["sys_id"]).where(*is_row)).scalar_one())
    else:
        edit("sys_user", people["ann"], **{"deactivated": {"active": "false"}, "locked": {"locked_out": "true"}}[way])


@pytest.mark.parametrize("way", ["deactivated", "locked", "removed from the group"])
def test_a_person_who_leaves_is_replaced_and_the_quorum_never_falls(
    people: dict[str, str], later: Later, way: str
) -> None:
    group = add_group("Crew", people["ann"], people["bob"])
    change = waiting_change(of_group(group, wait_for="all"))
    leave_by(people, group, way)
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}

    # Both approvals are still required, although the group has one member.
    answer(change, caller_of(people, "bob"))
    assert change_of(change)["approval"] == "requested"
    add("sys_user_grmember", user=people["cem"], group=group)
    later(seconds=1)
    assert states_of(change)[people["cem"]] == "requested"
    answer(change, caller_of(people, "cem"))
    assert change_of(change)["approval"] == "approved"


def test_an_approval_after_the_planned_start_counts_until_the_planned_end(people: dict[str, str], later: Later) -> None:
    start, end = (render_value(CHANGES.entries["end_date"], now() + timedelta(hours=hours)) for hours in (1, 4))
    change = waiting_change(of_users(people["ann"]), start_date=start, end_date=end)
    later(hours=2)
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"
    later(hours=3)
    assert change_of(change)["approval"] == "requested"
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        answer(change, caller_of(people, "ann"))
    assert "Plan a new window first" in str(refusal.value.detail)


def test_only_the_person_whose_answer_is_void_is_asked_again(people: dict[str, str]) -> None:
    """Also if that person was asked before, and was not needed then."""
    users = [people[name] for name in ("ann", "bob", "cem")]
    change = waiting_change(of_users(*users))
    answer(change, caller_of(people, "ann"))
    edit("sys_user", people["ann"], active="false")
    write_plan(change, "one")
    assert open_approvers(change) == {people["bob"], people["cem"]}
    answer(change, caller_of(people, "bob"))
    write_plan(change, "two")
    assert open_approvers(change) == {people["bob"]}


def write_plan(change: str, plan: str) -> None:
    edit("change_request", change, implementation_plan=plan)


def open_approvers(change: str) -> set[str]:
    return {row["approver"] for row in approvals_of(change, state="requested")}


def test_an_approved_change_stays_approved_when_its_manager_leaves(people: dict[str, str], later: Later) -> None:
    """Another policy applies without the manager, but the approval was given while this one applied."""
    group = add_group("Network", manager=people["boss"])
    change = add("change_request", type="normal", risk="4", assignment_group=group, requested_by=people["ann"])
    enter(change, AUTHORIZE)
    answer(change, caller_of(people, "boss"))
    assert change_of(change)["state"] == SCHEDULED
    edit("sys_user", people["boss"], active="false")
    later(seconds=1)
    assert change_of(change)["approval"] == "approved"
    assert states_of(change) == {people["boss"]: "approved"}


def test_an_emptied_group_approves_nothing(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"])
    change = waiting_change(of_group(group, wait_for="all"))
    leave_by(people, group, "deactivated")
    later(seconds=1)

    assert change_of(change)["approval"] == "not requested"
    assert states_of(change) == {people["ann"]: "cancelled"}
    [waiting] = waiting_for(change)
    reason = "rule Rule 0: the group Crew contains no user who may approve"
    assert waiting.reason is not None
    assert waiting.reason.startswith(reason)
    assert notes_of(change).count(f"Approval could not be requested: {waiting.reason}.") == 1


@pytest.mark.parametrize("way", ["locked", "deactivated", "removed from the group"])
def test_people_who_come_back_to_an_emptied_group_are_asked_again(
    people: dict[str, str], later: Later, way: str
) -> None:
    group = add_group("Crew", people["ann"], people["bob"])
    change = waiting_change(of_group(group, wait_for="all"))
    for name in ("ann", "bob"):
        leave_by({"ann": people[name]}, group, way)
    later(seconds=1)
    assert change_of(change)["approval"] == "not requested"

    if way == "removed from the group":
        add("sys_user_grmember", user=people["ann"], group=group)
    else:
        edit("sys_user", people["ann"], active="true", locked_out="false")
    later(seconds=1)
    assert change_of(change)["approval"] == "requested"
    answer(change, caller_of(people, "ann"))
    # Both approvals are still required.
    assert change_of(change)["approval"] == "requested"
    add("sys_user_grmember", user=people["cem"], group=group)
    later(seconds=1)
    answer(change, caller_of(people, "cem"))
    assert change_of(change)["approval"] == "approved"


def test_a_person_who_joins_an_emptied_group_is_asked(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"])
    change = waiting_change(of_group(group))
    leave_by(people, group, "locked")
    later(seconds=1)
    add("sys_user_grmember", user=people["cem"], group=group)
    later(seconds=1)

    answer(change, caller_of(people, "cem"))
    assert change_of(change)["approval"] == "approved"


def test_one_of_several_people_who_comes_back_is_asked_again(people: dict[str, str], later: Later) -> None:
    change = waiting_change(of_users(people["ann"], people["bob"], wait_for="all"))
    leave_by(people, "", "locked")
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}

    edit("sys_user", people["ann"], locked_out="false")
    later(seconds=1)
    answer(change, caller_of(people, "bob"))
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"


def test_an_emptied_rule_is_shown_beside_one_that_waits_for_people(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"])
    change = waiting_change(of_group(group), of_users(people["bob"]))
    leave_by(people, group, "locked")
    later(seconds=1)
    assert change_of(change)["approval"] == "not requested"
    first, second = waiting_for(change)
    assert first.reason is not None
    assert (second.reason, second.users) == (None, [people["bob"]])

    answer(change, caller_of(people, "bob"))
    assert change_of(change)["approval"] == "not requested"
    edit("sys_user", people["ann"], locked_out="false")
    later(seconds=1)
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"


def test_an_expiry_ends_a_stage_in_which_another_rule_is_empty(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"])
    change = waiting_change(of_group(group), of_users(people["bob"], expiry_hours="1"))
    leave_by(people, group, "locked")
    later(seconds=1)
    later(hours=2)
    assert [waiting.reason for waiting in waiting_for(change)] == [UNANSWERED]

    edit("sys_user", people["ann"], locked_out="false")
    later(seconds=1)
    edit("change_request", change, short_description="Still needed")
    assert set(states_of(change, state="requested")) == {people["ann"], people["bob"]}


def test_an_emptied_earlier_state_stops_a_change_that_has_moved_on(people: dict[str, str], later: Later) -> None:
    add_policy(of_users(people["ann"]))
    add_policy(of_users(people["bob"]), state=AUTHORIZE)
    change = add("change_request", type="normal", assignment_group=add_group("Team"), implementation_plan="Deploy")
    enter(change)
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["state"] == AUTHORIZE
    edit("change_request", change, implementation_plan="Other")
    leave_by(people, "", "locked")
    later(seconds=1)
    answer(change, caller_of(people, "bob"))
    assert (change_of(change)["state"], change_of(change)["approval"]) == (AUTHORIZE, "not requested")

    edit("sys_user", people["ann"], locked_out="false")
    later(seconds=1)
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"


def test_an_edit_that_names_another_group_asks_its_members(people: dict[str, str], later: Later) -> None:
    group, other = add_group("Crew", people["ann"]), add_group("Other", people["bob"])
    rule = {"approver_source": "field", "approver_field": "assignment_group"}
    change = waiting_change(rule, assignment_group=group)
    leave_by(people, group, "locked")
    later(seconds=1)
    edit("change_request", change, assignment_group=other)

    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}
    assert change_of(change)["approval"] == "requested"


@pytest.mark.parametrize("way", ["deactivated", "locked"])
def test_a_person_who_left_between_question_and_answer_cannot_answer(people: dict[str, str], way: str) -> None:
    group = add_group("Crew", people["ann"], people["bob"])
    change = waiting_change(of_group(group))
    caller = caller_of(people, "ann")
    leave_by(people, group, way)

    # Before a job has run, as with a session that is still open.
    with pytest.raises(AccessRefused):
        answer(change, caller)
    assert change_of(change)["approval"] == "requested"


def test_an_answer_of_a_person_who_has_left_does_not_complete_a_quorum(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"], people["bob"], people["cem"])
    change = waiting_change(of_group(group, wait_for="count", value="2"))
    answer(change, caller_of(people, "ann"))
    leave_by(people, group, "deactivated")
    answer(change, caller_of(people, "bob"))
    assert change_of(change)["approval"] == "requested"

    later(seconds=1)
    answer(change, caller_of(people, "cem"))
    assert change_of(change)["approval"] == "approved"


def test_a_person_who_loses_the_role_of_the_rule_is_replaced(people: dict[str, str], later: Later) -> None:
    role = connection().execute(select(SysUserRole.sys_id).where(SysUserRole.name == "change_manager")).scalar_one()
    held = [add("sys_user_has_role", user=people[name], role=role) for name in ("ann", "bob")]
    change = waiting_change(of_users(people["ann"], people["bob"], people["cem"], required_role=role))
    assert set(states_of(change)) == {people["ann"], people["bob"]}

    remove("sys_user_has_role", held[0])
    add("sys_user_has_role", user=people["cem"], role=role)
    later(seconds=1)
    assert states_of(change) == {
        people["ann"]: "cancelled",
        people["bob"]: "requested",
        people["cem"]: "requested",
    }
    [row] = approvals_of(change, approver=people["ann"])
    assert row["void_reason"] == "the account does not have the role change_manager"


def test_a_group_that_gets_a_role_is_asked(people: dict[str, str], later: Later) -> None:
    role = connection().execute(select(SysUserRole.sys_id).where(SysUserRole.name == "change_manager")).scalar_one()
    group = add_group("Crew", people["bob"])
    change = waiting_change(of_users(people["bob"], required_role=role))
    assert change_of(change)["approval"] == "not requested"

    granted = add("sys_group_has_role", group=group, role=role)
    later(seconds=1)
    assert states_of(change) == {people["bob"]: "requested"}
    remove("sys_group_has_role", granted)
    later(seconds=1)
    assert states_of(change) == {people["bob"]: "cancelled"}


def test_a_new_manager_of_the_group_is_asked_instead_of_the_former(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"], manager=people["boss"])
    rule = {"approver_source": "field", "approver_field": "assignment_group.manager"}
    change = waiting_change(rule, assignment_group=group)
    assert states_of(change) == {people["boss"]: "requested"}

    edit("sys_user_group", group, manager=people["cem"])
    later(seconds=1)
    assert states_of(change) == {people["boss"]: "cancelled", people["cem"]: "requested"}


def test_people_who_join_a_group_that_was_empty_are_asked(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew")
    change = waiting_change(of_group(group))
    assert change_of(change)["approval"] == "not requested"

    add("sys_user_grmember", user=people["ann"], group=group)
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "requested"}
    assert change_of(change)["approval"] == "requested"


def test_a_request_follows_some_of_the_changes_that_ask_a_group_and_a_job_the_others(
    people: dict[str, str], later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "CHANGES_AT_ONCE", 2)
    group = add_group("Crew", people["ann"])
    changes = [waiting_change(of_group(group)), *(add("change_request", type="normal") for _ in range(4))]
    for change in changes[1:]:
        enter(change, AUTHORIZE)
    later(seconds=1)

    for name in ("bob", "cem"):
        add("sys_user_grmember", user=people[name], group=group)
    kinds = (departures.FURTHER, departures.RECOMPUTE)
    enqueued = select(Job.kind).where(Job.kind.in_(kinds)).order_by(Job.kind)
    assert connection().execute(enqueued).scalars().all() == [kinds[1], kinds[1], kinds[0], kinds[0]]
    assert later(seconds=1).count(departures.FURTHER) == 2
    asked = {people[name]: "requested" for name in ("ann", "bob", "cem")}
    assert [states_of(change) for change in changes] == [asked] * 5


def test_too_few_people_are_shown_and_noted_once_while_others_can_answer(people: dict[str, str], later: Later) -> None:
    group = add_group("Crew", people["ann"], people["bob"], people["cem"])
    change = waiting_change(of_group(group, wait_for="all"))
    leave_by(people, group, "locked")
    later(seconds=1)

    reason = "rule Rule 0: 3 approvals are required, and the group Crew contains 2 who may approve"
    [waiting] = waiting_for(change)
    assert (waiting.missing, set(waiting.users)) == (3, {people["bob"], people["cem"]})
    assert waiting.reason == f"{reason} (the account is locked out)"
    assert notes_of(change).count(f"Approval could not be requested: {reason}") == 1
    edit("sys_user", people["boss"], locked_out="true")
    edit("change_request", change, implementation_plan="Other")
    later(seconds=1)
    assert notes_of(change).count("Change managers") == 1
    edit("sys_user", people["ann"], locked_out="false")
    later(seconds=1)
    assert [each.reason for each in waiting_for(change)] == [None]


def test_an_empty_group_is_noted_once_however_often_it_is_asked(people: dict[str, str], later: Later) -> None:
    change = waiting_change(of_group(add_group("Crew")))
    for text in ("One", "Two"):
        edit("change_request", change, short_description=text, implementation_plan=text)
        add("sys_user_grmember", user=people["ann"], group=add_group(text))
        later(minutes=2)

    assert notes_of(change).count("Change managers") == 1


def test_a_new_manager_takes_over_an_escalation(people: dict[str, str], later: Later) -> None:
    group = add_group("CAB2", people["ann"], manager=people["boss"])
    change = waiting_change(of_group(group, escalation_hours="1", expiry_hours="5"))
    later(hours=2)
    assert states_of(change) == {people["ann"]: "requested", people["boss"]: "requested"}

    edit("sys_user_group", group, manager=people["cem"])
    later(seconds=1)
    assert states_of(change) == {people["ann"]: "requested", people["boss"]: "cancelled", people["cem"]: "requested"}
    former, present = (approvals_of(change, approver=people[name])[0] for name in ("boss", "cem"))
    assert (present["approval_source"], present["due_date"]) == (ESCALATED, former["due_date"])
    edit("sys_user_group", group, manager=people["boss"])
    later(seconds=1)
    answer(change, caller_of(people, "boss"))
    assert change_of(change)["approval"] == "approved"


def test_the_hours_of_an_approval_stop_while_the_change_is_on_hold(people: dict[str, str], later: Later) -> None:
    add_policy(of_users(people["ann"], reminder_hours="24"), state=AUTHORIZE)
    change = add("change_request", type="emergency", assignment_group=add_group("Team"))
    edit("change_request", change, state=AUTHORIZE)
    later(hours=20)
    edit("change_request", change, on_hold="true", on_hold_reason="Freeze")
    later(hours=100)
    edit("change_request", change, implementation_plan="Other")
    later(hours=100)
    edit("change_request", change, on_hold="false")
    later(hours=3)
    assert "Reminder" not in notes_of(change)

    later(hours=2)
    assert notes_of(change).count("Reminder: no answer yet from Ann.") == 1


def test_a_change_that_was_approved_by_hand_before_the_upgrade_is_asked(people: dict[str, str], later: Later) -> None:
    add_policy(of_users(people["ann"]), state=AUTHORIZE)
    change = add("change_request", type="normal", assignment_group=add_group("Team"))
    write(change, state=AUTHORIZE, approval="approved")
    add("sysapproval_approver", sysapproval=change, approver=people["bob"], state="approved")
    later(minutes=2)

    assert states_of(change, asked_by_policy=True) == {people["ann"]: "requested"}
    assert (change_of(change)["state"], change_of(change)["approval"]) == (AUTHORIZE, "requested")
    later(minutes=2)
    assert list_due(now(), 10) == []


def test_an_administrator_who_rejects_for_another_person_rejects_the_change(people: dict[str, str]) -> None:
    change = waiting_change(of_users(people["ann"]), requested_by=people["bob"], opened_by=people["bob"])
    root = caller_for(add_account("other_root"), "admin")
    answer(change, root, "rejected", approver=people["ann"], comments="no")

    assert change_of(change)["approval"] == "rejected"
