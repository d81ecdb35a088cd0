"""The time zone of the caller, over HTTP: users by Basic and tokens by their run-as user."""

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.table.test_scope_limits import GET, PATCH, POST, allow, call
from tests.conftest import basic
from tests.support.table_api import CHANGES, USERS, TableApi, error_of, result_of
from tests.support.token_desk import TokenDesk

PASSWORD = "itil itil itil"
ZONES = {"bea": "Europe/Berlin", "ned": "america/new_york", "ula": ""}
VALUE = "2026-07-01 12:00:00"
LOCAL = {"bea": "2026-07-01 14:00:00", "ned": "2026-07-01 08:00:00", "ula": VALUE}


@pytest.fixture
def users(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin, USERS)


@pytest.fixture
def people(app: Flask, users: TableApi, add_user: Callable[..., str]) -> dict[str, TableApi]:
    """Three users: two in different time zones, and one without a time zone."""
    for name, zone in ZONES.items():
        sys_id = add_user(name, "itil")
        assert users.update(sys_id, {"time_zone": zone}).status_code == 200
    return {name: TableApi(app.test_client(), basic(name, PASSWORD)) for name in ZONES}


def _start(answer: TestResponse) -> Any:
    assert answer.status_code in {200, 201}, answer.text
    return result_of(answer)["start_date"]


def test_each_caller_reads_and_writes_by_their_own_clock(people: dict[str, TableApi]) -> None:
    sys_id = people["ula"].created(start_date=VALUE)["sys_id"]
    for _ in range(2):
        for name, api in people.items():
            assert _start(api.get(sys_id, display_value="true")) == LOCAL[name]
            assert _start(api.get(sys_id)) == VALUE
            [listed] = result_of(api.page(display_value="all", fields="start_date"))
            assert listed["start_date"] == {"display_value": LOCAL[name], "value": VALUE}
    for name, api in people.items():
        written = api.create({"start_date": LOCAL[name]}, input_display_value="true", display_value="all")
        assert _start(written) == {"display_value": LOCAL[name], "value": VALUE}
        assert _start(api.create({"start_date": VALUE}, display_value="true")) == LOCAL[name]


def test_xml_batches_and_statistics_follow_the_callers_clock(people: dict[str, TableApi]) -> None:
    api = people["bea"]
    sys_id = api.created(start_date=VALUE)["sys_id"]
    as_xml = {**api.headers, "Accept": "application/xml"}
    shown = api.client.get(f"{CHANGES}/{sys_id}?sysparm_display_value=true", headers=as_xml)
    assert f"<start_date>{LOCAL['bea']}</start_date>" in shown.text

    part = {"id": "1", "method": "GET", "url": f"{CHANGES}/{sys_id}?sysparm_display_value=true"}
    batch = {"batch_request_id": "1", "rest_requests": [part]}
    [served] = api.client.post("/api/now/v1/batch", json=batch, headers=api.headers).get_json()["serviced_requests"]
    assert json.loads(b64decode(served["body"]))["result"]["start_date"] == LOCAL["bea"]

    grouped = "sysparm_group_by=start_date&sysparm_count=true&sysparm_display_value=true"
    stats = api.client.get(f"/api/now/stats/change_request?{grouped}", headers=api.headers)
    assert LOCAL["bea"] in stats.text


def test_a_token_has_the_time_zone_of_its_run_as_user_from_the_next_call_on(
    desk: TokenDesk, people: dict[str, TableApi], users: TableApi
) -> None:
    integration = desk.register(run_as="bea")
    token = allow(desk, integration, GET, POST, PATCH)
    path = f"{CHANGES}?sysparm_display_value=true&sysparm_input_display_value=true"
    assert _start(call(desk, token, "POST", path, json={"start_date": LOCAL["bea"]})) == LOCAL["bea"]
    [stored] = people["ula"].found("start_dateISNOTEMPTY", "start_date")
    assert stored == VALUE

    [bea] = users.found("user_name=bea", "sys_id")
    assert users.update(bea, {"time_zone": "America/New_York"}).status_code == 200
    [shown] = result_of(call(desk, token, "GET", f"{CHANGES}?sysparm_display_value=true&sysparm_fields=start_date"))
    assert shown["start_date"] == LOCAL["ned"]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "CEST+2", "../../etc/passwd", "Factory"])
def test_an_unknown_time_zone_is_refused(users: TableApi, people: dict[str, TableApi], zone: str) -> None:
    created = users.create({"user_name": "new", "time_zone": zone})
    [bea] = users.found("user_name=bea", "sys_id")
    for refused in (created, users.update(bea, {"time_zone": zone})):
        assert refused.status_code == 400
        assert zone in str(error_of(refused)) and "Europe/Berlin" in str(error_of(refused))


def test_a_time_zone_is_stored_as_iana_spells_it(users: TableApi, people: dict[str, TableApi]) -> None:
    assert users.found("user_name=ned", "time_zone") == ["America/New_York"]


def test_a_refused_local_time_names_the_callers_time_zone(people: dict[str, TableApi]) -> None:
    refused = people["bea"].create({"start_date": "tomorrow"}, input_display_value="true")
    assert "(Europe/Berlin)" in str(error_of(refused))
