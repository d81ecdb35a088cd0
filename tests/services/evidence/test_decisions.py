"""What the verification says about decisions that real people made."""

import json

import pytest
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.extensions import db
from changegate.models import ChgApprovalDef, ChgHistory, TaskCi
from changegate.services.evidence.verification import verify
from changegate.services.history.actors import SYSTEM, actor_of
from changegate.services.history.chain import append
from tests.services.approvals.asked_changes import (
    ASSESS,
    add,
    add_group,
    add_people,
    add_policy,
    answer,
    edit,
    enter,
    of_group,
    of_users,
)
from tests.services.approvals.test_claims import add_change, add_integration, by_claims
from tests.services.standard_changes.template_records import add_template
from tests.support.people import ROOT, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
CANCELED = 4


@pytest.fixture
def people() -> dict[str, str]:
    return add_people("ann", "bob", "eve")


def approved_change(requester: str, approver: str) -> str:
    add_policy(of_users(approver))
    # Without an assignment group, no move follows.
    change = add("change_request", requested_by=requester)
    enter(change)
    answer(change, caller_for(approver))
    commit()
    return change


def kinds(change: str) -> list[str]:
    found = select(ChgHistory.kind).where(ChgHistory.subject_id == change).order_by(ChgHistory.seq)
    return list(connection().execute(found).scalars())


def codes() -> list[tuple[str, str | None]]:
    return [(each.code, each.subject_id) for each in verify().observations if each.code != "state_differs"]


def test_an_approval_is_in_order(people: dict[str, str]) -> None:
    change = approved_change(people["ann"], people["bob"])
    assert kinds(change) == ["created", "requested", "answered", "decided"]
    assert codes() == []


def test_an_approval_by_claims_is_in_order() -> None:
    add_integration()
    add_policy(by_claims())
    change = add_change()
    enter(change)
    commit()
    assert kinds(change) == ["created", "decided"]
    assert codes() == []


def test_a_request_that_was_canceled_without_an_answer_is_in_order(people: dict[str, str]) -> None:
    add_policy(of_users(people["bob"]))
    change = add("change_request", requested_by=people["ann"], assignment_group=add_group("Network"))
    edit("change_request", change, state=ASSESS)
    edit("change_request", change, state=CANCELED)
    commit()
    assert "withdrawn" in kinds(change)
    assert codes() == []


def test_an_answer_of_an_earlier_round_does_not_count(people: dict[str, str]) -> None:
    """After a revert, everybody is asked again."""
    change = approved_change(people["ann"], people["bob"])
    decided = select(ChgHistory.facts).where(ChgHistory.subject_id == change, ChgHistory.kind == "decided")
    facts = json.loads(connection().execute(decided).scalar_one())
    append("change_request", change, "decided", facts, SYSTEM)
    commit()
    assert codes() == []
    append("change_request", change, "decided", facts | {"round": facts["round"] + 1}, SYSTEM)
    commit()
    assert codes() == [("answer_unrecorded", change)]


def test_a_change_decided_under_a_policy_that_the_approver_edited_is_listed(people: dict[str, str]) -> None:
    add("sys_user_has_role", user=people["bob"], role="admin")
    policy = add_policy(of_users(people["bob"]))
    edit("chg_policy_approval", policy, caller_for(people["bob"], "admin"), description="Only I")
    change = add("change_request", requested_by=people["ann"], assignment_group=add_group("Network"))
    enter(change)
    answer(change, caller_for(people["bob"]))
    commit()
    assert codes() == [("policy_edited_by_approver", change)]


def test_a_rule_counts_as_an_edit_of_its_policy(people: dict[str, str]) -> None:
    add("sys_user_has_role", user=people["bob"], role="admin")
    group = add_group("CAB", people["bob"])
    policy = add_policy(of_group(group))
    sys_id = connection().execute(select(ChgApprovalDef.sys_id).where(ChgApprovalDef.policy == policy)).scalar_one()
    edit("chg_approval_def", sys_id, caller_for(people["bob"], "admin"), name="Mine")
    change = add("change_request", requested_by=people["ann"], assignment_group=group)
    enter(change)
    answer(change, caller_for(people["bob"]))
    commit()
    assert codes() == [("policy_edited_by_approver", change)]


def test_an_administrator_who_answers_for_another_person_does_not_count_as_the_requester(
    people: dict[str, str],
) -> None:
    change = add("change_request", requested_by=people["ann"], assignment_group=add_group("Network"))
    add_policy(of_users(people["bob"]))
    enter(change)
    answer(change, ROOT, approver=people["bob"])
    commit()
    assert kinds(change)[:3] == ["created", "requested", "answered"]
    assert codes() == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"state": "-2", "approval": "approved"}, ["approval_imported"]),
        ({"state": "-2", "approval": "not requested"}, []),
        ({"state": "0", "approval": "approved"}, []),
    ],
)
def test_an_imported_approval_is_listed(sent: dict[str, str], expected: list[str]) -> None:
    change = add("change_request", **sent)
    edit("change_request", change, short_description="Edited")
    commit()

    report = verify()
    assert [each.code for each in report.observations] == expected
    assert report.is_clean


def test_the_approval_by_a_template_is_not_listed_as_imported() -> None:
    template = add_template()
    change = add("change_request", std_change_producer_version=template, assignment_group=add_group("Network"))
    edit("change_request", change, state="-2")
    commit()
    assert codes() == []


def test_content_that_was_edited_in_the_database_after_its_approval_is_found(people: dict[str, str]) -> None:
    change = approved_change(people["ann"], people["bob"])
    item = add("cmdb_ci", name="web")
    commit()
    assert codes() == []

    db.session.add(TaskCi(task=change, ci_item=item))
    commit()
    assert codes() == [("content_differs", change)]
    [found] = [each for each in verify().observations if each.code == "content_differs"]
    assert found.sentence == "An approval does not cover the change as it is: Affected CIs: added web."


@pytest.mark.parametrize(("field", "found"), [("implementation_plan", ["own_approval"]), ("description", [])])
def test_an_approval_by_a_person_who_edited_what_it_covers_is_found(
    people: dict[str, str], field: str, found: list[str]
) -> None:
    change = approved_change(people["ann"], people["bob"])
    rows = connection().execute(select(ChgHistory.kind, ChgHistory.facts).where(ChgHistory.subject_id == change))
    facts = {row.kind: json.loads(row.facts) for row in rows}
    edited = {"changes": {field: [None, "Mine"]}}
    append("change_request", change, "edited", edited, actor_of(caller_for(people["bob"])))
    append("change_request", change, "decided", facts["decided"], SYSTEM)
    commit()
    assert codes() == [(code, change) for code in (*found, "fields_differ")]
