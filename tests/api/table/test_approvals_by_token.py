"""A token answers an approval only for the person it represents, and writes nothing that decides about approvals."""

from typing import Any

import pytest

from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY
from tests.support.scope_desk import put_scope
from tests.support.table_api import TableApi
from tests.support.token_desk import Integration, TokenDesk

APPROVALS = "/api/now/table/sysapproval_approver"
ANN = "ann"
MAPPED: dict[str, Any] = {"run_as": ..., "user_field": "user_name"}


@pytest.fixture
def approval(desk: TokenDesk, admin: dict[str, str]) -> str:
    """Ask Ann to approve a change; answers the path of the approval."""
    ann = desk.add_user(ANN, "itil")
    change = TableApi(desk.client, admin).created()["sys_id"]
    asked = TableApi(desk.client, admin, APPROVALS).created(sysapproval=change, approver=ann, state="requested")
    return f"{APPROVALS}/{asked['sys_id']}"


def answer(desk: TokenDesk, integration: Integration, approval: str, sub: str = ANN) -> tuple[int, str]:
    token = desk.token(integration, assertion=desk.assertion(sub=sub))
    response = desk.call(token, "PATCH", approval, json={"state": "approved"})
    return response.status_code, response.get_json().get("error", {}).get("detail", "")


def test_the_person_asked_answers_with_the_scope(desk: TokenDesk, approval: str) -> None:
    assert answer(desk, desk.register(scopes=["approval.answer"], **MAPPED), approval) == (200, "")


def test_a_scope_of_the_site_that_names_approvals_suffices(desk: TokenDesk, approval: str) -> None:
    put_scope(desk, "ours", "PATCH table sysapproval_approver")
    assert answer(desk, desk.register(scopes=["ours"], **MAPPED), approval) == (200, "")


@pytest.mark.parametrize("scopes", [["useraccount"], ["everything"]])
def test_no_general_scope_answers(desk: TokenDesk, approval: str, scopes: list[str]) -> None:
    put_scope(desk, "everything", "* table *")
    status, detail = answer(desk, desk.register(scopes=scopes, **MAPPED), approval)
    assert status == 403 and "it has the scope approval.answer" in detail
    assert answer(desk, desk.register("Two", scopes=[*scopes, "approval.answer"], **MAPPED), approval) == (200, "")


def test_an_unprotected_call_does_not_answer(desk: TokenDesk, approval: str) -> None:
    open_to_all = desk.register(scopes=["change_request.create"], scope_restriction=False, **MAPPED)
    assert answer(desk, open_to_all, approval)[0] == 403


def test_a_pipeline_does_not_answer_for_the_person_it_runs_as(desk: TokenDesk, approval: str) -> None:
    """Its subject is the pipeline, not the account that it runs as."""
    status, detail = answer(desk, desk.register(scopes=["approval.answer"], run_as=ANN), approval)
    assert status == 403 and "if its subject is the approver" in detail


@pytest.mark.parametrize("role", ["admin", "change_manager", "itil"])
def test_a_token_does_not_answer_for_another_person(desk: TokenDesk, approval: str, role: str) -> None:
    desk.add_user("bob", role)
    scopes = ["approval.answer", "useraccount"]
    assert answer(desk, desk.register(scopes=scopes, **MAPPED), approval, sub="bob")[0] == 403


def test_a_token_creates_no_answer(desk: TokenDesk, approval: str) -> None:
    bob = desk.add_user("bob", "admin")
    token = desk.token(desk.register(scopes=["useraccount"], **MAPPED), assertion=desk.assertion(sub="bob"))
    wanted = {"sysapproval": desk.call(token).get_json()["result"]["sys_id"], "approver": bob}
    assert desk.call(token, "POST", APPROVALS, json={**wanted, "state": "approved"}).status_code == 403
    assert desk.call(token, "POST", APPROVALS, json={**wanted, "state": "requested"}).status_code == 201


def test_the_tables_that_decide_about_approvals_are_closed_to_tokens() -> None:
    decisive = {
        *("chg_model", "sttrm_state", "sttrm_state_transition", "sttrm_transition_condition"),
        *(
            "chg_policy_approval",
            "chg_approval_def",
            "risk_conditions",
            "std_change_record_producer",
            "std_change_proposal",
        ),
        *("sys_user_delegate", "sys_user_identity"),
        *("cmn_schedule_blackout", "cmn_schedule_maintenance", "cmn_schedule_span", "chg_freeze_override"),
    }
    assert {name for name, table in TABLES.items() if table.is_closed_to_tokens} >= decisive
    # The others of this kind are written by no caller at all.
    for name in ("sttrm_model", "chg_approval_decision", "chg_history"):
        access = TABLES[name].access
        assert {access.create, access.update, access.delete} == {NOBODY}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("chg_model", {}),
        ("std_change_record_producer", {}),
        ("risk_conditions", {"condition": "category=Network", "risk": "2"}),
        ("chg_policy_approval", {"state": "-4", "active": "false"}),
        ("cmn_schedule_blackout", {"time_zone": "Etc/UTC"}),
        ("cmn_schedule_maintenance", {"time_zone": "Etc/UTC"}),
    ],
)
def test_no_token_writes_a_closed_table(
    desk: TokenDesk, admin: dict[str, str], name: str, fields: dict[str, str]
) -> None:
    path = f"/api/now/table/{name}"
    made = TableApi(desk.client, admin, path).created(name="Restart", **fields)["sys_id"]
    token = desk.token(desk.register(scopes=["useraccount"], run_as="admin"))
    calls = (("POST", path), ("PATCH", f"{path}/{made}"), ("PUT", f"{path}/{made}"), ("DELETE", f"{path}/{made}"))
    for method, address in calls:
        refused = desk.call(token, method, address, json={"name": "Mine"})
        assert refused.status_code == 403
        assert refused.get_json()["error"]["detail"].startswith(f"Access tokens cannot write the table {name}")
    assert desk.call(token, "GET", f"{path}/{made}").get_json()["result"]["name"] == "Restart"
    assert TableApi(desk.client, admin, path).update(made, {"description": "Theirs"}).status_code == 200
