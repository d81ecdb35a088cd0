"""The header that names the fields which a write has not used, and the setting that refuses unknown ones."""

import base64
import json
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.table_api import CHANGES, USERS, TableApi, error_of, result_of

HEADER = "X-Changegate-Ignored-Fields"


@pytest.fixture
def api(either_app: Flask) -> TableApi:
    return TableApi(either_app.test_client(), basic("admin", ADMIN_PASSWORD))


def test_a_creation_names_unknown_and_read_only_fields_as_they_were_sent(api: TableApi) -> None:
    body = {"Bunk_Field": 1, "short_description": "x", "number": "CHG9", "comments_and_work_notes": "y", "a.b": "z"}
    # Not by the test client's own way to send JSON, which sorts the names.
    response = api.client.post(CHANGES, data=json.dumps(body), headers=api.headers)
    assert response.status_code == 201
    assert response.headers[HEADER] == "Bunk_Field, number, comments_and_work_notes, a.b"


def test_an_update_names_unknown_and_read_only_fields(api: TableApi) -> None:
    change = api.created()
    response = api.update(change["sys_id"], {"bunk": 1, "sys_created_by": "x", "description": "y", "work_notes": "z"})
    assert response.status_code == 200
    assert response.headers[HEADER] == "bunk, sys_created_by"


def test_a_write_whose_fields_are_all_used_has_no_header(api: TableApi) -> None:
    response = api.create({"sys_id": "0" * 32, "short_description": "x", "work_notes": "y", "description": ""})
    assert response.status_code == 201
    assert HEADER not in response.headers
    response = api.update("0" * 32, {"short_description": "z", "work_notes": ""})
    assert response.status_code == 200
    assert HEADER not in response.headers


def test_a_field_that_a_rule_of_the_table_overrides_is_named(either_app: Flask, api: TableApi) -> None:
    api.path = USERS
    api.created(user_name="ines", user_password="itil itil itil", roles="x")
    user = api.found("user_name=ines", field="sys_id")[0]
    roles, held = TableApi(api.client, api.headers), TableApi(api.client, api.headers)
    roles.path, held.path = "/api/now/table/sys_user_role", "/api/now/table/sys_user_has_role"
    held.created(user=user, role=roles.found("name=itil", field="sys_id")[0])
    ines = TableApi(either_app.test_client(), basic("ines", "itil itil itil"))
    response = ines.create({"short_description": "x", "approval": "approved", "closed_at": "2026-01-01 00:00:00"})
    assert response.status_code == 201
    assert response.headers[HEADER] == "approval, closed_at"
    assert result_of(response)["approval"] == "not requested"


def test_a_hashed_password_is_not_an_ignored_one(api: TableApi) -> None:
    api.path = USERS
    response = api.create({"user_name": "ines", "user_password": "itil itil itil"})
    assert response.status_code == 201
    assert HEADER not in response.headers


def test_emptying_a_choice_is_named_since_it_changes_nothing(api: TableApi) -> None:
    change = api.created(priority="2")
    response = api.update(change["sys_id"], {"priority": ""})
    assert (response.status_code, result_of(response)["priority"]) == (200, "2")
    assert response.headers[HEADER] == "priority"


def test_an_empty_body_creates_a_record_and_is_reported(api: TableApi) -> None:
    for body in (b"", b"{}", b"[{}]"):
        response = api.client.post(CHANGES, data=body, headers=api.headers)
        assert response.status_code == 201
        assert response.headers[HEADER] == "(empty body)"


def test_the_header_is_bounded_and_printable(api: TableApi) -> None:
    names = ["a, b", "é" * 3, "line\r\nSet-Cookie: x=1", "x" * 5000, *(f"field_{number}" for number in range(2000))]
    response = api.client.post(CHANGES, data=json.dumps(dict.fromkeys(names, "x")), headers=api.headers)
    assert response.status_code == 201
    header = response.headers[HEADER]
    assert len(header) <= 1000
    assert header.isascii()
    assert header.isprintable()
    assert header.endswith(", ...")
    assert [unquote(name) for name in header.split(", ")[:3]] == names[:3]
    assert "Set-Cookie" not in response.headers


def test_the_header_is_there_without_a_body_and_in_xml(api: TableApi) -> None:
    sent = api.headers | {"X-no-response-body": "true"}
    assert api.client.post(CHANGES, json={"bunk": 1}, headers=sent).headers[HEADER] == "bunk"
    xml = b"<request><entry><bunk>1</bunk></entry></request>"
    sent = api.headers | {"Content-Type": "application/xml", "Accept": "application/xml"}
    response = api.client.post(CHANGES, data=xml, headers=sent)
    assert (response.status_code, response.headers[HEADER]) == (201, "bunk")


def test_a_repeated_creation_names_the_same_fields(api: TableApi) -> None:
    headers = api.headers | {"Idempotency-Key": "once"}
    answers = [api.client.post(CHANGES, json={"bunk": 1}, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [answer.headers[HEADER] for answer in answers] == ["bunk", "bunk"]


def test_a_request_in_a_batch_has_the_header_among_its_own(api: TableApi) -> None:
    body = base64.b64encode(json.dumps({"bunk": 1}).encode()).decode()
    request = {"id": "1", "method": "POST", "url": CHANGES, "body": body}
    response = api.client.post("/api/now/batch", json={"rest_requests": [request]}, headers=api.headers)
    [served] = response.get_json()["serviced_requests"]
    assert served["status_code"] == 201
    assert {"name": HEADER, "value": "bunk"} in served["headers"]


class TestWithTheSetting:
    @pytest.fixture
    def settings(self) -> dict[str, str]:
        return {"refuse_unknown_fields": "1"}

    @pytest.fixture
    def api(self, client: FlaskClient, admin: dict[str, str]) -> TableApi:
        return TableApi(client, admin)

    @pytest.mark.parametrize("body", [{"bunk": 1}, {"short_description": "x", "bunk": 1}])
    def test_unknown_fields_are_refused_and_nothing_is_written(self, api: TableApi, body: dict[str, Any]) -> None:
        response = api.create(body)
        assert response.status_code == 400
        assert "bunk" in str(error_of(response)[1])
        change = api.created(short_description="known")
        response = api.update(change["sys_id"], body)
        assert response.status_code == 400
        assert "bunk" in str(error_of(response)[1])
        assert api.found("") == ["known"]

    def test_an_empty_body_is_refused(self, api: TableApi) -> None:
        response = api.client.post(CHANGES, headers=api.headers)
        assert response.status_code == 400
        assert "empty" in str(error_of(response)[1])
        assert api.found("") == []

    def test_read_only_fields_that_are_sent_back_still_pass(self, api: TableApi) -> None:
        change = api.created(short_description="known")
        response = api.update(change["sys_id"], change | {"description": "more"})
        assert response.status_code == 200
        assert "number" in response.headers[HEADER]

    def test_the_refusal_is_bounded(self, api: TableApi) -> None:
        response = api.create({f"field_{number}\0": 1 for number in range(5000)})
        assert response.status_code == 400
        assert len(str(error_of(response)[1])) < 2000
