"""Changes that are approved by the verified claims of the pipeline that created them, with real tokens."""

from typing import Any

import pytest

from tests.api.table.test_provenance import as_admin, created, onboarded, token_of
from tests.support.token_desk import CHANGES, Integration, TokenDesk

TABLES = "/api/now/table"
FROM_MAIN = "source_repository=acme/shop^source_ref=refs/heads/main^source_environment=production"
PLAN = {"implementation_plan": "Deploy it"}


def add(desk: TokenDesk, table: str, **sent: str) -> str:
    answer = as_admin(desk, "POST", f"{TABLES}/{table}", json=sent)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["result"]["sys_id"])


def add_policy(desk: TokenDesk, state: str) -> None:
    policy = add(desk, "chg_policy_approval", name=f"Main in {state}", state=state, order="1", active="false")
    rule = {"approver_source": "claims", "condition": FROM_MAIN}
    add(desk, "chg_approval_def", policy=policy, name="Deployed from main", **rule)
    assert as_admin(desk, "PATCH", f"{TABLES}/chg_policy_approval/{policy}", json={"active": "true"}).status_code == 200


@pytest.fixture
def pipeline(either_desk: TokenDesk) -> Integration:
    """A pipeline with policies that approve what it deploys from main, and the group of its changes."""
    for state in ("-4", "-3"):
        add_policy(either_desk, state)
    return onboarded(
        either_desk, scopes=["change_request.create", "change_request.read_own", "change_request.update_own"]
    )


def change_of(desk: TokenDesk, token: str) -> str:
    group = add(desk, "sys_user_group", name="Shop")
    return str(created(desk, token, assignment_group=group, type="normal")["sys_id"])


def patched(desk: TokenDesk, token: str, change: str, **fields: Any) -> dict[str, str]:
    answer = desk.call(token, "PATCH", f"{CHANGES}/{change}", json=fields)
    assert answer.status_code == 200, answer.text
    record: dict[str, str] = answer.get_json()["result"]
    return record


def test_a_pipeline_reaches_scheduled_in_one_call(either_desk: TokenDesk, pipeline: Integration) -> None:
    token = token_of(either_desk, pipeline)
    change = change_of(either_desk, token)
    patched(either_desk, token, change, **PLAN)
    record = patched(either_desk, token, change, state="-4")

    assert (record["state"], record["approval"]) == ("-2", "approved")
    query = f"{TABLES}/chg_approval_decision?sysparm_query=change_request={change}^ORDERBYsequence"
    decisions = as_admin(either_desk, "GET", query).get_json()["result"]
    assert [(row["stage"], row["outcome"]) for row in decisions] == [("-4", "approved"), ("-3", "approved")]


@pytest.mark.parametrize("claims", [{"ref": "refs/heads/topic"}, {"repository": "acme/other"}])
def test_another_workload_of_the_integration_is_not_approved(
    either_desk: TokenDesk, pipeline: Integration, claims: dict[str, Any]
) -> None:
    token = token_of(either_desk, pipeline, **claims)
    change = change_of(either_desk, token)
    sent = {"source_ref": "refs/heads/main", "source_repository": "acme/shop", "source_environment": "production"}
    record = patched(either_desk, token, change, state="-4", approval="approved", **sent)

    assert (record["state"], record["approval"]) == ("-4", "not requested")


def test_an_edit_by_another_workload_lets_people_decide(either_desk: TokenDesk, pipeline: Integration) -> None:
    token = token_of(either_desk, pipeline)
    change = change_of(either_desk, token)
    patched(either_desk, token_of(either_desk, pipeline, ref="refs/heads/topic", jti="another"), change, **PLAN)

    assert patched(either_desk, token, change, state="-4")["approval"] == "not requested"


def test_an_edit_in_the_call_that_moves_is_an_edit(either_desk: TokenDesk, pipeline: Integration) -> None:
    change = change_of(either_desk, token_of(either_desk, pipeline))
    other = token_of(either_desk, pipeline, ref="refs/heads/topic", jti="another")

    assert patched(either_desk, other, change, state="-4", **PLAN)["approval"] == "not requested"


@pytest.mark.parametrize("table", ["chg_policy_approval", "chg_approval_def"])
def test_a_pipeline_writes_no_policy(either_desk: TokenDesk, pipeline: Integration, table: str) -> None:
    answer = either_desk.call(token_of(either_desk, pipeline), path=f"{TABLES}/{table}", json={"name": "Mine"})
    assert answer.status_code == 403
