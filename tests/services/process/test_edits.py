"""Approvals are bound to what was approved: edits by every write path, and what they do not void."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import OperationFailed
from changegate.extensions import db, now
from changegate.models import ChgHistory, CmdbCi, Job, SttrmState, SttrmStateTransition
from changegate.services.access.caller import Caller
from changegate.services.approvals.deadlines import list_due
from changegate.services.approvals.departures import RECOMPUTE
from changegate.services.attachments.reading import get_written
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment, delete_attachment, rename_attachment
from changegate.services.process.edits import recompute
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import INSTANT_FORMAT
from tests.services.approvals.asked_changes import (
    AUTHORIZE,
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
    write,
)
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
NEW, ASSESS, SCHEDULED, IMPLEMENT, REVIEW, PEER_CHECK, DONE = -5, -4, -2, -1, 0, 10, 11
CHANGES = get_table("change_request")


@pytest.fixture
def ann() -> Caller:
    return caller_for(add_account("ann"), "approver_user")


@pytest.fixture
def mallory() -> Caller:
    """A person who may edit every change."""
    return caller_for(add_account("mallory"), "itil")


@pytest.fixture
def item() -> str:
    return add("cmdb_ci", name="web")


def approved_change(by: Caller, **sent: Any) -> str:
    """Return a change in Scheduled that one person has approved in Authorize."""
    add_policy(of_users(by.sys_id), state=AUTHORIZE)
    fields = {"implementation_plan": "Deploy", "risk": "3", "assignment_group": add_group("Team")}
    change = add("change_request", type="normal", **fields, **sent)
    enter(change, AUTHORIZE)
    answer(change, by)
    assert change_of(change)["approval"] == "approved"
    write(change, state=SCHEDULED)
    return change


def assert_void(change: str, by: Caller, reason: str, state: int = SCHEDULED) -> None:
    """Check that the answer is void, that the person is asked again, and that the change cannot be implemented."""
    void, again = approvals_of(change, approver=by.sys_id)
    assert (void["state"], void["void_reason"]) == ("cancelled", reason)
    assert (again["state"], again["round"], again["stage"]) == ("requested", void["round"], void["stage"])
    assert (change_of(change)["state"], change_of(change)["approval"]) == (state, "requested")
    with pytest.raises(OperationFailed):
        edit("change_request", change, caller_for(add_account("carl"), "itil"), state=str(IMPLEMENT))


def assert_approved(change: str) -> None:
    assert [row["state"] for row in approvals_of(change)] == ["approved"]
    assert change_of(change)["approval"] == "approved"


def attach(change: str, caller: Caller, name: str = "plan.txt") -> Any:
    return create_attachment(caller, Target(CHANGES, change, name), measure(BytesIO(b"plan")))


def test_an_edit_of_a_plan_voids_the_approval_until_it_is_given_again(ann: Caller, mallory: Caller) -> None:
    change = approved_change(ann)
    edit("change_request", change, mallory, implementation_plan="Drop tables")

    assert_void(change, ann, 'Implementation plan changed from "Deploy" to "Drop tables", by mallory')
    answer(change, ann)
    assert change_of(change)["approval"] == "approved"
    edit("change_request", change, mallory, state=str(IMPLEMENT))
    assert change_of(change)["state"] == IMPLEMENT


def checked_change(by: Caller, **sent: Any) -> str:
    """Return an approved change of a copied model that is in a state of its own between Scheduled and Implement."""
    model = add("chg_model", name="Copy", copied_from="Normal", active="false")
    states = {row["state_value"]: row["sys_id"] for row in rows_of(SttrmState) if row["sttrm_model"] == model}
    for value, label in ((PEER_CHECK, "Peer check"), (DONE, "Done")):
        add("sys_choice", name="change_request", element="state", value=str(value), label=label)
        states[value] = add("sttrm_state", sttrm_model=model, state_value=str(value), state_label=label)
    [gate] = [
        row["sys_id"]
        for row in rows_of(SttrmStateTransition)
        if (row["sttrm_model"], row["from_state"], row["to_state"]) == (model, states[SCHEDULED], states[IMPLEMENT])
    ]
    edit("sttrm_state_transition", gate, from_state=states[PEER_CHECK])
    for source, target in ((SCHEDULED, PEER_CHECK), (PEER_CHECK, DONE)):
        ends = {"from_state": states[source], "to_state": states[target]}
        add("sttrm_state_transition", sttrm_model=model, name=f"{source} to {target}", **ends)
    edit("chg_model", model, active="true")
    change = approved_change(by, chg_model=model, **sent)
    edit("change_request", change, state=str(PEER_CHECK))
    assert change_of(change)["approval"] == "approved"
    return change


def rows_of(model: Any) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection().execute(select(model.__table__))]


def test_an_approval_is_bound_in_a_state_of_an_own_model(ann: Caller, mallory: Caller) -> None:
    change = checked_change(ann)
    with pytest.raises(OperationFailed):
        edit("change_request", change, mallory, implementation_plan="Drop tables", state=str(IMPLEMENT))
    edit("change_request", change, mallory, implementation_plan="Drop tables")

    assert_void(change, ann, 'Implementation plan changed from "Deploy" to "Drop tables", by mallory', PEER_CHECK)
    answer(change, ann)
    edit("change_request", change, mallory, state=str(IMPLEMENT))
    assert change_of(change)["state"] == IMPLEMENT


def test_the_deletion_of_an_item_voids_approvals_in_a_state_of_an_own_model(ann: Caller, item: str) -> None:
    change = checked_change(ann, cmdb_ci=item)
    remove("cmdb_ci", item)

    assert_void(change, ann, 'Configuration item changed from "web" to nothing, by admin', PEER_CHECK)


def test_jobs_follow_up_changes_in_a_state_of_an_own_model(ann: Caller) -> None:
    change = checked_change(ann, end_date=f"{now() + timedelta(hours=1):{INSTANT_FORMAT}}")
    assert list_due(now() + timedelta(hours=2), 10) == [change]
    edit("sys_user", ann.sys_id, active="false")

    assert [row["job_key"] for row in rows_of(Job) if row["kind"] == RECOMPUTE] == [change]


def test_an_edit_in_a_final_state_of_an_own_model_voids_nothing(ann: Caller, mallory: Caller) -> None:
    change = checked_change(ann, end_date=f"{now() + timedelta(hours=1):{INSTANT_FORMAT}}")
    edit("change_request", change, mallory, state=str(DONE))
    edit("change_request", change, mallory, implementation_plan="Drop tables")

    assert_approved(change)
    assert list_due(now() + timedelta(hours=2), 10) == []


@pytest.mark.parametrize("returns", [False, True])
def test_a_state_of_an_own_model_is_bound_as_long_as_implement_can_follow(
    ann: Caller, mallory: Caller, returns: bool
) -> None:
    """A change in a state after Implement is bound again only if a transition leads back."""
    change = checked_change(ann)
    states = {
        row["state_value"]: row["sys_id"] for row in rows_of(SttrmState) if row["sttrm_model"] == model_of(change)
    }
    ends = [(IMPLEMENT, DONE), (DONE, IMPLEMENT if returns else REVIEW)]
    for source, target in ends:
        transition = {"from_state": states[source], "to_state": states[target], "name": f"{source} to {target}"}
        add("sttrm_state_transition", sttrm_model=model_of(change), **transition)
    for state in (IMPLEMENT, DONE):
        edit("change_request", change, mallory, state=str(state))
    edit("change_request", change, mallory, implementation_plan="Drop tables")

    assert change_of(change)["approval"] == ("requested" if returns else "approved")


def model_of(change: str) -> str:
    return str(change_of(change)["chg_model"])


def test_edits_of_fields_that_only_a_rule_governs_are_recorded(ann: Caller, mallory: Caller) -> None:
    add_policy(of_users(ann.sys_id, governed_fields="category,description"), state=AUTHORIZE)
    change = add("change_request", type="normal", assignment_group=add_group("Team"))
    edit("change_request", change, mallory, category="Network")
    enter(change, AUTHORIZE)
    edit("change_request", change, mallory, category="Hardware", reason="Legislation")
    answer(change, ann)
    edit("change_request", change, mallory, state=str(IMPLEMENT))
    edit("change_request", change, mallory, category="Service", description="x", justification="y")
    edit("change_request", change, mallory, category="Other", state=str(REVIEW))

    rows = sorted(rows_of(ChgHistory), key=lambda row: row["seq"])
    entries = [(row["kind"], json.loads(row["facts"])) for row in rows if row["subject_id"] == change]
    edits = [(kind, facts["changes"], facts.get("deviations")) for kind, facts in entries if "changes" in facts]
    texts = {"description": [None, "x"], "justification": [None, "y"]}
    assert [each for each in edits if each[1].keys() != {"state"}] == [
        ("edited", {"category": ["Network", "Hardware"]}, None),
        ("deviated", {**texts, "category": ["Hardware", "Service"]}, ["description", "category"]),
        ("moved", {"state": ["-1", "0"], "category": ["Service", "Other"]}, ["category"]),
    ]


@pytest.mark.parametrize("name", ["implementation_plan", "risk"])
def test_a_request_that_edits_and_implements_at_once_is_refused(ann: Caller, mallory: Caller, name: str) -> None:
    change = approved_change(ann)

    with pytest.raises(OperationFailed):
        edit("change_request", change, mallory, **{name: "2", "state": str(IMPLEMENT)})
    edit("change_request", change, mallory, short_description="Today", state=str(IMPLEMENT))
    assert change_of(change)["state"] == IMPLEMENT


def test_an_edit_while_on_hold_asks_again_when_the_hold_ends(ann: Caller, mallory: Caller) -> None:
    change = approved_change(ann)
    edit("change_request", change, mallory, on_hold="true", on_hold_reason="wait", implementation_plan="Other")

    assert [row["state"] for row in approvals_of(change)] == ["cancelled", "not_required"]
    edit("change_request", change, mallory, on_hold="false")
    assert [row["state"] for row in approvals_of(change)] == ["cancelled", "requested"]


WRITES: dict[str, tuple[Callable[[str, str, Caller], Any], str]] = {
    "an affected CI": (
        lambda change, item, caller: add("task_ci", task=change, ci_item=item),
        "Affected CIs: added web, by admin",
    ),
    "an attachment": (lambda change, item, caller: attach(change, caller), "Attachments: added plan.txt (SHA-256 "),
}


@pytest.mark.parametrize("name", WRITES)
def test_records_beside_the_change_void_the_approval(ann: Caller, mallory: Caller, item: str, name: str) -> None:
    write, reason = WRITES[name]
    change = approved_change(ann)
    write(change, item, mallory)

    void = approvals_of(change, approver=ann.sys_id)[0]
    assert void["void_reason"].startswith(reason)
    assert_void(change, ann, void["void_reason"])


def test_removing_or_renaming_a_file_voids_the_approval(ann: Caller, mallory: Caller) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE)
    change = add("change_request", type="normal")
    files = [attach(change, mallory, name) for name in ("a.txt", "b.txt")]
    enter(change, AUTHORIZE)
    answer(change, ann)
    rename_attachment(mallory, files[0], "c.txt")
    assert "removed a.txt" in str(approvals_of(change)[0]["void_reason"])

    answer(change, ann)
    delete_attachment(mallory, get_written(files[1].sys_id))
    assert "removed b.txt" in str(approvals_of(change)[1]["void_reason"])
    assert change_of(change)["approval"] == "requested"


def test_an_affected_ci_that_is_changed_or_deleted_voids_the_approval(ann: Caller, item: str) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE)
    change = add("change_request", type="normal")
    row = add("task_ci", task=change, ci_item=item)
    enter(change, AUTHORIZE)
    answer(change, ann)
    edit("task_ci", row, ci_item=add("cmdb_ci", name="db"))
    assert approvals_of(change)[0]["void_reason"] == "Affected CIs: removed web, added db, by admin"

    answer(change, ann)
    remove("task_ci", row)
    assert approvals_of(change)[1]["void_reason"] == "Affected CIs: removed db, by admin"


def test_an_affected_ci_stays_with_its_change(item: str) -> None:
    one, other = add("change_request"), add("change_request")
    row = add("task_ci", task=one, ci_item=item)

    with pytest.raises(OperationFailed) as refusal:
        edit("task_ci", row, task=other)
    assert "Delete the record" in str(refusal.value.detail)
    edit("task_ci", row, task=one, manual_proposed_change="true")


def test_the_deletion_of_an_item_voids_the_approvals_of_changes_about_it(ann: Caller, item: str) -> None:
    other = add("cmdb_ci", name="db")
    change = approved_change(ann, cmdb_ci=item)
    add("task_ci", task=change, ci_item=other)
    answer(change, ann)

    remove("cmdb_ci", item)
    assert approvals_of(change)[1]["void_reason"] == 'Configuration item changed from "web" to nothing, by admin'
    answer(change, ann)
    remove("cmdb_ci", other)
    assert approvals_of(change)[2]["void_reason"] == "Affected CIs: removed db, by admin"


def test_the_deletion_of_a_change_leaves_its_answers_as_they_are(ann: Caller, item: str) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE)
    change = add("change_request", type="normal")
    add("task_ci", task=change, ci_item=item)
    enter(change, AUTHORIZE)
    answer(change, ann)
    remove("change_request", change)

    assert [row["state"] for row in approvals_of(change)] == ["approved"]


def test_open_approvals_end_when_their_change_is_deleted(ann: Caller) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE)
    change = add("change_request", type="normal")
    enter(change, AUTHORIZE)
    remove("change_request", change)

    [row] = approvals_of(change)
    assert (row["state"], row["void_reason"]) == ("cancelled", "the change was deleted")


def test_a_rejection_in_scheduled_returns_the_change_to_new(ann: Caller, mallory: Caller) -> None:
    change = approved_change(ann)
    edit("change_request", change, mallory, implementation_plan="Drop tables")
    answer(change, ann, "rejected", comments="no")

    assert (change_of(change)["state"], change_of(change)["approval"]) == (NEW, "rejected")
    edit("change_request", change, mallory, state=str(ASSESS))
    assert change_of(change)["state"] == ASSESS


def test_fields_that_no_approval_covers_void_nothing(ann: Caller, mallory: Caller, item: str) -> None:
    change = approved_change(ann)
    edit("change_request", change, mallory, work_notes="soon", business_service=item, conflict_status="Conflict")

    assert_approved(change)


def test_files_and_items_that_are_added_from_implement_on_void_nothing(ann: Caller, mallory: Caller, item: str) -> None:
    change = approved_change(ann)
    edit("change_request", change, mallory, state=str(IMPLEMENT))
    attach(change, mallory)
    add("task_ci", task=change, ci_item=item)
    edit("change_request", change, mallory, implementation_plan="Deploy twice")

    assert_approved(change)


def test_a_recalculated_risk_that_selects_the_same_policy_voids_nothing(ann: Caller) -> None:
    change = approved_change(ann)
    write(change, risk=2)

    edit("change_request", change, ROOT, short_description="x")
    assert_approved(change)


def test_an_edit_that_selects_another_policy_voids_every_answer(ann: Caller, mallory: Caller) -> None:
    bob = caller_for(add_account("bob"))
    rule = of_users(ann.sys_id, governed_fields="implementation_plan")
    add_policy(rule, state=AUTHORIZE, condition="risk=4", order=1)
    add_policy(of_users(bob.sys_id), state=AUTHORIZE, order=2)
    change = add("change_request", type="normal", risk="4")
    enter(change, AUTHORIZE)
    answer(change, ann)
    assert change_of(change)["approval"] == "approved"

    edit("change_request", change, mallory, risk="2")
    assert [row["state"] for row in approvals_of(change, approver=ann.sys_id)] == ["cancelled"]
    assert approvals_of(change, approver=ann.sys_id)[0]["void_reason"] == "the change was edited"
    assert [row["state"] for row in approvals_of(change, approver=bob.sys_id)] == ["requested"]
    assert change_of(change)["approval"] == "requested"


def test_only_the_answers_that_depend_on_the_edit_are_asked_again(ann: Caller, mallory: Caller) -> None:
    bob = caller_for(add_account("bob"))
    rules = (of_users(ann.sys_id, governed_fields="implementation_plan"), of_users(bob.sys_id))
    add_policy(*rules, state=AUTHORIZE)
    change = add("change_request", type="normal", backout_plan="Roll back")
    enter(change, AUTHORIZE)
    for caller in (ann, bob):
        answer(change, caller)

    edit("change_request", change, mallory, backout_plan="Hope")
    assert [row["state"] for row in approvals_of(change, approver=ann.sys_id)] == ["approved"]
    assert [row["state"] for row in approvals_of(change, approver=bob.sys_id)] == ["cancelled", "requested"]


def test_another_assignment_group_asks_its_own_members(ann: Caller, mallory: Caller) -> None:
    bob = add_account("bob")
    group, other = add_group("One", ann.sys_id), add_group("Other", bob)
    rule = {"approver_source": "field", "approver_field": "assignment_group"}
    add_policy(rule, state=AUTHORIZE)
    change = add("change_request", type="normal", assignment_group=group)
    enter(change, AUTHORIZE)
    answer(change, ann)
    edit("change_request", change, mallory, assignment_group=other)

    assert [row["state"] for row in approvals_of(change, approver=bob)] == ["requested"]
    assert change_of(change)["approval"] == "requested"


def test_an_edit_that_leads_to_an_empty_group_does_not_free_the_change(ann: Caller, mallory: Caller) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE, condition="risk=3", order=1)
    group = add_group("Nobody")
    add_policy(of_group(group), state=AUTHORIZE, order=2)
    change = add("change_request", type="normal", risk="3", assignment_group=add_group("Team"))
    enter(change, AUTHORIZE)
    answer(change, ann)
    write(change, state=SCHEDULED)
    edit("change_request", change, mallory, risk="2")

    assert change_of(change)["approval"] == "not requested"
    with pytest.raises(OperationFailed):
        edit("change_request", change, mallory, state=str(IMPLEMENT))

    bob = add_account("bob")
    add("sys_user_grmember", user=bob, group=group)
    recompute({"change": change})
    assert [row["state"] for row in approvals_of(change, approver=bob)] == ["requested"]
    answer(change, caller_for(bob))
    edit("change_request", change, mallory, state=str(IMPLEMENT))
    assert change_of(change)["state"] == IMPLEMENT


def test_an_edit_that_names_a_group_asks_it_where_no_user_could_be_asked(ann: Caller, mallory: Caller) -> None:
    add_policy({"approver_source": "field", "approver_field": "assignment_group"}, state=AUTHORIZE)
    change = add("change_request", type="normal")
    assert enter(change, AUTHORIZE).approval == "not requested"

    edit("change_request", change, mallory, assignment_group=add_group("One", ann.sys_id))
    assert [row["state"] for row in approvals_of(change)] == ["requested"]
    assert change_of(change)["approval"] == "requested"


@pytest.mark.parametrize("approval", ["approved", "requested"])
@pytest.mark.parametrize("state", [ASSESS, AUTHORIZE])
def test_an_imported_approval_carries_no_change_past_a_gate(
    ann: Caller, mallory: Caller, state: int, approval: str
) -> None:
    add_policy(of_users(ann.sys_id), state=state)
    change = add(
        "change_request", type="normal", state=str(state), approval=approval, assignment_group=add_group("Team")
    )
    edit("change_request", change, mallory, on_hold="true", on_hold_reason="wait")
    edit("change_request", change, mallory, on_hold="false")

    assert (change_of(change)["state"], change_of(change)["approval"]) == (state, "requested")
    assert states_of(change) == {ann.sys_id: "requested"}
    answer(change, ann)
    assert change_of(change)["state"] == state + 1


def test_a_job_asks_for_the_approval_of_an_imported_change(either_app: Flask, ann: Caller) -> None:
    add_policy(of_users(ann.sys_id), state=AUTHORIZE)
    change = add("change_request", type="normal", state=str(AUTHORIZE), approval="approved")
    commit()
    run_due_jobs(either_app, "approvals.deadlines")

    assert (change_of(change)["state"], change_of(change)["approval"]) == (AUTHORIZE, "requested")
    assert states_of(change) == {ann.sys_id: "requested"}


def test_a_standard_change_is_bound_to_no_answer(mallory: Caller) -> None:
    change = add("change_request", type="standard", state=str(SCHEDULED), approval="approved")
    edit("change_request", change, mallory, implementation_plan="x")

    assert (approvals_of(change), change_of(change)["approval"]) == ([], "approved")


def test_items_of_other_tasks_have_no_approvals(item: str) -> None:
    task = add("change_task", change_request=add("change_request"))
    remove("task_ci", add("task_ci", task=task, ci_item=item))
    assert db.session.get(CmdbCi, item) is not None
