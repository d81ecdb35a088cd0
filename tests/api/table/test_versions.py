"""Versions of records: the ETag that single records carry, and the If-Match that protects a write (RFC 9110 §13.1)."""

from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from unittest import mock

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.database import compiled
from changegate.extensions import db
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.reading.records import open_record
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.conftest import basic
from tests.support.people import ROOT
from tests.support.statements import counted_statements
from tests.support.table_api import CHANGES, TableApi, error_of, result_of

MISSING = "0" * 32
CHANGED_SINCE = "Precondition Failed"
RACERS = 6


@pytest.fixture
def client(either_app: Flask) -> FlaskClient:
    return either_app.test_client()


@pytest.fixture
def change(api: TableApi) -> str:
    return str(api.created(short_description="before")["sys_id"])


def write(api: TableApi, method: str, sys_id: str, **headers: str) -> TestResponse:
    sent = {} if method == "DELETE" else {"json": {"short_description": "after"}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.open(f"{api.path}/{sys_id}", method=method, headers={**api.headers, **named}, **sent)


def test_every_answer_with_one_record_carries_the_version_that_it_shows(api: TableApi) -> None:
    made = api.create({"short_description": "before"})
    sys_id = result_of(made)["sys_id"]
    assert api.get(sys_id).headers["ETag"] == made.headers["ETag"]
    changed = write(api, "PATCH", sys_id)
    assert changed.headers["ETag"] != made.headers["ETag"]
    assert api.get(sys_id).headers["ETag"] == changed.headers["ETag"]
    same = write(api, "PUT", sys_id)
    assert same.headers["ETag"] == changed.headers["ETag"]
    noted = api.update(sys_id, {"work_notes": "a line"})
    assert noted.headers["ETag"] not in {same.headers["ETag"], made.headers["ETag"]}
    assert "ETag" not in api.page().headers


@pytest.mark.parametrize(
    "params",
    [
        {"fields": "number"},
        {"fields": "cmdb_ci.name"},
        {"display_value": "true"},
        {"display_value": "all"},
        {"fields": "x"},
    ],
)
def test_the_version_is_that_of_the_record_however_it_is_shown(
    api: TableApi, change: str, params: dict[str, str]
) -> None:
    shown = api.get(change, **params)
    assert shown.headers["ETag"] == api.get(change).headers["ETag"]
    assert write(api, "PATCH", change, If_Match=shown.headers["ETag"]).status_code == 200


def test_an_answer_without_a_body_carries_the_version_as_well(api: TableApi, change: str) -> None:
    bodiless = write(api, "PATCH", change, X_no_response_body="true")
    assert (bodiless.status_code, bodiless.data) == (200, b"")
    assert bodiless.headers["ETag"] == api.get(change).headers["ETag"]
    made = api.client.post(api.path, json={}, headers={**api.headers, "X-no-response-body": "true"})
    assert made.headers["ETag"] == api.get(made.headers["Location"].rpartition("/")[2]).headers["ETag"]


def test_other_tables_have_versions_as_well(api: TableApi) -> None:
    api.path = "/api/now/table/sys_user"
    user = api.page(limit=1).get_json()["result"][0]["sys_id"]
    stale = api.get(user).headers["ETag"]
    assert api.update(user, {"title": "Engineer"}).headers["ETag"] != stale
    refused = api.client.patch(f"{api.path}/{user}", json={"title": "x"}, headers={**api.headers, "If-Match": stale})
    assert refused.status_code == 412


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_refuses_to_write_over_a_newer_version(api: TableApi, change: str, method: str) -> None:
    read = api.get(change)
    newer = api.update(change, {"short_description": "somebody else's"})
    refused = write(api, method, change, If_Match=read.headers["ETag"])
    assert (refused.status_code, refused.headers["ETag"]) == (412, newer.headers["ETag"])
    message, detail = error_of(refused)
    assert message == CHANGED_SINCE
    assert "admin" in str(detail)
    assert result_of(api.get(change))["short_description"] == "somebody else's"
    accepted = write(api, method, change, If_Match=newer.headers["ETag"])
    assert accepted.status_code == (204 if method == "DELETE" else 200)


@pytest.mark.parametrize("form", ["{0}", "*", '"other", {0}', '"other",{0}', "W/{0}", " {0} "])
def test_takes_every_form_of_a_condition_that_names_the_version(api: TableApi, change: str, form: str) -> None:
    tag = api.get(change).headers["ETag"]
    assert write(api, "PATCH", change, If_Match=form.format(tag)).status_code == 200


@pytest.mark.parametrize("condition", ["", '"other"', '"', ",", 'W/"other"', '"*"', "none", '"a" "b"', '"\xff"'])
def test_a_condition_that_does_not_name_the_version_fails(api: TableApi, change: str, condition: str) -> None:
    assert write(api, "PATCH", change, If_Match=condition).status_code == 412
    assert result_of(api.get(change))["short_description"] == "before"


@pytest.mark.parametrize("condition", ["*", '"other"'])
def test_a_missing_record_is_a_404(api: TableApi, condition: str) -> None:
    assert write(api, "PATCH", MISSING, If_Match=condition).status_code == 404


def test_a_caller_without_write_access_learns_no_version(either_app: Flask, api: TableApi, change: str) -> None:
    assert write(api, "PATCH", change, If_Match='"other"').status_code == 412
    unauthenticated = TableApi(api.client, basic("admin", "wrong password"))
    refused = write(unauthenticated, "PATCH", change, If_Match='"other"')
    assert (refused.status_code, "ETag" in refused.headers) == (401, False)


def test_of_writers_with_one_version_exactly_one_wins(either_app: Flask, api: TableApi, change: str) -> None:
    tag, start = api.get(change).headers["ETag"], Barrier(RACERS)

    def race(number: int) -> int:
        caller = TableApi(either_app.test_client(), {**api.headers, "If-Match": tag})
        start.wait()
        return caller.update(change, {"short_description": f"racer {number}"}).status_code

    with ThreadPoolExecutor(RACERS) as pool:
        statuses = sorted(pool.map(race, range(RACERS)))
    assert statuses == [200, *[412] * (RACERS - 1)]


@pytest.mark.parametrize("condition", ["{0}", "W/{0}", '"other", {0}', "*"])
def test_a_reader_that_has_the_version_is_sent_nothing_again(api: TableApi, change: str, condition: str) -> None:
    tag = api.get(change).headers["ETag"]
    headers = {**api.headers, "If-None-Match": condition.format(tag)}
    again = api.client.get(f"{CHANGES}/{change}", headers=headers)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    api.update(change, {"short_description": "after"})
    newer = api.client.get(f"{CHANGES}/{change}", headers=headers)
    assert newer.status_code == (304 if condition == "*" else 200)


@pytest.mark.parametrize("params", ["display_value=true", "fields=cmdb_ci.name", "display_value=all"])
def test_what_shows_other_records_is_always_sent(api: TableApi, change: str, params: str) -> None:
    tag = api.get(change).headers["ETag"]
    shown = api.client.get(f"{CHANGES}/{change}?sysparm_{params}", headers={**api.headers, "If-None-Match": tag})
    assert shown.status_code == 200


def test_a_refusal_in_xml_has_the_envelope_in_xml(api: TableApi, change: str) -> None:
    refused = write(api, "PATCH", change, If_Match='"other"', Accept="application/xml")
    assert (refused.status_code, refused.mimetype) == (412, "application/xml")
    assert CHANGED_SINCE in refused.text


def test_parts_of_a_batch_have_conditions_of_their_own(api: TableApi, change: str) -> None:
    tag = api.get(change).headers["ETag"]

    def part(identifier: str, condition: str) -> dict[str, Any]:
        named = {"Content-Type": "application/json", "if-match": condition}
        headers = [{"name": name, "value": value} for name, value in named.items()]
        body = b64encode(orjson.dumps({"short_description": identifier})).decode()
        return {"id": identifier, "method": "PATCH", "url": f"{CHANGES}/{change}", "headers": headers, "body": body}

    sent = {"batch_request_id": "1", "rest_requests": [part("first", tag), part("second", tag)]}
    answers = api.client.post("/api/now/v1/batch", json=sent, headers=api.headers).get_json()["serviced_requests"]
    assert [answer["status_code"] for answer in answers] == [200, 412]
    assert orjson.loads(b64decode(answers[1]["body"]))["error"]["message"] == CHANGED_SINCE
    headers = {one["name"]: one["value"] for one in answers[0]["headers"]}
    assert headers["ETag"] == api.get(change).headers["ETag"]


def test_reading_a_record_with_its_version_takes_one_statement(either_app: Flask) -> None:
    with either_app.app_context():
        table, shape = get_table("change_request"), Shape("", fields=("number",))
        sys_id = create_record(table, ROOT, {})["sys_id"]
        db.session.commit()
        with (
            counted_statements() as others,
            mock.patch.object(compiled, "fetch_on_driver", wraps=compiled.fetch_on_driver) as fetch,
        ):
            record = open_record(table, ROOT, sys_id, shape).render()
        assert (fetch.call_count, others, record.keys()) == (1, [], {"number"})
