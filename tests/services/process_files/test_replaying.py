"""Edited policies over past requests: what they would have led to, from the facts of then, without any write."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from changegate.database import commit, connection, rollback
from changegate.models import ChgApprovalDecision
from changegate.models.base import utc_now
from changegate.services.process_files.past_requests import ASKED, BY_CLAIMS, NOBODY, REJECTED_BY_CLAIMS
from changegate.services.process_files.replaying import Replay, Replayed, read_policies, replay
from tests.services.approvals.asked_changes import (
    ASSESS,
    AUTHORIZE,
    add,
    add_group,
    add_policy,
    answer,
    edit,
    enter,
    of_group,
    remove,
    write,
)
from tests.services.approvals.test_claims import FROM_MAIN, add_change, add_integration
from tests.services.process_files.process_texts import apply, dump_database
from tests.support.people import add_account, caller_for

TRUSTED = f"""
policies:
  - name: Trusted pipelines
    active: true
    order: 1
    state: -4
    rules:
      - name: From main
        approver_source: claims
        condition: {FROM_MAIN}
"""


def asking(group: str, condition: str = "", **fields: Any) -> str:
    """Return a file with a policy that asks a group."""
    values = {"condition": condition, "order": 1, "state": -4, **fields}
    lines = [f"    {name}: {value}" for name, value in values.items()]
    rule = f"    rules:\n      - {{name: Members, approver_source: group, group: {group}}}\n"
    return "policies:\n  - name: Edited\n    active: true\n" + "\n".join(lines) + f"\n{rule}"


@pytest.fixture(autouse=True)
def people(either_app: Flask) -> Iterator[dict[str, str]]:
    with either_app.app_context():
        add_integration()
        users = {name: add_account(name) for name in ("ann", "bob", "cem")}
        add_group("Peers", users["ann"], users["bob"])
        add_group("Experts", users["cem"])
        add_group("Empty")
        add_policy(of_group("Peers"), name="Stored", order=5)
        commit()
        yield users


def replayed(text: str, days: int = 90) -> Replay:
    """Return what a file would have led to, and insist that nothing is written."""
    commit()
    before = dump_database()
    apply(text)
    policies = read_policies()
    rollback()
    result = replay(policies, utc_now(), days)
    commit()
    assert dump_database() == before
    return result


def only(text: str) -> Replayed:
    [request] = replayed(text).requests
    return request


def entered(change: str, state: int = ASSESS) -> str:
    enter(change, state)
    return change


def test_an_unchanged_policy_leads_to_what_was_decided(people: dict[str, str]) -> None:
    entered(add_change())
    request = only("policies: []\n")
    assert not request.differs
    assert request.edited.result == ASKED
    assert request.edited.policy == "Stored"
    assert set(request.edited.people) == {people["ann"], people["bob"]} == set(request.decided.people)


def test_a_pipeline_would_have_been_approved_and_others_still_ask() -> None:
    entered(add_change())
    entered(add("change_request"))
    entered(add_change({"source_ref": "refs/heads/other"}))
    requests = replayed(TRUSTED).requests
    assert {each.decided.result for each in requests} == {ASKED}
    assert sorted(each.edited.result for each in requests) == [BY_CLAIMS, ASKED, ASKED]


def test_a_pipeline_would_have_been_rejected() -> None:
    entered(add_change())
    request = only(TRUSTED.replace("approver_source: claims", "approver_source: claims\n        outcome: reject"))
    assert (request.edited.result, request.edited.policy) == (REJECTED_BY_CLAIMS, "Trusted pipelines")


def test_other_people_would_have_been_asked(people: dict[str, str]) -> None:
    entered(add_change())
    request = only(asking("Experts"))
    assert request.differs
    assert (request.edited.policy, request.edited.people) == ("Edited", (people["cem"],))


def test_nobody_would_have_been_asked() -> None:
    entered(add_change())
    request = only(asking("Empty"))
    assert (request.edited.result, request.edited.people) == (NOBODY, ())
    assert "the group Empty contains no user who may approve" in str(request.edited.reason)


def test_the_requester_would_not_have_been_asked(people: dict[str, str]) -> None:
    entered(add("change_request", requested_by=people["cem"]))
    assert only(asking("Experts")).edited.result == NOBODY


def test_a_request_without_anybody_to_ask_is_counted_as_such() -> None:
    policy = add_policy(of_group("Empty"), name="First", order=2)
    entered(add_change())
    edit("chg_policy_approval", policy, active=False)
    request = only("policies: []\n")
    assert (request.decided.result, request.edited.result) == (NOBODY, ASKED)


def test_the_risk_of_then_decides() -> None:
    change = entered(add_change(risk=2))
    edit("change_request", change, risk=4)
    request = only(asking("Experts", "risk=2"))
    assert (request.edited.policy, request.of_today) == ("Edited", frozenset())


def test_an_edit_after_the_request_does_not_take_its_claims_away() -> None:
    change = entered(add_change())
    edit("change_request", change, implementation_plan="by hand")
    assert only(TRUSTED).edited.result == BY_CLAIMS


def test_an_edit_before_the_request_did() -> None:
    change = add_change()
    edit("change_request", change, implementation_plan="by hand")
    entered(change)
    assert only(TRUSTED).edited.result == ASKED


def test_a_fact_without_a_record_is_that_of_today_and_named() -> None:
    change = entered(add_change(category="Software"))
    edit("change_request", change, category="Network")
    request = only(asking("Experts", "category=Network"))
    assert (request.edited.policy, request.of_today) == ("Edited", frozenset({"category"}))


def test_a_fact_that_the_decision_recorded_is_that_of_then() -> None:
    add_policy(of_group("Experts"), order=2, condition="category=Hardware")
    change = entered(add_change(category="Software"))
    edit("change_request", change, category="Network")
    request = only(asking("Experts", "category=Network"))
    assert (request.edited.policy, request.of_today) == ("Stored", frozenset())


def test_only_policies_of_the_state_and_the_model_count() -> None:
    entered(add_change())
    assert only(asking("Experts", state=-3)).edited.policy == "Stored"
    assert only(asking("Experts", chg_model="Emergency")).edited.policy == "Stored"
    assert only(asking("Experts", chg_model="Normal")).edited.policy == "Edited"
    assert only(asking("Experts").replace("active: true", "active: false")).edited.policy == "Stored"


def test_each_state_is_a_request_of_its_own() -> None:
    change = entered(add_change(type="normal"))
    entered(change, AUTHORIZE)
    assert [each.stage for each in replayed("policies: []\n").requests] == [ASSESS, AUTHORIZE]


def test_requests_before_the_time_are_left_out() -> None:
    entered(add_change())
    decisions = ChgApprovalDecision.__table__
    connection().execute(update(decisions).values(sys_created_on=utc_now() - timedelta(days=10)))
    assert len(replayed("policies: []\n", days=11).requests) == 1
    assert replayed("policies: []\n", days=9).requests == []


def test_requests_of_deleted_changes_are_counted() -> None:
    remove("change_request", entered(add_change()))
    result = replayed("policies: []\n")
    assert (list(result.requests), result.deleted) == ([], 1)


@pytest.mark.parametrize(
    ("values", "ended"),
    [
        ({"state": 3, "close_code": "successful"}, "successful"),
        ({"state": 3, "close_code": "unsuccessful"}, "unsuccessful"),
        ({"state": 3}, "closed without a close code"),
        ({"state": 4}, "canceled before"),
        ({"state": 4, "work_start": utc_now()}, "canceled after the work began"),
        ({"state": -1}, "not ended"),
    ],
)
def test_shows_how_the_change_ended(values: dict[str, Any], ended: str) -> None:
    change = entered(add_change())
    write(change, **values)
    assert only(TRUSTED).ended == ended


def test_who_approved_in_an_earlier_state_would_not_be_asked_again(people: dict[str, str]) -> None:
    change = entered(add_change())
    answer(change, caller_for(people["ann"], "approver_user"))
    entered(change, AUTHORIZE)
    text = asking("Peers", state=-3)
    texts = [text.replace("order: 1", f"excludes_earlier: {value}\n    order: 1") for value in ("true", "false")]
    [once, twice] = [replayed(each).requests[-1].edited.people for each in texts]
    assert once == (people["bob"],)
    assert set(twice) == {people["ann"], people["bob"]}
