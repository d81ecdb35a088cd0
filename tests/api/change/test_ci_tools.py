"""The requests that CI tools send: create a change, poll it, attach evidence, and move it on."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import basic
from tests.support.change_api import PREFIX, ChangeApi
from tests.support.table_api import TableApi, result_of
from tests.support.token_desk import TokenDesk

JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def test_a_curl_step_creates_polls_and_cancels(api: ChangeApi) -> None:
    """The shape of most pipelines: POST, then `.result.sys_id.value`, GET until the state is right, PATCH."""
    body = json.dumps({"short_description": "Release 4.2", "type": "normal", "impact": "3", "assignment_group": ""})
    made = api.client.post(f"{PREFIX}/normal", data=body, headers=api.headers | JSON)
    assert made.status_code == 200
    result = made.get_json()["result"]
    number, sys_id = result["number"]["value"], result["sys_id"]["value"]
    assert number.startswith("CHG") and len(sys_id) == 32

    polled = api.client.get(f"/api/sn_chg_rest/v1/change/{sys_id}", headers=api.headers | JSON).get_json()["result"]
    assert polled["state"]["display_value"] == "New" and polled["approval"]["value"] == "not requested"
    found = api.client.get(f"{PREFIX}?number={number}", headers=api.headers).get_json()["result"]
    assert [change["sys_id"]["value"] for change in found] == [sys_id]

    sent = json.dumps({"state": "canceled", "work_notes": "Superseded"})
    ended = api.client.patch(f"{PREFIX}/normal/{sys_id}", data=sent, headers=api.headers | JSON)
    assert ended.get_json()["result"]["state"] == {"value": 4, "display_value": "Canceled"}
    assert "Superseded" in ended.get_json()["result"]["work_notes"]["display_value"]


def test_parameters_with_an_empty_body_are_the_documented_sample(api: ChangeApi) -> None:
    """ServiceNow's own samples put the fields into the URL and send `{}`."""
    path = f"{PREFIX}/emergency?short_description=Reboot%20server%20on%20a%20schedule&priority=3&category=Network"
    made = result_of(api.client.post(path, data="{}", headers=api.headers | JSON))
    assert made["short_description"]["value"] == "Reboot server on a schedule"
    assert (made["priority"]["value"], made["category"]["value"]) == (3, "Network")
    changed = api.client.patch(
        f"{PREFIX}/{made['sys_id']['value']}?priority=2&bunk=1", data="{}", headers=api.headers | JSON
    )
    assert result_of(changed)["priority"] == {"value": 2, "display_value": "2 - High"}
    assert result_of(changed)["__meta"] == {"ignoredFields": ["bunk"]}


def test_what_was_read_can_be_written_back(api: ChangeApi) -> None:
    """Scripts read a change, edit the object, and send all of it."""
    sys_id = api.new(short_description="x", start_date="2030-01-31 08:30:00", requested_by="admin", impact=2)
    read = result_of(api.get(f"/{sys_id}"))
    read["description"] = {"value": "edited", "display_value": "edited"}
    written = api.patch(f"/{sys_id}", read)
    assert written.status_code == 200, written.text
    after = result_of(written)
    assert after["description"]["value"] == "edited"
    kept = ("short_description", "start_date", "requested_by", "impact", "state", "type", "chg_model", "work_notes")
    assert {name: after[name] for name in kept} == {name: read[name] for name in kept}


def test_evidence_is_attached_by_the_sys_id_of_the_answer(api: ChangeApi) -> None:
    sys_id = api.new()
    path = f"/api/now/attachment/file?table_name=change_request&table_sys_id={sys_id}&file_name=report.txt"
    made = api.client.post(path, data=b"passed", headers=api.headers, content_type="text/plain")
    assert made.status_code == 201


def test_a_batch_reaches_every_path(api: ChangeApi) -> None:
    sys_id = api.new(short_description="x")

    def item(name: str, method: str, url: str, body: Any = None) -> dict[str, Any]:
        sent = {"id": name, "method": method, "url": url}
        encoded = base64.b64encode(json.dumps(body).encode()).decode()
        return (
            sent
            if body is None
            else {**sent, "body": encoded, "headers": [{"name": "Content-Type", "value": JSON["Content-Type"]}]}
        )

    items = [
        item("create", "POST", f"{PREFIX}/normal?impact=2", {"short_description": "by batch"}),
        item("read", "GET", f"/api/sn_chg_rest/v1/change/{sys_id}"),
        item("list", "GET", f"{PREFIX}?order=number"),
        item("change", "PATCH", f"{PREFIX}/{sys_id}", {"description": "edited"}),
        item("task", "POST", f"{PREFIX}/{sys_id}/task", {}),
        item("models", "GET", f"{PREFIX}/model"),
        item("unknown", "GET", f"{PREFIX}/{sys_id}/diff"),
    ]
    batch = {"batch_request_id": 1, "rest_requests": items}
    served = api.client.post("/api/now/v1/batch", json=batch, headers=api.headers).get_json()["serviced_requests"]
    assert {one["id"]: one["status_code"] for one in served} == {
        **dict.fromkeys(("create", "read", "list", "change", "task", "models"), 200),
        "unknown": 400,
    }
    listed = next(one for one in served if one["id"] == "list")
    assert {"name": "X-Total-Count", "value": "2"} in listed["headers"]


def test_a_batch_of_a_token_is_checked_call_by_call(desk: TokenDesk) -> None:
    token = desk.token(desk.register())
    items = [{"id": method, "method": method, "url": PREFIX} for method in ("POST", "GET")]
    answer = desk.call(token, "POST", "/api/now/v1/batch", json={"batch_request_id": 1, "rest_requests": items})
    served = answer.get_json()["serviced_requests"]
    assert {one["id"]: one["status_code"] for one in served} == {"POST": 200, "GET": 403}


class TestBrowsers:
    """Scripts and forms of other origins."""

    ORIGIN = "https://ops.example.com"

    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"cors_origins": self.ORIGIN}

    def test_a_listed_origin_reads_and_writes(self, api: ChangeApi) -> None:
        response = api.client.post(PREFIX, json={}, headers=api.headers | {"Origin": self.ORIGIN})
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == self.ORIGIN
        preflight = api.client.options(f"{PREFIX}/normal", headers={"Origin": self.ORIGIN})
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, self.ORIGIN)

    def test_another_origin_writes_nothing(self, api: ChangeApi) -> None:
        foreign = api.headers | {"Origin": "https://evil.example.com"}
        refused = api.client.post(f"{PREFIX}?short_description=x", headers=foreign)
        assert refused.status_code == 403
        assert api.listed() == []


def test_the_table_api_shows_the_same_records(api: ChangeApi) -> None:
    sys_id = api.new(short_description="x", state="new")
    plain = TableApi(api.client, api.headers)
    assert result_of(plain.get(sys_id))["state"] == "-5"
    plain.update(sys_id, {"short_description": "y"})
    assert result_of(api.get(f"/{sys_id}"))["short_description"]["value"] == "y"


def test_a_pipeline_leads_a_change_through_its_whole_life(
    desk: TokenDesk, api: ChangeApi, client: FlaskClient, add_user: Callable[..., str]
) -> None:
    """The pipeline moves, people approve, and polling `nextstates` and `blockers` tells the pipeline what to do."""
    tables = {
        name: TableApi(client, api.headers, f"/api/now/table/{name}")
        for name in ("sys_user_group", "sys_user_grmember")
    }
    groups = {"Shop": tables["sys_user_group"].created(name="Shop")["sys_id"]}
    [board] = result_of(tables["sys_user_group"].page(query="name=CAB Approval"))
    for name, group in (("ann", groups["Shop"]), ("bo", board["sys_id"])):
        tables["sys_user_grmember"].created(group=group, user=add_user(name, "itil"))
    scopes = [f"change_request.{name}" for name in ("create", "read_own", "update_own")]
    pipeline = ChangeApi(client, {"Authorization": f"Bearer {desk.token(desk.register(scopes=scopes))}"})

    def moved(state: str, **fields: str) -> tuple[str, str]:
        change = result_of(pipeline.patch(f"/{sys_id}", {"state": state, **fields}))
        return change["state"]["display_value"], change["approval"]["display_value"]

    def approve(name: str) -> str:
        answer = {"state": "approved", "comments": "Go"}
        approver = ChangeApi(client, basic(name, "itil itil itil"))
        return str(result_of(approver.patch(f"/{sys_id}/approvals", answer))["state"]["display_value"])

    def waits_for() -> list[str]:
        return [blocker["code"] for blocker in result_of(pipeline.get(f"/{sys_id}/blockers"))]

    sys_id = pipeline.new("/normal", short_description="Release", assignment_group="Shop")
    assert waits_for() == ["move"]
    assert moved("assess") == ("Assess", "Requested")
    assert waits_for() == ["approval"]
    assert pipeline.patch(f"/{sys_id}", {"state": "scheduled"}).status_code == 400
    assert (approve("ann"), approve("bo")) == ("Authorize", "Scheduled")
    assert "-1" in result_of(pipeline.get(f"/{sys_id}/nextstates"))["available_states"]
    assert moved("implement") == ("Implement", "Approved")
    assert moved("review") == ("Review", "Approved")
    assert waits_for() == ["field", "field"]
    assert moved("closed", close_code="successful", close_notes="Done") == ("Closed", "Approved")
    assert waits_for() == []
