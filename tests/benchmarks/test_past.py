"""Rows that are inserted directly equal those that the product stores."""

import pytest
from benchmarks.past import CHANGES_OF_A_GROUP, FIRST_NUMBER, Past, fill
from benchmarks.product import CHANGE_PATH, list_path
from flask import Flask

from changegate.extensions import db
from tests.conftest import ADMIN_PASSWORD, basic

ADMIN = basic("admin", ADMIN_PASSWORD)
CHANGES = 1500


@pytest.fixture
def past(either_app: Flask) -> Past:
    with either_app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
        db.session.remove()
        db.engine.dispose()
    return fill(url, CHANGES)


def test_a_group_has_the_same_number_of_changes_at_any_size(past: Past) -> None:
    assert len(past.groups) == CHANGES / CHANGES_OF_A_GROUP


def test_the_product_serves_every_change_filled_in(either_app: Flask, past: Past) -> None:
    answer = either_app.test_client().get(list_path("ORDERBYDESCsys_created_on", 1), headers=ADMIN)
    assert answer.headers["X-Total-Count"] == str(CHANGES)
    [newest] = answer.get_json()["result"]
    assert newest["number"] == f"CHG{FIRST_NUMBER + CHANGES - 1:07}"


def test_the_product_finds_a_change_of_the_sample(either_app: Flask, past: Past) -> None:
    found = either_app.test_client().get(f"{CHANGE_PATH}/{past.sys_ids[0]}", headers=ADMIN).get_json()["result"]
    assert found["sys_id"] == past.sys_ids[0]
    assert found["active"] == ("false" if found["state"] in {"3", "4"} else "true")
    assert found["sys_created_on"] == found["opened_at"]


def test_filled_in_records_equal_created_records(either_app: Flask, past: Past) -> None:
    client = either_app.test_client()
    filled = client.get(f"{CHANGE_PATH}/{past.sys_ids[0]}", headers=ADMIN).get_json()["result"]
    created = client.post(CHANGE_PATH, json={"short_description": "By hand"}, headers=ADMIN).get_json()["result"]
    constant = {"sys_class_name", "sys_domain", "approval", "phase", "made_sla", "on_hold", "sys_mod_count"}
    assert {name: filled[name] for name in constant} == {name: created[name] for name in constant}


def test_the_product_goes_on_counting_where_the_past_ends(either_app: Flask, past: Past) -> None:
    client = either_app.test_client()
    created = client.post(CHANGE_PATH, json={"short_description": "The next one"}, headers=ADMIN)
    assert created.get_json()["result"]["number"] == f"CHG{FIRST_NUMBER + CHANGES:07}"


def test_a_group_and_its_changes_are_found_by_reference(either_app: Flask, past: Past) -> None:
    query = f"assignment_group={past.groups[0]}"
    answer = either_app.test_client().get(list_path(query, 10_000, display_value="true"), headers=ADMIN)
    shown = {record["assignment_group"]["display_value"] for record in answer.get_json()["result"]}
    assert shown == {"Group 0"}
    assert 0 < int(answer.headers["X-Total-Count"]) < CHANGES
