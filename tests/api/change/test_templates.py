"""Standard change templates over the Change Management API, and attacks on pre-approved changes by every path."""

import json
from base64 import b64encode
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.change_api import ChangeApi, id_of
from tests.support.scope_desk import put_scope
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import CHANGES, Integration, TokenDesk

TABLES = "/api/now/table"
SHIPPED = "Clear BGP sessions on a Cisco router"
SENTENCE = "Resend the complete BGP table to neighboring routers"
VALUES = "short_description=Restart^implementation_plan=One by one^category=Software^risk=4^EQ"
CREATE_STANDARD = "change_request.create_standard"
OWN = ["change_request.read_own", "change_request.update_own"]
MINE = {"implementation_plan": "Format the disk"}


@pytest.fixture
def templates(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin, f"{TABLES}/std_change_record_producer")


def token_of(desk: TokenDesk, integration: Integration) -> ChangeApi:
    return ChangeApi(desk.client, {"Authorization": f"Bearer {desk.token(integration)}"})


def value(record: dict[str, Any], name: str) -> Any:
    return record[name]["value"]


def test_the_first_start_publishes_a_template(api: ChangeApi) -> None:
    [template] = result_of(api.get("/standard/template"))
    assert (value(template, "name"), value(template, "active"), value(template, "version")) == (SHIPPED, True, 1)
    assert template["template"]["display_value"] == value(template, "template")
    assert template["current_version"]["display_value"] == f"{SHIPPED} - 1"
    assert result_of(api.get(f"/standard/template/{id_of(template)}")) == template
    assert api.get(f"/standard/template/{'0' * 32}").status_code == 404

    change = api.created(f"/standard/{id_of(template)}")
    assert SENTENCE in value(change, "description")
    assert (value(change, "type"), value(change, "risk")) == ("standard", 4)
    assert change["std_change_producer_version"]["display_value"] == f"{SHIPPED} - 1"


def test_templates_are_listed_by_name_and_filtered(api: ChangeApi, templates: TableApi) -> None:
    templates.created(name="Restart", template=VALUES)
    templates.created(name="Archive", active="false")
    assert api.listed("/standard/template", "name") == ["Archive", SHIPPED, "Restart"]
    assert api.listed("/standard/template", "name", active="true") == [SHIPPED, "Restart"]
    assert api.listed("/standard/template", "name", sysparm_limit=1, sysparm_offset=2) == ["Restart"]


def test_the_description_the_plans_and_read_only_fields_of_a_request_are_ignored(
    api: ChangeApi, templates: TableApi
) -> None:
    template = templates.created(name="Restart", template=VALUES, read_only_fields="category")["sys_id"]
    sent = {
        "short_description": "Mine",
        "Description": "Mine",
        "implementation_plan": "Mine",
        "backout_plan": "Mine",
        "test_plan": "Mine",
        "category": "Network",
        "type": "emergency",
        "std_change_producer_version": "Other - 1",
        "nonsense": "Mine",
        "risk": "2",
    }
    change = api.created(f"/standard/{template}?justification=Because", **sent)
    ignored = change["__meta"]["ignoredFields"]
    assert set(ignored) == sent.keys() - {"short_description", "risk"}
    names = ("short_description", "description", "implementation_plan", "backout_plan", "category", "type")
    assert [value(change, name) for name in names] == ["Mine", "", "One by one", "", "Software", "standard"]
    assert (value(change, "risk"), value(change, "justification")) == (2, "Because")


def test_an_idempotency_key_creates_one_change(api: ChangeApi, templates: TableApi) -> None:
    template = templates.created(name="Restart", template=VALUES)["sys_id"]
    keyed = ChangeApi(api.client, {**api.headers, "Idempotency-Key": "run-1"})
    assert keyed.new(f"/standard/{template}") == keyed.new(f"/standard/{template}")


def test_refusals_name_the_reason(api: ChangeApi, templates: TableApi) -> None:
    assert api.post(f"/standard/{'0' * 32}").status_code == api.post("/standard/%00").status_code == 404
    template = templates.created(name="Restart", template=VALUES, mandatory_fields="cmdb_ci")
    response = api.post(f"/standard/{template['sys_id']}")
    assert response.status_code == 400
    assert error_of(response)[0] == (
        "Change Request record could not be created. Data Policy Exception: The following fields are mandatory: "
        "Configuration item"
    )
    templates.update(template["sys_id"], {"active": "false"})
    response = api.post(f"/standard/{template['sys_id']}")
    assert response.status_code == 400 and "The standard change template Restart is retired" in response.text


def bound(templates: TableApi, integration: Integration, **fields: str) -> str:
    made = templates.created(name="Restart", template=VALUES, integrations=integration.sys_id, **fields)
    return str(made["sys_id"])


def test_a_pipeline_creates_and_schedules_a_change_from_a_template_that_is_bound_to_it(
    either_desk: TokenDesk, admin: dict[str, str]
) -> None:
    desk, templates = either_desk, TableApi(either_desk.client, admin, f"{TABLES}/std_change_record_producer")
    integration = desk.register(scopes=[CREATE_STANDARD, *OWN])
    template, token = bound(templates, integration), token_of(desk, integration)
    assert token.listed("/standard/template", "name") == [SHIPPED, "Restart"]
    change = token.created(f"/standard/{template}", short_description="Restart web-1")
    TableApi(desk.client, admin, f"{TABLES}/sys_user_group").created(name="Web")
    moved = token.patch(f"/{id_of(change)}", {"assignment_group": "Web", "state": "scheduled"})
    assert (value(result_of(moved), "state"), value(result_of(moved), "approval")) == (-2, "approved")


def test_the_scope_of_templates_allows_nothing_but_bound_templates(
    desk: TokenDesk, templates: TableApi, admin: dict[str, str]
) -> None:
    integration = desk.register(scopes=[CREATE_STANDARD, *OWN])
    template, token = bound(templates, integration), token_of(desk, integration)
    unbound = TableApi(desk.client, admin, f"{TABLES}/std_change_record_producer").found(f"name={SHIPPED}", "sys_id")[0]
    refused = token.post(f"/standard/{unbound}")
    assert refused.status_code == 403
    assert error_of(refused)[1] == (
        "The scopes of this access token allow only templates that are bound to its integration. Ask an administrator "
        f"to add this integration to the integrations of the template {SHIPPED}"
    )
    sent = {"std_change_producer_version": "Restart - 1"}
    for path in ("", "/normal", "/emergency"):
        assert token.post(path, sent).status_code == 403
    table = desk.client.post(CHANGES, json=sent, headers=token.headers)
    assert (table.status_code, error_of(table)[0]) == (403, "Missing required api access scope")
    for method in ("POST", "PATCH", "DELETE"):
        path = f"/standard/template/{template}" if method != "POST" else "/standard/template"
        assert token.call(method, path, {"name": "Mine"}).status_code in (404, 405)


def test_a_token_without_a_scope_for_creating_changes_uses_no_template(desk: TokenDesk, templates: TableApi) -> None:
    integration = desk.register(scopes=OWN)
    response = token_of(desk, integration).post(f"/standard/{bound(templates, integration)}")
    assert response.status_code == 403
    detail = "This call needs the scope change_request.create or change_request.create_standard"
    assert error_of(response) == ("Missing required api access scope", detail)


def batched(client: FlaskClient, headers: dict[str, str], method: str, url: str, body: dict[str, str]) -> Any:
    inner = {"id": "1", "method": method, "url": url, "body": b64encode(json.dumps(body).encode()).decode()}
    inner["headers"] = [{"name": "Content-Type", "value": "application/json"}]
    batch = {"batch_request_id": "1", "rest_requests": [inner]}
    [answer] = client.post("/api/now/v1/batch", json=batch, headers=headers).get_json()["serviced_requests"]
    return answer


def test_a_foreign_token_uses_a_bound_template_by_no_path(desk: TokenDesk, templates: TableApi) -> None:
    template = bound(templates, desk.register("Ours"))
    foreign = token_of(desk, desk.register("Theirs", scopes=["useraccount"]))
    sentence = "The standard change template Restart may only be used by the integrations that it is bound to."
    versions = ["Restart - 1", templates.found("name=Restart", "current_version")[0]["value"]]
    answers: list[TestResponse] = [foreign.post(f"/standard/{template}")]
    for version in versions:
        sent = {"std_change_producer_version": version}
        answers += [foreign.post("", {**sent, "type": "standard"}), foreign.post("", {**sent, "chg_model": "Standard"})]
        answers.append(desk.client.post(CHANGES, json=sent, headers=foreign.headers))
        xml = f"<request><entry><std_change_producer_version>{version}</std_change_producer_version></entry></request>"
        headers = {**foreign.headers, "Content-Type": "application/xml"}
        answers.append(desk.client.post(CHANGES, data=xml, headers=headers))
        inner = batched(desk.client, foreign.headers, "POST", CHANGES, sent)
        assert inner["status_code"] == 403
    by_name = f"{CHANGES}?sysparm_input_display_value=true"
    named = {"std_change_producer_version": "Restart - 1"}
    answers.append(desk.client.post(by_name, json=named, headers=foreign.headers))
    for answer in answers:
        assert answer.status_code == 403 and sentence in answer.get_data(as_text=True), answer.get_data(as_text=True)


def test_no_write_makes_another_change_pre_approved(desk: TokenDesk, templates: TableApi) -> None:
    integration = desk.register("Ours", scopes=["useraccount"])
    template, token = bound(templates, integration), token_of(desk, integration)
    group = TableApi(desk.client, templates.headers, f"{TABLES}/sys_user_group").created(name="Web")["sys_id"]
    normal = token.new(assignment_group=group, **MINE)
    untemplated = token.new("", type="standard", assignment_group=group, **MINE)
    url = f"{CHANGES}/{normal}"
    version = {"std_change_producer_version": "Restart - 1"}
    for sent in (version, {"type": "standard"}, {"chg_model": "Standard"}, {**version, "type": "standard"}):
        assert token.patch(f"/{normal}", sent).status_code in (400, 403)
        assert desk.client.patch(url, json=sent, headers=token.headers).status_code == 403
        assert desk.client.put(url, json=sent, headers=token.headers).status_code == 403
        assert batched(desk.client, token.headers, "PATCH", url, sent)["status_code"] == 403
        assert batched(desk.client, token.headers, "PATCH", url, {**sent, "state": "-2"})["status_code"] == 403
    for change in (normal, untemplated):
        assert token.patch(f"/{change}", {**version, "state": "scheduled"}).status_code in (400, 403)
        assert token.patch(f"/{change}", {"state": "scheduled"}).status_code == 400
    assert token.new(f"/standard/{template}")


def test_the_plans_of_a_pre_approved_change_are_edited_by_no_path(desk: TokenDesk, templates: TableApi) -> None:
    integration = desk.register("Ours", scopes=["useraccount"])
    template, token = bound(templates, integration), token_of(desk, integration)
    group = TableApi(desk.client, templates.headers, f"{TABLES}/sys_user_group").created(name="Web")["sys_id"]
    made = desk.client.post(CHANGES, json={"std_change_producer_version": "Restart - 1", **MINE}, headers=token.headers)
    assert result_of(made)["implementation_plan"] == "One by one"
    assert made.headers["X-Changegate-Ignored-Fields"] == "implementation_plan"
    inner = batched(desk.client, token.headers, "POST", CHANGES, {"std_change_producer_version": "Restart - 1", **MINE})
    assert "Format" not in str(inner) and inner["status_code"] == 201

    change = token.new(f"/standard/{template}", assignment_group=group)
    url, sentence = (
        f"{CHANGES}/{change}",
        "implementation_plan: the standard change template Restart decides this field.",
    )
    for state in ("new", "scheduled", "implement", "review"):
        if state != "new":
            assert token.patch(f"/{change}", {"state": state}).status_code == 200
        refused = token.patch(f"/{change}", MINE)
        assert refused.status_code == 400 and sentence in refused.text
        assert token.patch(f"/standard/{change}?implementation_plan=Mine").status_code == 400
        assert desk.client.patch(url, json=MINE, headers=token.headers).status_code == 403
        assert desk.client.put(url, json={**MINE, "state": "4"}, headers=token.headers).status_code == 403
        assert batched(desk.client, token.headers, "PATCH", url, MINE)["status_code"] == 403
    assert value(result_of(token.get(f"/{change}")), "implementation_plan") == "One by one"


@pytest.mark.parametrize("way", ["replaced", "retired"])
def test_an_old_version_pre_approves_no_change(desk: TokenDesk, templates: TableApi, way: str) -> None:
    integration = desk.register("Ours", scopes=["useraccount"])
    template, token = bound(templates, integration), token_of(desk, integration)
    group = TableApi(desk.client, templates.headers, f"{TABLES}/sys_user_group").created(name="Web")["sys_id"]
    change = token.new(f"/standard/{template}", assignment_group=group)
    old = templates.found("name=Restart", "current_version")[0]
    templates.update(template, {"template": "risk=4^EQ"} if way == "replaced" else {"active": "false"})
    for version in (old, "Restart - 1"):
        sent = {"std_change_producer_version": version}
        assert token.post("", sent).status_code == 400
        assert desk.client.post(CHANGES, json=sent, headers=token.headers).status_code == 403
        assert batched(desk.client, token.headers, "POST", CHANGES, sent)["status_code"] == 403
    refused = token.patch(f"/{change}", {"state": "scheduled"})
    assert refused.status_code == 400 and "Create the change from an active standard change template" in refused.text
    current = token.post(f"/standard/{template}")
    assert current.status_code == (200 if way == "replaced" else 400)


def test_the_fields_of_a_scope_hold_for_changes_from_templates(desk: TokenDesk, templates: TableApi) -> None:
    put_scope(desk, "narrow", "POST change change_request fields=std_change_producer_version,type,short_description")
    integration = desk.register("Ours", scopes=["narrow"])
    template, token = bound(templates, integration), token_of(desk, integration)
    assert token.post(f"/standard/{template}", {"short_description": "Restart web-1"}).status_code == 200
    refused = token.post(f"/standard/{template}", {"priority": "1"})
    assert error_of(refused)[1] == "The access token may not write the field priority"
