"""The risk of a change: the first condition, the assessment, the explanation, and what stays explicit."""

from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import OperationFailed
from changegate.models import ChgHistory
from changegate.services.access.caller import Caller
from changegate.services.approvals.claims import find_editor
from changegate.services.evidence.verification import verify
from changegate.services.process.risk_requests import calculate_risk
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record
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
    of_users,
    states_of,
    write,
)
from tests.support.jobs import run_due_jobs
from tests.support.people import ROOT, add_account, caller_for

pytestmark = pytest.mark.usefixtures("either_app_context")
CHANGES = get_table("change_request")


def run_jobs(app: Flask) -> None:
    commit()
    run_due_jobs(app)


def condition(name: str, text: str, risk: int, order: int = 100, **fields: str) -> str:
    return add("risk_conditions", name=name, condition=text, risk=str(risk), order=str(order), **fields)


def change(**sent: Any) -> str:
    return add("change_request", **sent)


def risk_of(sys_id: str) -> int | None:
    risk: int | None = change_of(sys_id)["risk"]
    return risk


def explanation_of(sys_id: str) -> Any:
    text = change_of(sys_id)["risk_explanation"]
    return orjson.loads(text) if text else None


def test_a_change_has_no_risk_without_conditions() -> None:
    created = create_record(CHANGES, ROOT, {"short_description": "Deploy"})
    assert (created["risk"], created["risk_explanation"]) == (None, None)


def test_the_first_condition_that_matches_gives_the_risk_and_its_explanation() -> None:
    condition("Everything", "", 4, order=900)
    network = condition("Network", "category=Network^priority<=2", 2, order=10)
    condition("Also network", "category=Network", 1, order=20)
    assert risk_of(change(category="Software")) == 4
    created = create_record(CHANGES, ROOT, {"category": "Network", "priority": "2"})
    assert created["risk"] == 2
    assert orjson.loads(created["risk_explanation"]) == {
        "risk": 2,
        "sentence": "High, by Network (version 1): High",
        "matched": [
            {
                "condition": network,
                "name": "Network",
                "version": 1,
                "query": "category=Network^priority<=2",
                "assessment": False,
                "risk": 2,
                "facts": {"category": "Network", "priority": "2"},
            }
        ],
    }


@pytest.mark.parametrize(
    ("score", "risk", "names"),
    [
        ("0", 3, ["Network", "Assessment: Low"]),
        ("25", 3, ["Network", "Assessment: Low"]),
        ("26", 3, ["Network", "Assessment: Moderate"]),
        ("50", 3, ["Network", "Assessment: Moderate"]),
        ("51", 2, ["Network", "Assessment: High"]),
    ],
)
def test_the_higher_of_condition_and_assessment_is_used(score: str, risk: int, names: list[str]) -> None:
    condition("Network", "category=Network", 3)
    assessed = change(category="Network", risk_assessment=score)
    assert risk_of(assessed) == risk
    assert [matched["name"] for matched in explanation_of(assessed)["matched"]] == names


def test_an_assessment_alone_gives_the_risk() -> None:
    assessed = change(risk_assessment="60")
    assert (risk_of(assessed), explanation_of(assessed)["matched"][0]["assessment"]) == (2, True)
    edit("change_request", assessed, risk_assessment="")
    assert (risk_of(assessed), explanation_of(assessed)) == (None, None)


def test_conditions_compare_the_item_and_the_number_of_affected_items() -> None:
    condition("Retired", "cmdb_ci.operational_status=6", 1, order=10)
    condition("Databases", "cmdb_ci.sys_class_name=cmdb_ci_database", 2, order=20)
    condition("Many items", "affected.count>=2", 3, order=30)
    database = add("cmdb_ci", name="orders", sys_class_name="cmdb_ci_database")
    others = [add("cmdb_ci", name=name) for name in ("web", "app")]
    assert risk_of(change(cmdb_ci=database)) == 2
    other = change(cmdb_ci=others[0])
    rows = [add("task_ci", task=other, ci_item=item) for item in others]
    assert risk_of(other) == 3
    delete_record(get_table("task_ci"), ROOT, rows[0])
    assert risk_of(other) is None
    edit("change_request", other, cmdb_ci=database)
    assert risk_of(other) == 2


def test_a_missing_record_of_a_pipeline_is_no_good_record() -> None:
    condition("Good record", "pipeline.lower_bound>=0", 4)
    assert risk_of(change()) is None


def test_an_edit_on_which_a_condition_depends_calculates_again() -> None:
    condition("Network", "category=Network", 2)
    edited = change(category="Software")
    edit("change_request", edited, category="Network")
    assert risk_of(edited) == 2
    edit("change_request", edited, category="Software")
    assert risk_of(edited) is None


def test_other_edits_and_edits_of_conditions_leave_the_risk() -> None:
    network = condition("Network", "category=Network", 2)
    edited = change(category="Network")
    edit("risk_conditions", network, risk="4")
    edit("change_request", edited, short_description="Deploy", priority="1")
    assert (risk_of(edited), explanation_of(edited)["matched"][0]["version"]) == (2, 1)
    edit("change_request", edited, category="Software")
    edit("change_request", edited, category="Network")
    assert (risk_of(edited), explanation_of(edited)["matched"][0]["version"]) == (4, 2)


def test_an_explicit_risk_stays_whatever_is_edited() -> None:
    condition("Network", "category=Network", 2)
    explicit = change(category="Network", risk="4", impact="1", priority="3")
    group = add_group("Network")
    for fields in ({"category": "Software"}, {"category": "Network"}, {"state": "-4", "assignment_group": group}):
        edit("change_request", explicit, **fields)
    stored = change_of(explicit)
    assert (stored["risk"], stored["impact"], stored["priority"]) == (4, 1, 3)
    assert stored["risk_explanation"] is None


def test_a_risk_that_is_sent_later_becomes_explicit_even_if_it_is_the_calculated_one() -> None:
    condition("Network", "category=Network", 2)
    for sent in ("2", "3"):
        confirmed = change(category="Network")
        edit("change_request", confirmed, risk=sent)
        assert explanation_of(confirmed) is None
        edit("change_request", confirmed, category="Software", risk="")
        assert risk_of(confirmed) == int(sent)


def test_a_risk_and_an_edit_in_one_request_keep_the_risk() -> None:
    condition("Network", "category=Network", 2)
    both = change(category="Software")
    edit("change_request", both, category="Network", risk="3")
    assert (risk_of(both), explanation_of(both)) == (3, None)


def test_a_move_alone_does_not_calculate() -> None:
    moved = change(category="Network", assignment_group=add_group("Network"))
    condition("Network", "category=Network", 2)
    edit("change_request", moved, state="-4")
    assert risk_of(moved) is None


@pytest.mark.parametrize("state", [-1, 0, 3, 4])
def test_the_risk_stays_from_implement_on(state: int) -> None:
    condition("Network", "category=Network", 2)
    late = change(category="Software", close_code="successful", close_notes="Done")
    write(late, state=state)
    edit("change_request", late, category="Network")
    item = add("cmdb_ci", name="web")
    condition("Items", "affected.count>0", 1, order=1)
    add("task_ci", task=late, ci_item=item)
    assert risk_of(late) is None
    imported = add("change_request", state=str(state), category="Network", close_code="successful", close_notes="Done")
    assert risk_of(imported) is None


def test_the_history_keeps_each_risk_with_its_explanation() -> None:
    condition("Network", "category=Network", 2)
    edited = change(category="Software")
    edit("change_request", edited, category="Network")
    rows = connection().execute(select(ChgHistory.facts).where(ChgHistory.subject_id == edited)).scalars()
    changes = [orjson.loads(facts).get("changes", {}) for facts in rows][-1]
    assert changes["risk"] == [None, "2"]
    assert orjson.loads(changes["risk_explanation"][1])["sentence"] == "High, by Network (version 1): High"


WINDOW = {"start_date": "2099-01-01 00:00:00", "end_date": "2099-01-01 02:00:00"}


def test_conflicts_raise_the_risk_of_both_changes_and_their_end_lowers_it(either_app: Flask) -> None:
    condition("Conflicts", "conflict.count>0", 2, order=10)
    condition("Everything", "", 4)
    item = add("cmdb_ci", name="web")
    first, explicit = change(cmdb_ci=item, **WINDOW), change(cmdb_ci=item, risk="4", **WINDOW)
    run_jobs(either_app)
    assert (risk_of(first), risk_of(explicit)) == (2, 4)
    second = change(cmdb_ci=item)
    assert risk_of(second) == 4
    edit("change_request", second, **WINDOW)
    assert risk_of(second) == 2
    for sys_id in (explicit, second):
        edit("change_request", sys_id, start_date="2099-02-01 00:00:00", end_date="2099-02-01 02:00:00")
    run_jobs(either_app)
    assert (risk_of(first), risk_of(second), risk_of(explicit)) == (4, 2, 4)


def test_a_risk_that_a_job_recalculates_leaves_the_claims_of_the_pipeline_valid(either_app: Flask) -> None:
    condition("Conflicts", "conflict.count>0", 2)
    item = add("cmdb_ci", name="web")
    first = change(cmdb_ci=item, **WINDOW)
    change(cmdb_ci=item, **WINDOW)
    run_jobs(either_app)
    assert risk_of(first) == 2
    assert find_editor(change_of(first) | {"oauth_entity": "e" * 32}) is None


def approved(**sent: Any) -> tuple[str, Caller]:
    """Return a change in Scheduled that Ann has approved under a policy for a risk of 3, and Ann."""
    ann = caller_for(add_account("ann"), "approver_user")
    add_policy(of_users(ann.sys_id), state=AUTHORIZE, condition="riskIN3,4")
    made = change(type="normal", implementation_plan="Deploy", assignment_group=add_group("Team"), **sent)
    enter(made, AUTHORIZE)
    answer(made, ann)
    write(made, state=SCHEDULED)
    return made, ann


def test_a_recalculated_risk_that_selects_the_same_policy_voids_no_approval() -> None:
    condition("Network", "category=Network", 4, order=10)
    condition("Everything", "", 3)
    made, ann = approved(category="Software")
    edit("change_request", made, category="Network")
    assert (risk_of(made), change_of(made)["approval"]) == (4, "approved")
    assert states_of(made) == {ann.sys_id: "approved"}
    edit("change_request", made, state="-1")
    assert change_of(made)["state"] == -1


def test_a_recalculated_risk_that_selects_another_policy_voids_the_approvals() -> None:
    condition("Network", "category=Network", 2, order=10)
    condition("Everything", "", 3)
    bob = caller_for(add_account("bob"), "approver_user")
    add_policy(of_users(bob.sys_id), state=AUTHORIZE, condition="risk=2")
    made, ann = approved(category="Software")
    edit("change_request", made, category="Network")
    assert change_of(made)["approval"] == "requested"
    assert states_of(made) == {ann.sys_id: "cancelled", bob.sys_id: "requested"}
    with pytest.raises(OperationFailed):
        edit("change_request", made, state="-1")
    answer(made, bob)
    edit("change_request", made, state="-1")


def test_an_edit_and_a_move_in_one_request_do_not_pass_the_policy_of_the_new_risk() -> None:
    condition("Network", "category=Network", 2, order=10)
    condition("Everything", "", 3)
    bob = caller_for(add_account("bob"), "approver_user")
    add_policy(of_users(bob.sys_id), state=AUTHORIZE, condition="risk=2")
    made, _ = approved(category="Software")
    with pytest.raises(OperationFailed):
        edit("change_request", made, category="Network", state="-1")


def test_an_explicit_risk_voids_the_approvals_that_cover_it() -> None:
    made, ann = approved(risk="3")
    edit("change_request", made, risk="4")
    assert [row["state"] for row in approvals_of(made)] == ["cancelled", "requested"]
    assert states_of(made) == {ann.sys_id: "requested"}


def test_affected_items_that_raise_the_risk_select_another_policy() -> None:
    condition("Many items", "affected.count>0", 2, order=10)
    condition("Everything", "", 3)
    bob = caller_for(add_account("bob"), "approver_user")
    add_policy(of_users(bob.sys_id, governed_fields="implementation_plan"), state=AUTHORIZE, condition="risk=2")
    ann = caller_for(add_account("ann"), "approver_user")
    add_policy(of_users(ann.sys_id, governed_fields="implementation_plan"), state=AUTHORIZE, condition="risk=3")
    made = change(type="normal", implementation_plan="Deploy", assignment_group=add_group("Team"))
    enter(made, AUTHORIZE)
    answer(made, ann)
    write(made, state=SCHEDULED)
    add("task_ci", task=made, ci_item=add("cmdb_ci", name="web"))
    assert (risk_of(made), change_of(made)["approval"]) == (2, "requested")
    assert states_of(made) == {ann.sys_id: "cancelled", bob.sys_id: "requested"}


def test_the_history_of_recalculated_risks_is_verified(either_app: Flask) -> None:
    condition("Conflicts", "conflict.count>0", 1, order=5)
    condition("Many items", "affected.count>0", 2, order=10)
    condition("Network", "category=Network", 4, order=20)
    item = add("cmdb_ci", name="web")
    made, _ = approved(category="Software", cmdb_ci=item, risk="3", **WINDOW)
    calculate_risk(made, ROOT)
    assert risk_of(made) is None
    edit("change_request", made, category="Network", risk_assessment="10")
    row = add("task_ci", task=made, ci_item=add("cmdb_ci", name="app"))
    assert risk_of(made) == 2
    delete_record(get_table("task_ci"), ROOT, row)
    change(cmdb_ci=item, **WINDOW)
    run_jobs(either_app)
    assert risk_of(made) == 1
    edit("change_request", made, risk="2")
    assert [observation for observation in verify().observations if observation.code != "approval_imported"] == []
