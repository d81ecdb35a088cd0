"""Requests and answers: who is asked, what counts, and what the change waits for."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import now
from changegate.models import SysJournalField
from changegate.services.access.caller import Caller
from changegate.services.approvals import requests
from changegate.services.approvals.answers import NOT_REQUESTED, NOTHING_PENDING, answer_pending
from changegate.services.approvals.policies import rules_of
from changegate.services.process.blockers import Call, list_blockers
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.conftest import Clock
from tests.services.approvals.asked_changes import (
    ASSESS,
    AUTHORIZE,
    NEW,
    SCHEDULED,
    add,
    add_group,
    add_people,
    add_policy,
    answer,
    approvals_of,
    change_of,
    counts_of,
    decisions_of,
    edit,
    enter,
    facts,
    leave,
    of_group,
    of_users,
    outcomes_of,
    remove,
    round_of,
    states_of,
    waiting_for,
    write,
)
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")


@pytest.fixture
def people() -> dict[str, str]:
    return add_people("ann", "bob", "cem", "dee")


@pytest.fixture
def callers(people: dict[str, str]) -> dict[str, Caller]:
    return {name: caller_for(sys_id, "approver_user") for name, sys_id in people.items()}


def add_change(**sent: Any) -> str:
    return add("change_request", **{"type": "normal", **sent})


# The default policy


def test_any_member_of_the_assignment_group_approves_in_assess(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    change = add_change(assignment_group=add_group("Network", people["ann"], people["bob"]))

    edit("change_request", change, state=ASSESS)
    assert change_of(change)["approval"] == "requested"
    assert states_of(change) == {people["ann"]: "requested", people["bob"]: "requested"}
    answer(change, callers["bob"])

    assert states_of(change, stage=ASSESS) == {people["ann"]: "not_required", people["bob"]: "approved"}
    assert states_of(change, stage=AUTHORIZE) == {people["cem"]: "requested"}
    assert (change_of(change)["state"], change_of(change)["approval"]) == (AUTHORIZE, "requested")
    answer(change, callers["cem"])
    assert (change_of(change)["state"], change_of(change)["approval"]) == (SCHEDULED, "approved")
    assert change_of(change)["approval_set"] is not None
    assert outcomes_of(change) == ["requested", "approved", "requested", "approved"]


@pytest.mark.parametrize("risk", ["1", "2", "3", ""])
def test_the_cab_authorizes_risky_changes(people: dict[str, str], risk: str) -> None:
    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    group = add_group("Network", people["ann"], manager=people["dee"])
    change = add_change(assignment_group=group, risk=risk)

    enter(change, AUTHORIZE)
    assert states_of(change) == {people["cem"]: "requested"}


def test_the_manager_authorizes_changes_of_low_risk(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    change = add_change(assignment_group=add_group("Network", people["ann"], manager=people["dee"]), risk="4")

    enter(change, AUTHORIZE)
    assert states_of(change) == {people["dee"]: "requested"}
    answer(change, callers["dee"])
    assert change_of(change)["approval"] == "approved"


@pytest.mark.parametrize("manager", [None, "inactive"])
def test_the_cab_authorizes_for_a_group_without_an_active_manager(people: dict[str, str], manager: str | None) -> None:
    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    sent = {"manager": add_account("eve", active=False)} if manager else {}
    change = add_change(assignment_group=add_group("Network", people["ann"], **sent), risk="4")

    enter(change, AUTHORIZE)
    assert states_of(change) == {people["cem"]: "requested"}


def test_a_manager_who_approved_in_assess_is_not_asked_again(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    group = add_group("Network", people["ann"], people["dee"], manager=people["dee"])
    change = add_change(assignment_group=group, risk="4")
    edit("change_request", change, state=ASSESS)
    answer(change, callers["dee"])

    assert (change_of(change)["state"], change_of(change)["approval"]) == (SCHEDULED, "approved")
    [copied] = approvals_of(change, stage=AUTHORIZE)
    assert (copied["state"], copied["answered_by"]) == ("approved", people["dee"])
    assert copied["approval_source"] == "Approved in an earlier state"


def test_a_manager_whose_colleague_approved_in_assess_is_asked(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    group = add_group("Network", people["ann"], people["dee"], manager=people["dee"])
    change = add_change(assignment_group=group, risk="4")
    edit("change_request", change, state=ASSESS)
    answer(change, callers["ann"])

    assert change_of(change)["state"] == AUTHORIZE
    assert states_of(change, stage=AUTHORIZE) == {people["dee"]: "requested"}


def test_the_cab_approves_emergencies(people: dict[str, str]) -> None:
    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    change = add_change(type="emergency", assignment_group=add_group("Network", people["ann"]))

    enter(change, AUTHORIZE)
    assert states_of(change) == {people["cem"]: "requested"}


def test_states_without_policies_leave_the_approval_as_it_is() -> None:
    change = add_change(type="standard")
    assert requests.on_entry(round_of(change), -2, facts()) == "not requested"
    assert not approvals_of(change) and not decisions_of(change)


# Nobody to ask: the change waits, and nothing is approved by default


def test_an_empty_group_leaves_the_change_waiting_and_is_named() -> None:
    change = add_change(type="emergency", assignment_group=add_group("Network"))
    outcome = enter(change, AUTHORIZE)

    assert outcome.approval == change_of(change)["approval"] == "not requested"
    assert outcome.reason == "rule A member of the CAB: the group CAB Approval contains no user who may approve"
    assert outcomes_of(change) == ["not requested"]
    [waiting] = waiting_for(change)
    assert (waiting.reason, waiting.missing, waiting.users) == (outcome.reason, 1, [])
    assert counts_of(change)["approval.missing"] == 1


def test_change_managers_find_a_work_note(people: dict[str, str]) -> None:
    change = add_change(type="emergency")
    enter(change, AUTHORIZE)

    notes = connection().scalars(select(SysJournalField.value).where(SysJournalField.element_id == change)).all()
    assert notes == [
        "Approval could not be requested: rule A member of the CAB: the group CAB Approval contains no user who may "
        "approve. Change managers, please make sure that enough users can approve."
    ]


def test_a_change_without_a_matching_policy_waits() -> None:
    change = add_change(type="standard")
    outcome = enter(change, AUTHORIZE)

    assert (outcome.approval, outcome.reason) == ("not requested", "no active approval policy matches this change")


@pytest.mark.parametrize(
    "wait_for", [{"wait_for": "all"}, {"wait_for": "percentage", "value": 1}, {"wait_for": "first"}]
)
def test_inactive_and_locked_people_are_never_asked(wait_for: dict[str, Any]) -> None:
    gone, locked = add_account("gone", active=False), add_account("locked", locked_out=True)
    add_policy(of_group(add_group("Board", gone, locked), **wait_for))
    change = add_change()

    outcome = enter(change)
    assert outcome.approval == "not requested"
    assert "the account is inactive; the account is locked out" in (outcome.reason or "")
    assert not approvals_of(change)


def test_the_requester_in_the_group_is_not_asked(people: dict[str, str]) -> None:
    add_policy(of_group(add_group("Board", people["ann"], people["bob"]), wait_for="all"))
    change = add_change(requested_by=people["ann"])

    enter(change)
    assert states_of(change) == {people["bob"]: "requested"}
    explanation = json.loads(decisions_of(change)[0]["explanation"])
    assert explanation["rules"][0]["excluded"] == {people["ann"]: "Ann requested this change"}


def test_more_approvals_than_people_leave_the_change_waiting(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="count", value=3))
    outcome = enter(add_change())

    assert outcome.approval == "not requested"
    assert outcome.reason == "rule Rule 0: 3 approvals are required, and its list of users contains 2 who may approve"


def test_one_person_cannot_satisfy_two_rules_alone(people: dict[str, str]) -> None:
    rules = (of_users(people["ann"]), of_users(people["ann"]))
    policy = add_policy(*rules)
    outcome = enter(add_change())
    assert outcome.approval == "not requested"
    assert "require more people than may approve" in (outcome.reason or "")

    edit("chg_policy_approval", policy, counts_person_once=False)
    assert enter(add_change()).approval == "requested"


def test_people_are_asked_as_soon_as_one_of_them_can_approve(people: dict[str, str]) -> None:
    change = add_change(type="emergency")
    enter(change, AUTHORIZE)
    assert requests.request_again(round_of(change), "again", facts) == "not requested"
    assert outcomes_of(change) == ["not requested"]

    add("sys_user_grmember", user=people["cem"], group="CAB Approval")
    assert requests.request_again(round_of(change), "again", facts) == "requested"
    write(change, approval="requested")
    assert states_of(change) == {people["cem"]: "requested"}
    assert requests.request_again(round_of(change), "again", facts) == "requested"
    assert len(approvals_of(change)) == 1


# Policies, rules, quorums


def test_the_first_matching_policy_is_used(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]), order=30, condition="risk=2")
    add_policy(of_users(people["bob"]), order=20, condition="risk=4")
    change = add_change(risk="2")

    enter(change)
    assert states_of(change) == {people["ann"]: "requested"}
    decision = decisions_of(change)[0]
    assert json.loads(decision["facts"])["risk"] == 2
    assert decision["policy_version"] == 3


def test_an_inactive_policy_is_not_used(people: dict[str, str]) -> None:
    edit("chg_policy_approval", add_policy(of_users(people["ann"])), active=False)
    change = add_change(assignment_group=add_group("Network", people["bob"]))

    enter(change)
    assert states_of(change) == {people["bob"]: "requested"}


def test_a_policy_of_a_model_is_for_its_changes_only(people: dict[str, str]) -> None:
    model = add("chg_model", name="Firmware", record_preset="type=normal^EQ", active=False)
    add_policy(of_users(people["ann"]), chg_model=model)
    group = add_group("Network", people["bob"])
    change = add_change(assignment_group=group)

    enter(change)
    assert states_of(change) == {people["bob"]: "requested"}


def test_all_rules_must_be_passed(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"]), of_users(people["cem"], people["dee"], wait_for="all"))
    change = add_change()
    enter(change)

    answer(change, callers["ann"])
    assert change_of(change)["approval"] == "requested"
    assert states_of(change)[people["bob"]] == "not_required"
    assert [(each.rule, each.missing) for each in waiting_for(change)] == [("Rule 1", 2)]
    answer(change, callers["cem"])
    answer(change, callers["dee"])
    assert change_of(change)["approval"] == "approved"
    assert waiting_for(change) == []


def test_half_of_three_are_two(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], people["cem"], wait_for="percentage", value=50))
    change = add_change()
    enter(change)

    answer(change, callers["ann"])
    assert change_of(change)["approval"] == "requested"
    answer(change, callers["bob"])
    assert change_of(change)["approval"] == "approved"
    assert states_of(change)[people["cem"]] == "not_required"


def test_the_person_that_a_field_names_is_asked(people: dict[str, str]) -> None:
    add_policy({"approver_source": "field", "approver_field": "requested_by.manager"})
    requester = add_account("req", manager=people["ann"])
    change = add_change(requested_by=requester)

    enter(change)
    assert states_of(change) == {people["ann"]: "requested"}


def test_a_required_role_is_needed_to_be_asked(people: dict[str, str]) -> None:
    add("sys_user_has_role", user=people["ann"], role="itil")
    add_policy(of_users(people["ann"], people["bob"], required_role="itil"))
    change = add_change()

    enter(change)
    assert states_of(change) == {people["ann"]: "requested"}


def test_an_edit_of_the_policy_does_not_change_a_round(people: dict[str, str], callers: dict[str, Caller]) -> None:
    policy = add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    edit("chg_approval_def", rules_of(policy)[0]["sys_id"], wait_for="first")

    answer(change, callers["ann"])
    assert change_of(change)["approval"] == "requested"


# Answers


def test_one_rejection_rejects(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], people["cem"]))
    change = add_change()
    enter(change)

    answer(change, callers["ann"], "rejected", comments="too soon")
    assert change_of(change)["approval"] == "rejected"
    assert states_of(change) == {
        people["ann"]: "rejected",
        people["bob"]: "not_required",
        people["cem"]: "not_required",
    }
    with pytest.raises(OperationFailed) as refusal:
        edit("sysapproval_approver", approvals_of(change)[1]["sys_id"], callers["bob"], state="approved")
    assert refusal.value.detail == NOT_REQUESTED.format("No Longer Required")


def test_a_rejection_needs_comments(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)

    with pytest.raises(OperationFailed) as refusal:
        answer(change, callers["ann"], "rejected")
    assert refusal.value.detail == "Data Policy Exception: The following fields are mandatory: Comments"


@pytest.mark.parametrize("state", ["cancelled", "not_required", "not requested"])
def test_an_approver_can_only_approve_or_reject(people: dict[str, str], callers: dict[str, Caller], state: str) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)

    with pytest.raises(OperationFailed) as refusal:
        answer(change, callers["ann"], state)
    assert refusal.value.detail == "An approval is answered with the state approved or rejected"


def test_users_do_not_answer_for_another_approver(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)

    with pytest.raises(AccessRefused):
        answer(change, caller_for(people["bob"], "change_manager"), approver=people["ann"])


def test_an_administrator_answers_for_an_approver_under_both_names(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(requested_by=people["bob"], opened_by=people["bob"])
    administrator = caller_for(add_account("root"), "admin")
    enter(change)
    answer(change, administrator, approver=people["ann"])

    row = approvals_of(change)[0]
    assert (row["approver"], row["answered_by"], row["answered_as"]) == (
        people["ann"],
        administrator.sys_id,
        "administrator",
    )
    assert change_of(change)["approval"] == "approved"


def test_an_administrator_who_opened_the_change_does_not_count(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    answer(change, ROOT, approver=people["ann"])

    assert approvals_of(change)[0]["state"] == "approved"
    assert change_of(change)["approval"] == "requested"
    [waiting] = waiting_for(change)
    assert waiting.missing == 1


def test_an_answer_does_not_count_if_the_content_has_changed_past_the_rules(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])
    write(change, implementation_plan="Another plan")
    answer(change, callers["bob"])

    assert change_of(change)["approval"] == "requested"


def test_an_answer_that_is_no_longer_required_is_refused(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"]), of_users(people["cem"]))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])
    [row] = approvals_of(change, approver=people["bob"])

    with pytest.raises(OperationFailed) as refusal:
        edit("sysapproval_approver", row["sys_id"], callers["bob"], state="rejected", comments="no")
    assert refusal.value.detail == NOT_REQUESTED.format("No Longer Required")


def test_an_answer_changes_nothing_else(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    answer(change, callers["ann"], source_table="sys_user", approval_source="me", due_date="2099-01-01 00:00:00")

    [row] = approvals_of(change)
    assert (row["state"], row["source_table"], row["approval_source"]) == ("approved", "change_request", None)
    assert row["due_date"] is None


def test_the_members_of_an_inactive_group_are_not_asked(people: dict[str, str]) -> None:
    add_policy(of_group(add_group("Board", people["ann"], active=False)))
    outcome = enter(add_change())

    assert outcome.approval == "not requested"
    assert "the group Board, which is inactive, contains no user who may approve" in (outcome.reason or "")


def test_a_requester_may_approve_if_the_rule_allows_it(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], allows_requester=True))
    change = add_change(requested_by=people["ann"])
    enter(change)
    answer(change, callers["ann"])

    assert change_of(change)["approval"] == "approved"


def test_an_approver_who_became_the_requester_is_refused(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"]))
    change = add_change()
    enter(change)
    write(change, requested_by=people["ann"])

    with pytest.raises(AccessRefused) as refusal:
        answer(change, callers["ann"])
    assert refusal.value.detail == "You cannot answer this approval: Ann requested this change"


def test_an_approval_of_a_person_who_became_the_requester_no_longer_counts(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])
    write(change, requested_by=people["ann"])
    answer(change, callers["bob"])

    assert change_of(change)["approval"] == "requested"


def test_an_approval_by_hand_is_informational(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    by_hand = {"sysapproval": change, "approver": people["bob"], "state": "approved"}
    add("sysapproval_approver", **by_hand, asked_by_policy=True, round=1, stage=ASSESS)

    assert approvals_of(change, approver=people["bob"])[0]["asked_by_policy"] is False
    assert change_of(change)["approval"] == "requested"
    answer(change, callers["ann"])
    assert change_of(change)["approval"] == "approved"


def test_an_approval_that_a_policy_requested_cannot_be_redirected_or_deleted(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    row = approvals_of(change)[0]["sys_id"]

    with pytest.raises(OperationFailed):
        edit("sysapproval_approver", row, approver=people["bob"])
    with pytest.raises(OperationFailed) as refusal:
        remove("sysapproval_approver", row)
    assert refusal.value.detail == "An approval that a policy requested is evidence and cannot be deleted"


def test_all_pending_approvals_of_the_caller_are_answered_together(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"], people["bob"]), of_users(people["ann"]), counts_person_once=False)
    change = add_change()
    enter(change)

    assert answer_pending(round_of(change, callers["ann"]), "approved", None) == "approved"
    assert states_of(change, approver=people["ann"]) == {people["ann"]: "approved"}
    with pytest.raises(OperationFailed) as refusal:
        answer_pending(round_of(change, callers["ann"]), "approved", None)
    assert refusal.value.detail == NOTHING_PENDING


def test_a_delegate_answers_for_the_approver(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(requested_by=people["cem"], opened_by=people["cem"])
    enter(change)
    span = {"starts": "2020-01-01 00:00:00", "ends": "2099-01-01 00:00:00"}
    delegate = caller_for(add_account("root"), "admin")
    create_record(get_table("sys_user_delegate"), delegate, {"user": people["ann"], "delegate": people["bob"], **span})
    answer_pending(round_of(change, callers["bob"]), "approved", None)

    row = approvals_of(change)[0]
    assert (row["approver"], row["answered_by"], row["answered_as"]) == (people["ann"], people["bob"], "delegate")


# Moves


def test_a_rejection_leads_back_to_new(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    answer(change, callers["ann"], "rejected", comments="too soon")

    assert (change_of(change)["state"], change_of(change)["approval"]) == (NEW, "rejected")
    edit("change_request", change, state=ASSESS)
    assert (change_of(change)["state"], change_of(change)["approval"]) == (ASSESS, "requested")


def test_a_revert_cancels_what_was_requested(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    edit("change_request", change, state=NEW)

    assert change_of(change)["approval"] == "not requested"
    assert states_of(change) == {people["ann"]: "cancelled"}


def test_a_cancellation_cancels_what_was_requested(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    edit("change_request", change, state=4)

    assert change_of(change)["approval"] == "cancelled"
    assert [(row["state"], row["void_reason"]) for row in approvals_of(change)] == [
        ("cancelled", "the change was canceled")
    ]


def test_the_move_succeeds_although_no_user_can_be_asked() -> None:
    change = add_change(type="emergency", assignment_group=add_group("Network"))
    edit("change_request", change, state=AUTHORIZE)

    assert (change_of(change)["state"], change_of(change)["approval"]) == (AUTHORIZE, "not requested")
    [blocker] = list_blockers(change_of(change))
    assert blocker.sentence == (
        "Approval could not be requested: rule A member of the CAB: the group CAB Approval contains no user who may "
        "approve."
    )
    assert (blocker.code, blocker.field) == ("approval", "approval")
    assert [who["name"] for who in blocker.who_can] == ["change_manager", "admin"]


def test_a_blocker_names_who_can_approve_and_how(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], people["cem"], wait_for="count", value=2))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    answer(change, callers["ann"])

    [blocker] = list_blockers(change_of(change))
    assert blocker.sentence.endswith("Rule 0: 1 more approval required.")
    assert [who["name"] for who in blocker.who_can] == ["Bob", "Cem", "admin"]
    assert blocker.since is not None and blocker.how is not None
    assert blocker.how.path == f"/api/sn_chg_rest/change/{change}/approvals"
    assert blocker.approval == approvals_of(change, approver=people["bob"])[0]["sys_id"]


def test_a_blocker_names_delegates_and_how_an_administrator_answers(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(assignment_group=add_group("Network"), requested_by=people["dee"], opened_by=people["dee"])
    edit("change_request", change, state=ASSESS)
    ends = "2099-01-01 00:00:00"
    for name in ("bob", "dee"):
        create_record(get_table("sys_user_delegate"), callers["ann"], {"delegate": people[name], "ends": ends})

    [blocker] = list_blockers(change_of(change))
    row = approvals_of(change)[0]["sys_id"]
    assert blocker.who_can == (
        {"type": "user", "name": "Ann", "sys_id": people["ann"]},
        # Without Dee, who requested the change.
        {"type": "user", "name": "Bob", "sys_id": people["bob"]},
        {"type": "role", "name": "admin", "path": f"/api/now/table/sysapproval_approver/{row}"},
    )
    answer_pending(round_of(change, callers["bob"]), "approved", None)
    assert approvals_of(change)[0]["answered_by"] == people["bob"]


@pytest.mark.parametrize("is_answered", [False, True])
def test_after_the_planned_end_the_blocker_is_the_window(
    people: dict[str, str], callers: dict[str, Caller], either_app: Flask, is_answered: bool
) -> None:
    either_app.config["CLOCK"] = Clock()
    add_policy(of_users(people["ann"]), of_users(people["bob"], valid_hours="240"))
    end = f"{now() + timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    change = add_change(assignment_group=add_group("Network"), end_date=end)
    edit("change_request", change, state=ASSESS)
    if is_answered:
        answer(change, callers["ann"])
    either_app.config["CLOCK"].advance(hours=2)

    window, approval = list_blockers(change_of(change))
    assert (window.code, window.field) == ("field", "end_date")
    assert (
        window.sentence == f"The planned end of the change was {end}. Plan a new window: set start_date and end_date."
    )
    assert window.how == Call("PATCH", f"/api/now/table/change_request/{change}", {"start_date": "", "end_date": ""})
    assert {"type": "role", "name": "itil"} in window.who_can
    assert [who["name"] for who in approval.who_can] == ["Bob", "admin"]
    if not is_answered:
        with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
            answer(change, callers["ann"])
        assert refusal.value.detail == f"The planned end of this change was {end}. Plan a new window first"

    edit("change_request", change, start_date="2098-01-01 00:00:00", end_date="2099-01-01 00:00:00")
    assert {who["name"] for each in list_blockers(change_of(change)) for who in each.who_can} == {"Ann", "Bob", "admin"}


def test_between_an_expiry_and_the_job_the_blocker_shows_what_has_expired(
    people: dict[str, str], callers: dict[str, Caller], either_app: Flask
) -> None:
    either_app.config["CLOCK"] = Clock()
    add_policy(of_users(people["ann"], valid_hours="1"), of_users(people["bob"]))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    answer(change, callers["ann"])
    expires = approvals_of(change, approver=people["ann"])[0]["expires"]
    either_app.config["CLOCK"].advance(hours=2)

    expired, pending = list_blockers(change_of(change))
    expected = f"Rule 0: 1 more approval required. The approval was valid until {expires:%Y-%m-%d %H:%M:%S}."
    assert expired.sentence.endswith(f"{expected} It is requested again automatically.")
    assert ([who["name"] for who in expired.who_can], expired.how) == (["Ann"], None)
    assert [who["name"] for who in pending.who_can] == ["Bob", "admin"]


def test_a_hold_of_the_change_holds_its_approvals(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change(assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    edit("change_request", change, on_hold=True, on_hold_reason="freeze")
    assert states_of(change) == {people["ann"]: "not_required"}
    assert change_of(change)["approval"] == "requested"

    edit("change_request", change, on_hold=False)
    answer(change, callers["ann"])
    assert change_of(change)["state"] == AUTHORIZE


# Rounds


def test_asking_again_begins_a_new_round(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])
    leave(change)
    assert states_of(change) == {people["ann"]: "approved", people["bob"]: "cancelled"}
    assert counts_of(change)["approval.missing"] == 0

    assert enter(change).approval == "requested"
    assert states_of(change, round=1) == {people["ann"]: "approved", people["bob"]: "cancelled"}
    assert states_of(change, round=2) == {people["ann"]: "requested", people["bob"]: "requested"}
    answer(change, callers["bob"])
    assert change_of(change)["approval"] == "requested"
    assert outcomes_of(change) == ["requested", "cancelled", "requested"]


def test_a_reverted_change_begins_a_new_round_in_another_state_as_well(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    add_policy(of_users(people["bob"]), state=AUTHORIZE)
    change = add_change()
    enter(change)
    leave(change)
    enter(change, AUTHORIZE)

    assert [(row["round"], row["state"]) for row in approvals_of(change)] == [(1, "cancelled"), (2, "requested")]


def test_a_state_that_is_entered_again_begins_a_new_round(people: dict[str, str], callers: dict[str, Caller]) -> None:
    """A model of a site may lead from Authorize back to Assess."""
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])

    assert enter(change).approval == "requested"
    assert states_of(change, round=1) == {people["ann"]: "approved", people["bob"]: "cancelled"}
    assert states_of(change, round=2) == {people["ann"]: "requested", people["bob"]: "requested"}


def test_a_rejected_change_is_asked_again_in_a_new_round(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    answer(change, callers["ann"], "rejected", comments="no")
    leave(change)

    assert enter(change).approval == "requested"
    assert states_of(change, round=1) == {people["ann"]: "rejected"}
    assert outcomes_of(change) == ["requested", "rejected", "requested"]


def test_both_states_of_a_round_count(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    add_policy(of_users(people["bob"]), state=AUTHORIZE)
    change = add_change()
    enter(change)
    answer(change, callers["ann"])

    assert enter(change, AUTHORIZE).approval == "requested"
    assert {row["round"] for row in approvals_of(change)} == {1}
    answer(change, callers["bob"])
    assert change_of(change)["approval"] == "approved"


def test_a_hold_ends_open_approvals_until_it_is_released(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])

    requests.hold_approvals(round_of(change))
    assert states_of(change) == {people["ann"]: "approved", people["bob"]: "not_required"}
    assert waiting_for(change)[0].users == [people["bob"]]
    requests.release_approvals(round_of(change))
    assert states_of(change) == {people["ann"]: "approved", people["bob"]: "requested"}
    answer(change, callers["bob"])
    assert change_of(change)["approval"] == "approved"


def test_a_cancellation_during_a_hold_cancels_the_held_approvals(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    requests.hold_approvals(round_of(change))
    leave(change, 4, "the change was canceled")
    requests.release_approvals(round_of(change))

    assert states_of(change) == {people["ann"]: "cancelled"}


def test_a_user_who_left_is_replaced_and_the_quorum_does_not_fall(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    group = add_group("Board", people["ann"], people["bob"])
    add_policy(of_group(group, wait_for="all"))
    change = add_change()
    enter(change)
    edit("sys_user", people["bob"], active=False)
    requests.redraw(round_of(change), "bob left")

    assert states_of(change) == {people["ann"]: "requested", people["bob"]: "cancelled"}
    answer(change, callers["ann"])
    assert change_of(change)["approval"] == "requested"
    add("sys_user_grmember", user=people["cem"], group=group)
    requests.redraw(round_of(change), "cem joined")
    answer(change, callers["cem"])
    assert change_of(change)["approval"] == "approved"


def test_an_edit_that_selects_another_policy_asks_other_people(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"), condition="risk=4")
    add_policy(of_users(people["cem"]), condition="risk=2", order=20)
    change = add_change(risk="4")
    enter(change)
    answer(change, callers["ann"])
    edit("change_request", change, risk="2")

    assert requests.request_again(round_of(change), "risk has changed", facts) == "requested"
    assert states_of(change) == {
        people["ann"]: "cancelled",
        people["bob"]: "cancelled",
        people["cem"]: "requested",
    }


def test_an_edit_that_selects_the_same_policy_keeps_the_answers(
    people: dict[str, str], callers: dict[str, Caller]
) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"), condition="riskIN3,4")
    change = add_change(risk="4")
    enter(change)
    answer(change, callers["ann"])
    write(change, risk=3)

    requests.request_again(round_of(change), "risk has changed", facts)
    assert states_of(change) == {people["ann"]: "approved", people["bob"]: "requested"}


# Explanation


def test_a_decision_explains_who_counted_and_who_did_not(people: dict[str, str], callers: dict[str, Caller]) -> None:
    policy = add_policy(of_users(people["ann"], people["bob"], wait_for="all"), name="Two peers")
    change = add_change(requested_by=people["dee"], opened_by=people["dee"])
    administrator = caller_for(add_account("root"), "admin")
    enter(change)
    answer(change, administrator, approver=people["ann"])
    answer(change, callers["bob"])

    decision = decisions_of(change)[-1]
    assert (decision["outcome"], decision["policy"], decision["policy_name"]) == ("approved", policy, "Two peers")
    assert (decision["number"], decision["round"], decision["stage"]) == (change_of(change)["number"], 1, ASSESS)
    [rule] = json.loads(decision["explanation"])["rules"]
    assert (rule["passed"], rule["required"], rule["not_counted"]) == (True, 2, [])
    assert [(each["approver"], each["answered_by"], each["answered_as"]) for each in rule["counted"]] == [
        (people["ann"], administrator.sys_id, "administrator"),
        (people["bob"], people["bob"], "approver"),
    ]


def test_decisions_outlive_the_change(people: dict[str, str], callers: dict[str, Caller]) -> None:
    add_policy(of_users(people["ann"]))
    change = add_change()
    enter(change)
    answer(change, callers["ann"])
    remove("change_request", change)

    assert outcomes_of(change) == ["requested", "approved"]
    assert states_of(change) == {people["ann"]: "approved"}
