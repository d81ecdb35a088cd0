"""Attacks on quorums: people who asked for a change, or who answer twice, try to complete one."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from changegate.database.packed import PackedJSON
from changegate.errors import AccessRefused
from changegate.extensions import db, now
from changegate.services.access.caller import Caller, TokenOrigin
from changegate.services.approvals import requests
from changegate.services.approvals.answers import answer_pending
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.services.approvals.asked_changes import (
    ASSESS,
    AUTHORIZE,
    add,
    add_group,
    add_policy,
    answer,
    approvals_of,
    change_of,
    decisions_of,
    edit,
    enter,
    leave,
    of_group,
    of_users,
    round_of,
    states_of,
)
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
ISSUER = "https://idp.example.com"
CHANGES = get_table("change_request")


@pytest.fixture
def people() -> dict[str, str]:
    return {name: add_account(name, employee_number=f"E-{name}") for name in ("ann", "bob", "dee", "req")}


def change_of_requester(people: dict[str, str], **columns: Any) -> str:
    """Return a normal change that one person has opened, with columns that no caller can write."""
    created = create_record(CHANGES, caller_for(people["req"], "itil"), {"type": "normal"})
    source = CHANGES.source
    if columns:
        db.session.execute(db.update(source).where(source.c["sys_id"] == created["sys_id"]).values(columns))
    sys_id: str = created["sys_id"]
    return sys_id


def delegate(by: str, to: str) -> None:
    ends = f"{now() + timedelta(days=1):%Y-%m-%d %H:%M:%S}"
    create_record(get_table("sys_user_delegate"), caller_for(by), {"delegate": to, "ends": ends})


def caller_of(people: dict[str, str], name: str) -> Caller:
    return caller_for(people[name], "itil")


def latest_explanation(change: str) -> dict[str, Any]:
    explanation: dict[str, Any] = json.loads(decisions_of(change)[-1]["explanation"])
    return explanation


def test_a_requester_in_the_group_is_not_asked(people: dict[str, str]) -> None:
    add_policy(of_group(add_group("Crew", people["ann"], people["req"]), wait_for="all"))
    change = change_of_requester(people)
    enter(change)

    assert states_of(change) == {people["ann"]: "requested"}
    [rule] = latest_explanation(change)["rules"]
    assert rule["excluded"] == {people["req"]: "Req requested this change"}


def test_a_second_account_of_the_requester_in_the_group_is_not_asked(people: dict[str, str]) -> None:
    second = add_account("req.admin", employee_number="e-REQ")
    add_policy(of_group(add_group("Crew", second)))
    change = change_of_requester(people)

    assert enter(change).approval == "not requested"
    assert states_of(change) == {}


def test_a_requester_cannot_answer_as_a_delegate(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], people["req"])

    with pytest.raises(AccessRefused) as refusal:
        answer(change, caller_of(people, "req"), approver=people["ann"])
    assert "Req requested this change" in str(refusal.value.detail)
    assert change_of(change)["approval"] == "requested"


def test_a_second_account_of_the_requester_cannot_answer_as_a_delegate(people: dict[str, str]) -> None:
    second = add_account("req.admin", employee_number="E-req")
    add_policy(of_users(people["ann"]))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], second)

    with pytest.raises(AccessRefused):
        answer(change, caller_for(second), approver=people["ann"])


def test_the_delegate_of_a_person_who_has_left_cannot_answer(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"]))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], people["dee"])
    edit("sys_user", people["ann"], active="false")

    # Before a job has requested the approval from other people.
    with pytest.raises(AccessRefused) as refusal:
        answer(change, caller_of(people, "dee"), approver=people["ann"])
    assert "who may not approve: the account is inactive" in str(refusal.value.detail)


def test_a_delegate_without_the_role_of_the_rule_cannot_answer(people: dict[str, str]) -> None:
    role = add("sys_user_role", name="release_board")
    add("sys_user_has_role", user=people["ann"], role=role)
    add_policy(of_users(people["ann"], required_role=role))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], people["dee"])

    with pytest.raises(AccessRefused) as refusal:
        answer(change, caller_of(people, "dee"), approver=people["ann"])
    assert "the account does not have the role release_board" in str(refusal.value.detail)


def test_an_answer_for_a_person_who_has_left_does_not_complete_a_quorum(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], people["dee"])
    answer(change, caller_of(people, "dee"), approver=people["ann"])
    edit("sys_user", people["ann"], active="false")
    answer(change, caller_of(people, "bob"))

    assert change_of(change)["approval"] == "requested"


def test_the_person_behind_the_token_is_not_asked(people: dict[str, str]) -> None:
    octo = add_account("octo.cat", (ISSUER, "octo"))
    add_policy(of_users(octo, people["ann"]))
    token = {"oauth_client_id": "c" * 32, "oauth_issuer": ISSUER, "source_actor": "octo"}
    change = change_of_requester(people, **token)
    enter(change)

    assert states_of(change) == {people["ann"]: "requested"}


def test_a_rule_may_allow_the_requester(people: dict[str, str]) -> None:
    add_policy(of_users(people["req"], allows_requester="true"))
    change = change_of_requester(people)
    enter(change)
    answer(change, caller_of(people, "req"))

    assert change_of(change)["approval"] == "approved"


@pytest.mark.parametrize("is_required", [False, True])
def test_an_unknown_actor_is_shown_and_a_policy_may_demand_a_known_one(
    people: dict[str, str], is_required: bool
) -> None:
    add_policy(of_users(people["ann"]), requires_mapped_actor=str(is_required).lower())
    change = change_of_requester(people, oauth_client_id="c" * 32, oauth_issuer=ISSUER, source_actor="ghost")

    assert enter(change).approval == ("not requested" if is_required else "requested")
    assert latest_explanation(change)["unmapped_actor"] == f"ghost at {ISSUER}"


def test_one_delegate_of_two_approvers_counts_once(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = change_of_requester(people)
    enter(change)
    for name in ("ann", "bob"):
        delegate(people[name], people["dee"])
        answer(change, caller_of(people, "dee"), approver=people[name])

    assert change_of(change)["approval"] == "requested"
    assert {(row["state"], row["answered_by"], row["answered_as"]) for row in approvals_of(change)} == {
        ("approved", people["dee"], "delegate")
    }


def test_mutual_delegates_count_once_each(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = change_of_requester(people)
    enter(change)
    delegate(people["ann"], people["bob"])
    delegate(people["bob"], people["ann"])
    for name in ("ann", "bob"):
        answer(change, caller_of(people, "ann"), approver=people[name])

    assert change_of(change)["approval"] == "requested"


def test_two_accounts_of_one_person_count_once(people: dict[str, str]) -> None:
    second = add_account("ann.admin", employee_number="E-ann")
    add_policy(of_users(people["ann"], second, wait_for="all"), of_users(people["bob"]))
    change = change_of_requester(people)
    enter(change)

    assert people["ann"] in states_of(change)
    assert second not in states_of(change)


def test_an_account_that_turns_out_to_be_the_requesters_does_not_count(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]), of_users(people["bob"]))
    change = change_of_requester(people)
    enter(change)
    answer(change, caller_of(people, "ann"))
    create_record(get_table("sys_user_identity"), ROOT, {"user": people["ann"], "issuer": ISSUER, "subject": "x"})
    create_record(get_table("sys_user_identity"), ROOT, {"user": people["req"], "issuer": ISSUER, "subject": "x"})
    answer(change, caller_of(people, "bob"))

    assert change_of(change)["approval"] == "requested"


def test_an_administrator_answers_for_another_user_with_both_names(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = change_of_requester(people)
    enter(change)
    answer(change, ROOT, approver=people["ann"])

    [row] = approvals_of(change)
    assert (row["approver"], row["answered_by"], row["answered_as"]) == (people["ann"], ROOT.sys_id, "administrator")
    assert change_of(change)["approval"] == "approved"


def test_an_administrator_who_asked_for_the_change_is_recorded_and_does_not_count(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = add("change_request", type="normal")
    enter(change)
    answer(change, ROOT, approver=people["ann"])

    row, again = approvals_of(change)
    assert (row["state"], row["answered_by"]) == ("approved", ROOT.sys_id)
    assert (again["state"], again["approver"]) == ("requested", people["ann"])
    assert change_of(change)["approval"] == "requested"
    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"


# People who have edited what they are asked to approve


def test_a_person_who_edited_the_plan_after_the_request_does_not_approve_it(people: dict[str, str]) -> None:
    second = add_account("ann.admin", employee_number="E-ann")
    add_policy(of_group(add_group("Crew", people["ann"], people["bob"])))
    change = change_of_requester(people)
    enter(change)
    edit("change_request", change, caller_of(people, "ann"), implementation_plan="Mine", short_description="New")

    reason = "Ann has edited Implementation plan since approvals were requested"
    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}
    assert approvals_of(change, approver=people["ann"])[0]["void_reason"] == reason
    delegate(people["bob"], second)
    with pytest.raises(AccessRefused) as refusal:
        answer(change, caller_for(second), approver=people["bob"])
    assert reason in str(refusal.value.detail)
    answer(change, caller_of(people, "bob"))
    assert change_of(change)["approval"] == "approved"


def test_the_edit_of_an_approver_voids_their_own_answer_for_good(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"], people["bob"], wait_for="all"))
    change = change_of_requester(people)
    enter(change)
    answer(change, caller_of(people, "ann"))
    edit("change_request", change, caller_of(people, "ann"), implementation_plan="Mine")

    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "requested"}
    edit("change_request", change, caller_of(people, "bob"), backout_plan="Ours")
    assert states_of(change) == {people["ann"]: "cancelled", people["bob"]: "cancelled"}
    assert change_of(change)["approval"] == "not requested"


@pytest.mark.parametrize(
    ("rule", "edited"),
    [
        ({"governed_fields": "backout_plan"}, {"implementation_plan": "Mine"}),
        ({"allows_requester": "true"}, {"implementation_plan": "Mine"}),
        ({}, {"short_description": "Mine", "close_notes": "None"}),
    ],
    ids=["another rule depends on the field", "the rule allows it", "no approval covers the field"],
)
def test_other_edits_do_not_exclude_an_approver(
    people: dict[str, str], rule: dict[str, str], edited: dict[str, str]
) -> None:
    add_policy(of_users(people["ann"], **rule), of_users(people["bob"]))
    change = change_of_requester(people)
    enter(change)
    edit("change_request", change, caller_of(people, "ann"), **edited)

    for name in ("ann", "bob"):
        answer(change, caller_of(people, name))
    assert change_of(change)["approval"] == "approved"


@pytest.mark.parametrize("by_email", [False, True])
def test_the_person_behind_the_token_of_an_edit_does_not_approve_it(people: dict[str, str], by_email: bool) -> None:
    octo = add_account("octo.cat", (ISSUER, "octo"), email="octo@example.com")
    robot = add_account("robot")
    add_policy(of_users(octo, people["ann"]))
    change = change_of_requester(people)
    enter(change)
    person = {"email": "Octo@example.com", "email_verified": True}
    claims = PackedJSON().process_bind_param(person, db.engine.dialect) if by_email else None
    origin = TokenOrigin("c" * 32, "x" * 32, issuer=ISSUER, subject="1" if by_email else "octo", claims=claims)
    caller = replace(caller_for(robot, "itil"), origin=origin)
    edit("change_request", change, caller, implementation_plan="Theirs")

    assert states_of(change) == {octo: "cancelled", people["ann"]: "requested"}


def test_an_edit_before_the_request_excludes_no_approver(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    change = change_of_requester(people)
    enter(change)
    edit("change_request", change, caller_of(people, "ann"), implementation_plan="Mine")
    assert change_of(change)["approval"] == "not requested"
    leave(change)
    enter(change)

    answer(change, caller_of(people, "ann"))
    assert change_of(change)["approval"] == "approved"


# People who are asked in two states


def asked_twice(people: dict[str, str], *, second: tuple[str, ...] = ("ann", "dee"), **policy: Any) -> str:
    """Return a change that Ann has approved in Assess, and that is in Authorize."""
    add_policy(of_users(people["ann"], people["bob"]))
    rule = policy.pop("rule", {})
    add_policy(of_users(*(people[name] for name in second), **rule), state=AUTHORIZE, **policy)
    change = change_of_requester(people)
    enter(change)
    answer(change, caller_of(people, "ann"))
    enter(change, AUTHORIZE)
    return change


def test_one_person_does_not_approve_in_two_states(people: dict[str, str]) -> None:
    change = asked_twice(people)

    assert states_of(change, stage=AUTHORIZE) == {people["dee"]: "requested"}
    [rule] = latest_explanation(change)["rules"]
    assert rule["excluded"] == {people["ann"]: "the same person has approved this change in Assess"}
    delegate(people["dee"], people["ann"])
    with pytest.raises(AccessRefused) as refusal:
        answer(change, caller_of(people, "ann"), approver=people["dee"])
    assert "the same person has approved this change in Assess" in str(refusal.value.detail)
    answer(change, caller_of(people, "dee"))
    assert change_of(change)["approval"] == "approved"


def test_another_account_of_a_person_does_not_approve_in_another_state(people: dict[str, str]) -> None:
    people["ann2"] = add_account("ann.admin", employee_number="E-ann")
    change = asked_twice(people, second=("ann2",))

    assert change_of(change)["approval"] == "not requested"
    reason = str(decisions_of(change)[-1]["reason"])
    assert "contains no user who may approve (the same person has approved this change in Assess)" in reason


def test_an_administrator_does_not_count_in_two_states(people: dict[str, str]) -> None:
    add_policy(of_users(people["ann"]))
    add_policy(of_users(people["dee"]), state=AUTHORIZE)
    change = change_of_requester(people)
    enter(change)
    answer(change, ROOT, approver=people["ann"])
    enter(change, AUTHORIZE)
    answer(change, ROOT, approver=people["dee"])

    assert change_of(change)["approval"] == "requested"
    assert states_of(change, stage=ASSESS) == {people["ann"]: "approved"}
    answer(change, caller_of(people, "dee"))
    assert change_of(change)["approval"] == "approved"


@pytest.mark.parametrize(
    "policy",
    [{"excludes_earlier": "false"}, {"rule": {"accepts_earlier": "true"}}],
    ids=["the policy allows it", "the rule accepts the earlier approval"],
)
def test_a_policy_may_allow_one_person_in_two_states(people: dict[str, str], policy: dict[str, Any]) -> None:
    change = asked_twice(people, second=("ann",), **policy)
    if "rule" not in policy:
        answer(change, caller_of(people, "ann"))

    assert change_of(change)["approval"] == "approved"


def test_one_answer_approves_in_two_states_if_the_later_one_accepts_it(people: dict[str, str]) -> None:
    """Also if the approval in the earlier state was requested last, after another person's answer was void."""
    add_policy(of_users(people["ann"], people["bob"]))
    add_policy(of_users(people["ann"], accepts_earlier=True), state=AUTHORIZE)
    change = change_of_requester(people)
    enter(change)
    answer(change, caller_of(people, "bob"))
    enter(change, AUTHORIZE)
    edit("sys_user", people["bob"], active="false")
    edit("change_request", change, caller_of(people, "req"), implementation_plan="Other")
    assert [row["stage"] for row in approvals_of(change, state="requested")] == [AUTHORIZE, ASSESS]
    assert answer_pending(round_of(change, caller_of(people, "ann")), "approved", None) == "approved"


@pytest.mark.parametrize("at_once", [False, True])
def test_a_person_who_is_asked_in_two_states_approves_in_one_of_them(people: dict[str, str], at_once: bool) -> None:
    change = asked_twice(people)
    edit("change_request", change, caller_of(people, "req"), implementation_plan="Other")
    edit("sys_user", people["dee"], active="false")
    requests.redraw(round_of(change), "dee left")
    # The answer in Assess is void, so that Ann may approve in Authorize as well.
    assert states_of(change, state="requested") == {people["ann"]: "requested"}
    assert {row["stage"] for row in approvals_of(change, state="requested")} == {ASSESS, AUTHORIZE}

    if at_once:
        answer_pending(round_of(change, caller_of(people, "ann")), "approved", None)
    else:
        answer(change, caller_of(people, "ann"))
    [stage] = {row["stage"] for row in approvals_of(change, approver=people["ann"], state="approved")}
    assert stage == (ASSESS if at_once else AUTHORIZE)
    if not at_once:
        assert states_of(change, stage=ASSESS, state="requested") == {people["bob"]: "requested"}
        answer(change, caller_of(people, "bob"))
        assert change_of(change)["approval"] == "approved"
