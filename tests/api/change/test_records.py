"""Changes over the Change Management API: typed values, input from parameters and body, statuses, and refusals."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models.change_request import CHANGE_STATES
from changegate.services.catalog import TABLES
from tests.api.table.test_xml import XML
from tests.conftest import basic
from tests.support.change_api import PREFIX, ChangeApi, id_of
from tests.support.table_api import TableApi, error_of, result_of
from tests.support.token_desk import TokenDesk

NOBODY = "0" * 32
UNKNOWN_DATE = {"value": "", "display_value": "UNKNOWN", "display_value_internal": ""}
NOT_FOUND = ("No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def pair(value: object, display_value: str) -> dict[str, object]:
    return {"value": value, "display_value": display_value}


def test_every_value_is_an_object_with_a_typed_value(api: ChangeApi) -> None:
    change = api.created(short_description="Deploy", start_date="2030-01-31 08:30:00", cab_date="2030-01-30")

    assert change["short_description"] == pair("Deploy", "Deploy")
    assert change["state"] == pair(-5, "New") and type(change["state"]["value"]) is int
    assert change["priority"] == pair(4, "4 - Low")
    assert change["sys_mod_count"] == pair(0, "0")
    assert change["active"] == pair(True, "true") and change["on_hold"] == pair(False, "false")
    assert change["type"] == pair("normal", "Normal")
    assert change["opened_by"] == pair("6816f79cc0a8016401c5a33be04be441", "System Administrator")
    assert change["assignment_group"] == change["risk"] == change["order"] == change["work_notes"] == pair("", "")
    local = "2030-01-31 08:30:00"
    assert change["start_date"] == {**pair(local, local), "display_value_internal": local}
    assert change["cab_date"] == {**pair("2030-01-30", "2030-01-30"), "display_value_internal": "2030-01-30"}
    assert change["end_date"] == {**pair("", ""), "display_value_internal": ""}
    assert change["sla_due"] == change["activity_due"] == UNKNOWN_DATE
    assert change["variables"] == pair("variable_pool", "variable_pool")
    assert change["__meta"]["ignoredFields"] == []


def test_a_record_has_every_field_that_the_table_api_shows(api: ChangeApi, client: FlaskClient) -> None:
    sys_id = api.new(short_description="Deploy")
    shown = result_of(TableApi(client, api.headers).get(sys_id, display_value="all", exclude_reference_link="true"))
    change = result_of(api.get(f"/{sys_id}"))

    assert change.keys() == shown.keys()
    labels = {name: value["display_value"] for name, value in change.items()}
    differing = {name for name, value in shown.items() if value["display_value"] != labels[name]}
    assert differing == {"sla_due", "activity_due", "variables"}


def test_times_are_stored_in_utc_and_shown_in_the_callers_zone(api: ChangeApi, client: FlaskClient) -> None:
    admin = TableApi(client, api.headers, "/api/now/table/sys_user")
    admin.update("6816f79cc0a8016401c5a33be04be441", {"time_zone": "Asia/Tokyo"})
    change = api.created(start_date="2030-01-31 08:30:00")

    assert change["start_date"] == {
        "value": "2030-01-31 08:30:00",
        "display_value": "2030-01-31 17:30:00",
        "display_value_internal": "2030-01-31 17:30:00",
    }


def test_fields_come_from_parameters_and_body_and_the_body_wins(api: ChangeApi) -> None:
    response = api.post("", {"Short_Description": "Body", "category": "network"}, short_description="Query", impact=1)
    change = result_of(response)

    assert response.status_code == 200
    assert (change["short_description"]["value"], change["impact"]["value"]) == ("Body", 1)
    assert change["category"]["value"] == "Network"
    patched = api.patch(f"/{id_of(change)}?short_description=Only+the+query")
    assert result_of(patched)["short_description"]["value"] == "Only the query"


def test_a_request_without_a_body_writes_the_parameters(api: ChangeApi) -> None:
    response = api.client.post(f"{PREFIX}?short_description=x&sysparm_fields=number", headers=api.headers)
    assert response.status_code == 200
    assert result_of(response)["short_description"]["value"] == "x"


@pytest.mark.parametrize("state", [-4, "-4", "assess", "Assess", {"value": -4, "display_value": "Assess"}])
def test_a_state_is_accepted_as_a_number_a_text_or_a_label(api: ChangeApi, state: Any) -> None:
    group = TableApi(api.client, api.headers, "/api/now/table/sys_user_group").created(name="Network")["sys_id"]
    sys_id = api.new(assignment_group=group)
    response = api.patch(f"/{sys_id}", {"state": state})
    assert result_of(response)["state"] == pair(-4, "Assess")


def test_a_label_that_is_also_a_value_of_another_choice_means_the_value(api: ChangeApi) -> None:
    choices = TableApi(api.client, api.headers, "/api/now/table/sys_choice")
    for value, label in (("Alpha", "Beta"), ("Beta", "Gamma")):
        choices.created(name="change_request", element="category", value=value, label=label)

    assert api.created(category="beta")["category"] == pair("Beta", "Gamma")
    assert api.created(category="gamma")["category"] == pair("Beta", "Gamma")


def test_models_types_and_people_are_accepted_by_name(api: ChangeApi) -> None:
    change = api.created(chg_model="emergency", requested_by="admin", encrypted_fields="requested_by")
    assert change["chg_model"]["display_value"] == "Emergency"
    assert change["type"] == pair("emergency", "Emergency")
    assert change["requested_by"]["display_value"] == "System Administrator"
    assert api.created(type="Standard")["type"]["value"] == "standard"
    assert api.created(type="Standard")["__meta"]["ignoredFields"] == []
    assert api.created()["type"]["value"] == "normal"


def test_dates_are_in_utc_although_labels_are_accepted(api: ChangeApi) -> None:
    admin = TableApi(api.client, api.headers, "/api/now/table/sys_user")
    admin.update("6816f79cc0a8016401c5a33be04be441", {"time_zone": "Asia/Tokyo"})
    change = api.created(start_date="2030-01-31T08:30:00", state="new")
    assert change["start_date"]["value"] == "2030-01-31 08:30:00"


def test_names_that_are_not_written_are_reported(api: ChangeApi) -> None:
    sent = {"bunk": 1, "number": "CHG1", "short_description": "x", "sys_created_by": "eve"}
    created = result_of(api.post("", sent, of_query="y", sysparm_view="z", encrypted_fields="a"))
    assert sorted(created["__meta"]["ignoredFields"]) == ["bunk", "number", "of_query", "sys_created_by"]
    patched = result_of(api.patch(f"/{id_of(created)}", {"bunk": 1, "approval": "approved"}))
    assert sorted(patched["__meta"]["ignoredFields"]) == ["approval", "bunk"]
    assert patched["approval"]["value"] == "not requested"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"state": "nonsense"}, "Field state: a whole number is expected"),
        ({"state": [1]}, "Field state: a text, number, boolean or null is expected"),
        ({"priority": 2.5}, "Field priority: a whole number is expected"),
        ({"active": "perhaps"}, "Field active: true or false is expected"),
        ({"start_date": "tomorrow"}, "Field start_date: a date-time such as"),
        ({"assigned_to": {"value": {"value": "admin"}}}, "Field assigned_to: a text, number"),
        ({"chg_model": "no such model"}, "Field chg_model: no record of chg_model matches"),
        ({"short_description": "x" * 161}, "161 characters are more than the 160"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_clear_400(api: ChangeApi, body: dict[str, Any], said: str) -> None:
    sys_id = api.new()
    for response in (api.post("", body), api.patch(f"/{sys_id}", body)):
        message, detail = error_of(response)
        assert (response.status_code, message) == (400, "Exception while reading request")
        assert said in str(detail)


def test_a_deleted_change_is_returned_and_gone(api: ChangeApi) -> None:
    sys_id = api.new(short_description="Deploy")
    response = api.delete(f"/{sys_id}")
    assert response.status_code == 200
    assert result_of(response)["short_description"] == pair("Deploy", "Deploy")
    for again in (api.get(f"/{sys_id}"), api.delete(f"/{sys_id}"), api.patch(f"/{sys_id}")):
        assert (again.status_code, error_of(again)) == (404, NOT_FOUND)


@pytest.mark.parametrize("kind", ["normal", "emergency", "standard"])
def test_a_path_of_a_type_serves_only_that_type(api: ChangeApi, kind: str) -> None:
    sys_ids = {each: api.new(type=each, short_description=each) for each in ("normal", "emergency", "standard")}

    assert api.listed(f"/{kind}") == [kind]
    for each, sys_id in sys_ids.items():
        path = f"/{kind}/{sys_id}"
        expected = 200 if each == kind else 404
        assert api.get(path).status_code == api.patch(path, {"description": "x"}).status_code == expected
        assert api.delete(path).status_code == expected


@pytest.mark.parametrize("kind", ["normal", "emergency"])
def test_the_path_decides_the_type_of_a_new_change(api: ChangeApi, kind: str) -> None:
    plain = api.created(f"/{kind}", type=kind.upper())
    assert (plain["type"]["value"], plain["__meta"]["ignoredFields"]) == (kind, [])
    assert plain["chg_model"]["display_value"] == kind.capitalize()
    contrary = result_of(api.post(f"/{kind}?Type=standard"))
    assert (contrary["type"]["value"], contrary["__meta"]["ignoredFields"]) == (kind, ["Type"])


def test_a_standard_change_is_not_created_without_its_template(api: ChangeApi) -> None:
    response = api.post("/standard", {"short_description": "x"})
    assert response.status_code == 405
    assert error_of(response)[0] == "Method not supported"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/{NOBODY}/diff"),
        ("POST", f"/{NOBODY}/nextstates/diff"),
        ("GET", f"/ci/{NOBODY}"),
        ("PATCH", f"/worker/{NOBODY}/schedule"),
    ],
)
def test_paths_that_are_not_served_are_an_unknown_uri(api: ChangeApi, method: str, path: str) -> None:
    response = api.call(method, path)
    assert (response.status_code, error_of(response)[0]) == (400, "Requested URI does not represent any resource")


def test_a_refused_move_is_a_400_that_names_what_is_possible(itil: ChangeApi, api: ChangeApi) -> None:
    sys_id = itil.new()
    response = itil.patch(f"/{sys_id}", {"state": "closed", "description": "lost"})

    message, detail = error_of(response)
    assert (response.status_code, detail) == (400, "")
    assert message.startswith("Change Request record could not be updated. Operation against file 'change_request' was")
    assert result_of(api.get(f"/{sys_id}"))["description"]["value"] == ""
    created = itil.post("", {"state": -1})
    assert created.status_code == 400
    assert error_of(created)[0].startswith("Change Request record could not be created. ")


def test_a_refused_move_leaves_an_event_that_its_request_id_finds(itil: ChangeApi, api: ChangeApi) -> None:
    response = itil.patch(f"/{itil.new()}", {"state": "closed"})
    path = f"/api/now/oauth/events?correlation_id={response.headers['X-Request-Id']}"
    [event] = result_of(api.client.get(path, headers=api.headers))
    assert event["reason"] == "rule_refused"
    assert event["correlation_id"] == response.headers["X-Request-Id"]


def test_a_refusal_by_role_stays_a_403(api: ChangeApi, add_user: Any, client: FlaskClient) -> None:
    sys_id = api.new()
    add_user("tom", "sn_change_read")
    reader = ChangeApi(client, basic("tom", "itil itil itil"))
    assert reader.get(f"/{sys_id}").status_code == 200
    assert [reader.post().status_code, reader.patch(f"/{sys_id}").status_code] == [403, 403]
    assert error_of(reader.delete(f"/{sys_id}"))[1] == "ACL Exception Delete Failed due to security constraints"


def test_a_plain_user_sees_only_what_is_theirs(api: ChangeApi, add_user: Any, client: FlaskClient) -> None:
    add_user("pat")
    theirs, own = api.new(), api.new(requested_by="pat")
    requester = ChangeApi(client, basic("pat", "itil itil itil"))
    assert (requester.get(f"/{own}").status_code, requester.get(f"/{theirs}").status_code) == (200, 404)
    assert requester.listed(field="sys_id") == [own]
    assert requester.get(f"/{theirs}/task").status_code == 404


def test_an_idempotency_key_creates_once(api: ChangeApi) -> None:
    headers = api.headers | {"Idempotency-Key": "deploy-1"}
    first, second = (
        api.client.post(f"{PREFIX}/normal?impact=1", json={"description": "x"}, headers=headers) for _ in range(2)
    )
    assert id_of(result_of(first)) == id_of(result_of(second))
    other = api.client.post(f"{PREFIX}/emergency?impact=1", json={"description": "x"}, headers=headers)
    assert other.status_code == 409
    assert len(api.listed()) == 1


def test_a_version_protects_against_a_lost_update(api: ChangeApi) -> None:
    sys_id = api.new()
    stale = api.get(f"/{sys_id}").headers["ETag"]
    fresh = api.patch(f"/{sys_id}", {"description": "first"}).headers["ETag"]
    assert fresh != stale

    def write(method: str, version: str) -> int:
        return api.client.open(
            f"{PREFIX}/{sys_id}",
            method=method,
            json={"description": "second"} if method == "PATCH" else None,
            headers=api.headers | {"If-Match": version},
        ).status_code

    assert [write("PATCH", stale), write("DELETE", stale), write("PATCH", fresh)] == [412, 412, 200]
    assert write("DELETE", "*") == 200


def test_a_caller_may_do_without_the_answer(api: ChangeApi) -> None:
    headers = api.headers | {"X-no-response-body": "true"}
    made = api.client.post(PREFIX, json={}, headers=headers)
    [sys_id] = api.listed(field="sys_id")
    changed = api.client.patch(f"{PREFIX}/{sys_id}", json={"description": "x"}, headers=headers)
    gone = api.client.delete(f"{PREFIX}/{sys_id}", headers=headers)
    assert [(answer.status_code, answer.data) for answer in (made, changed, gone)] == [(200, b"")] * 3


def test_a_method_can_be_overridden(api: ChangeApi) -> None:
    sys_id = api.new()
    headers = api.headers | {"X-HTTP-Method-Override": "PATCH"}
    response = api.client.post(f"{PREFIX}/{sys_id}", json={"description": "x"}, headers=headers)
    assert result_of(response)["description"]["value"] == "x"


def test_records_come_as_xml_too(api: ChangeApi) -> None:
    sys_id = api.new(short_description="Deploy")
    response = api.client.get(f"{PREFIX}/{sys_id}", headers=api.headers | XML)
    assert "<active><display_value>true</display_value><value>true</value></active>" in response.text
    assert "<state><display_value>New</display_value><value>-5</value></state>" in response.text
    body = "<request><entry><short_description>By XML</short_description></entry></request>"
    sent = api.client.post(PREFIX, data=body, headers=api.headers, content_type="application/xml")
    assert result_of(sent)["short_description"]["value"] == "By XML"


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b"\xff"])
def test_a_body_that_is_not_a_record_is_a_400(api: ChangeApi, body: bytes) -> None:
    response = api.client.post(PREFIX, data=body, headers=api.headers, content_type="application/json")
    assert (response.status_code, error_of(response)[0]) == (400, "Exception while reading request")


def test_a_form_is_refused(api: ChangeApi) -> None:
    form = {"short_description": "x"}
    assert api.client.post(PREFIX, data=form, headers=api.headers).status_code == 415


def test_an_unauthenticated_caller_is_refused(client: FlaskClient) -> None:
    response = client.get(f"{PREFIX}/{NOBODY}")
    assert response.status_code == 401
    assert error_of(response) == ("User Not Authenticated", "Required to provide Auth information")


def test_both_versions_of_the_path_are_served(api: ChangeApi) -> None:
    first = ChangeApi(api.client, api.headers, "/api/sn_chg_rest/v1/change")
    sys_id = first.new("/normal", short_description="x")
    assert result_of(first.get(f"/{sys_id}")) == result_of(api.get(f"/{sys_id}"))
    assert first.get("", state="canceled").status_code == 200  # an empty list is not a 404 here
    unknown = ChangeApi(api.client, api.headers, "/api/sn_chg_rest/v2/change")
    assert unknown.get().status_code == 400


def test_a_choice_that_has_become_inactive_is_shown_by_its_label(api: ChangeApi, app: Flask) -> None:
    sys_id = api.new(category="Telecom")
    with app.app_context():
        db.session.execute(db.text("UPDATE sys_choice SET inactive = true WHERE value = 'Telecom'"))
        db.session.commit()
    assert result_of(api.get(f"/{sys_id}"))["category"] == pair("Telecom", "Telecom")


def test_models_are_listed_and_read(api: ChangeApi) -> None:
    assert api.listed("/model", "name") == ["Emergency", "Normal", "Standard"]
    assert api.listed("/model", "name", default_change_model="true") == ["Normal"]
    assert api.listed("/model", "name", order="default_change_model")[-1] == "Normal"
    model = result_of(api.get("/model/e55d0bfec343101035ae3f52c1d3ae49"))
    assert model["record_preset"] == pair("type=standard^EQ", "type=standard^EQ")
    assert model["active"] == pair(True, "true")
    assert model.keys() == {*TABLES["chg_model"].columns, "sys_tags"}
    assert api.get(f"/model/{NOBODY}").status_code == 404
    assert api.post("/model", {"name": "Mine"}).status_code == 405


def test_every_state_has_its_number_and_label(api: ChangeApi) -> None:
    for value, label in CHANGE_STATES.items():
        sys_id = TableApi(api.client, api.headers).created(state=value)["sys_id"]
        assert result_of(api.get(f"/{sys_id}"))["state"] == pair(int(value), label)


def test_values_are_typed_on_both_databases(either_desk: TokenDesk) -> None:
    token = either_desk.token(either_desk.register(scopes=["useraccount"], run_as="admin"))
    api = ChangeApi(either_desk.client, {"Authorization": f"Bearer {token}"})
    sent = {"start_date": "2030-01-31 08:30:00", "cab_date": "2030-01-30", "cab_required": True, "risk": "moderate"}
    created = api.created("/normal", **sent)
    read = result_of(api.get(f"/{id_of(created)}"))
    [listed] = result_of(api.get(risk="Moderate", textSearch="", order="number"))

    for change in (created, read, listed):
        assert change["start_date"]["value"] == change["start_date"]["display_value_internal"] == sent["start_date"]
        assert change["cab_date"]["value"] == "2030-01-30"
        assert change["cab_required"] == pair(True, "true") and change["unauthorized"] == pair(False, "false")
        assert change["risk"] == pair(3, "Moderate") and change["sys_mod_count"] == pair(0, "0")
    assert result_of(api.get(f"/{id_of(created)}/nextstates"))["available_states"][0] == "-5"
    assert [blocker["code"] for blocker in result_of(api.get(f"/{id_of(created)}/blockers"))] == ["field"]
    task = api.created(f"/{id_of(created)}/task", planned_end_date="2030-01-31T08:00:00")
    assert task["planned_end_date"]["value"] == "2030-01-31 08:00:00"
    assert result_of(api.delete(f"/{id_of(created)}"))["number"] == created["number"]


def test_a_body_is_bounded_and_not_compressed(api: ChangeApi) -> None:
    def refused(status: int, message: str, **options: Any) -> None:
        response = api.client.post(PREFIX, headers=api.headers | options.pop("extra", {}), **options)
        assert (response.status_code, error_of(response)[0]) == (status, message)

    sent: dict[str, Any] = {"content_type": "application/json"}
    large = b'{"description": "' + b"x" * (10 * 1024 * 1024) + b'"}'
    refused(400, "Exception while reading request", data=large, **sent)
    refused(415, "Unsupported media type", data=b"{}", extra={"Content-Encoding": "gzip"}, **sent)
    assert api.listed() == []


def test_a_path_of_a_type_refuses_the_model_of_another_type(api: ChangeApi) -> None:
    refused = api.post("/normal", {"short_description": "Deploy", "chg_model": "Emergency"})

    assert refused.status_code == 400
    assert "the model of this change sets the type emergency" in str(refused.get_json())
    assert api.post("/emergency", {"short_description": "Deploy", "chg_model": "Emergency"}).status_code == 200
