"""Writes: docs/reference/table-api.md#writes, docs/reference/change-records.md#numbers-and-defaults."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import CmdbCi, SysUser, SysUserGroup
from tests.conftest import basic
from tests.support.people import ADMIN
from tests.support.table_api import CHANGES, USERS, TableApi, error_of, result_of

CHOSEN = "0123456789ABCDEF0123456789abcdef"
UNREADABLE = "Exception while reading request"


@pytest.fixture
def change(api: TableApi) -> dict[str, Any]:
    return api.created(short_description="before", description="long", correlation_id="42")


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
def test_answers_with_the_location_of_a_new_record(api: TableApi, version: str) -> None:
    api.path = f"/api/now{version}/table/change_request"
    response = api.create({"short_description": "new"})
    assert response.status_code == 201
    record = result_of(response)
    assert response.headers["Location"] == f"https://change.example.com{api.path}/{record['sys_id']}"
    assert result_of(api.get(record["sys_id"])) == record


def test_keeps_a_sys_id_that_the_caller_chose(api: TableApi) -> None:
    assert api.created(sys_id=CHOSEN)["sys_id"] == CHOSEN
    assert result_of(api.get(CHOSEN))["sys_id"] == CHOSEN
    response = api.create({"sys_id": CHOSEN, "short_description": "again"})
    assert response.status_code == 403
    message, detail = error_of(response)
    assert message == "Operation Failed"
    assert "Unique Key violation" in str(detail)
    assert api.found("") == [""]


@pytest.mark.parametrize("sys_id", ["short", "g" * 33, "0" * 31 + "-", "0" * 31 + "\n", 1, ["x"], {"value": "0" * 32}])
def test_refuses_an_invalid_chosen_sys_id(api: TableApi, sys_id: object) -> None:
    response = api.create({"sys_id": sys_id})
    assert (response.status_code, error_of(response)[0]) == (400, UNREADABLE)


def test_ignores_unknown_and_read_only_fields(api: TableApi, change: dict[str, Any]) -> None:
    ignored = {
        "bunk_field": "x",
        "hold_reason": ["whatever", {"it": "is"}],
        "": 1,
        "\0": 2,
        "number": "CHG9",
        "sys_mod_count": 99,
        "sys_created_by": "somebody",
        "sys_created_on": "2001-01-01 00:00:00",
        "sys_class_name": "task",
        "sys_domain": "x",
        "reassignment_count": 7,
        "oauth_entity": "0" * 32,
        "approval_history": "a text",
        "comments_and_work_notes": "a text",
    }
    assert result_of(api.update(change["sys_id"], ignored | {"sys_id": CHOSEN})) == change
    created = result_of(api.create(ignored))
    assert created["number"] == "CHG0030002"
    assert created["sys_mod_count"] == created["reassignment_count"] == "0"
    assert created["sys_created_by"] == "admin"
    assert created["sys_class_name"] == "change_request"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changes_only_the_sent_fields(api: TableApi, change: dict[str, Any], method: str) -> None:
    path = f"{CHANGES}/{change['sys_id']}?sysparm_query=x&sysparm_limit=0&sysparm_offset=9"
    response = api.client.open(path, method=method, json={"description": "longer"}, headers=api.headers)
    assert response.status_code == 200
    changed = result_of(response)
    assert changed["sys_updated_on"] >= change["sys_updated_on"]
    stamps = {"sys_mod_count": "1", "sys_updated_on": changed["sys_updated_on"]}
    assert changed == change | stamps | {"description": "longer"}
    assert result_of(api.get(change["sys_id"])) == changed


def test_a_write_of_equal_values_changes_nothing(api: TableApi) -> None:
    change = api.created(
        short_description="same", start_date="2026-01-31 08:30:00", priority=2, requested_by="admin", chg_model="normal"
    )
    same = {
        "short_description": "same",
        "start_date": "2026-01-31T09:30:00+01:00",
        "priority": "2",
        "requested_by": {"link": "https://x", "value": ADMIN},
        "active": True,
        "assigned_to": "",
        "description": None,
        "type": "NORMAL",
        "chg_model": "normal",
    }
    for body in (same, change, {}):
        assert result_of(api.update(change["sys_id"], body)) == change


def test_counts_updates_and_stores_who_made_them(api: TableApi, change: dict[str, Any], add_user: Any) -> None:
    add_user("ann", "itil")
    ann = TableApi(api.client, basic("ann", "itil itil itil"))
    for count in ("1", "2", "3"):
        changed = result_of(ann.update(change["sys_id"], {"description": f"number {count}"}))
        assert changed["sys_mod_count"] == count
        assert (changed["sys_updated_by"], changed["sys_created_by"]) == ("ann", "admin")


def test_empties_text_dates_and_references(api: TableApi) -> None:
    change = api.created(description="x", start_date="2026-01-31", assigned_to="admin", watch_list=ADMIN, order=3)
    for empty in ("", None):
        body = dict.fromkeys(("description", "start_date", "assigned_to", "watch_list", "order"), empty)
        changed = result_of(api.update(change["sys_id"], body))
        assert {changed[name] for name in body} == {""}


def test_keeps_choices_and_booleans_that_a_caller_would_empty(api: TableApi) -> None:
    change = api.created(close_code="successful", risk=2, on_hold=True)
    body = dict.fromkeys(("state", "priority", "close_code", "risk", "type", "active", "on_hold", "made_sla"), "")
    assert result_of(api.update(change["sys_id"], body)) == change
    assert result_of(api.update(change["sys_id"], dict.fromkeys(body))) == change


def test_takes_empty_values_on_create_for_absent_ones(api: TableApi) -> None:
    record = api.created(state="", priority=None, impact="", urgency="", type="", risk="", category="")
    assert (record["state"], record["priority"], record["type"], record["category"]) == ("-5", "4", "normal", "Other")


def test_refuses_to_empty_what_a_record_cannot_do_without(client: FlaskClient, admin: dict[str, str]) -> None:
    users = TableApi(client, admin, USERS)
    response = users.update(ADMIN, {"user_name": ""})
    assert response.status_code == 403
    text = "Data Policy Exception: The following fields are mandatory: User ID"
    assert error_of(response) == ("Operation Failed", text)


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("start_date", "2026-01-31 08:30:00", "2026-01-31 08:30:00"),
        ("start_date", "2026-01-31T08:30:00", "2026-01-31 08:30:00"),
        ("start_date", "2026-01-31T08:30:00Z", "2026-01-31 08:30:00"),
        ("start_date", "2026-01-31T00:30:00+02:00", "2026-01-30 22:30:00"),
        ("start_date", "2026-01-31 08:30:00.999", "2026-01-31 08:30:00"),
        ("start_date", "2026-01-31", "2026-01-31 00:00:00"),
        ("cab_date", "2026-01-31", "2026-01-31"),
        ("cab_date", "2026-01-31 23:00:00", "2026-01-31"),
        ("priority", 1, "1"),
        ("priority", "1", "1"),
        ("priority", 1.0, "1"),
        ("order", -7, "-7"),
        ("cab_required", True, "true"),
        ("cab_required", "TRUE", "true"),
        ("cab_required", "1", "true"),
        ("cab_required", 0, "false"),
        ("category", "software", "Software"),
        ("short_description", 3.5, "3.5"),
        ("short_description", True, "true"),
        ("short_description", {"value": 1}, "1"),
        ("short_description", {"display_value": "shown"}, "shown"),
        ("short_description", 2**64 - 1, "18446744073709551615"),
        ("short_description", " kept ", " kept "),
        ("short_description", "\U0001f600 \u00e9\u00df", "\U0001f600 \u00e9\u00df"),
        ("short_description", "'; DROP TABLE task; --", "'; DROP TABLE task; --"),
        ("description", "two\r\nlines\tand a tab", "two\r\nlines\tand a tab"),
        ("watch_list", [ADMIN, ADMIN], f"{ADMIN},{ADMIN}"),
        ("SHORT_DESCRIPTION", "in capitals", "in capitals"),
        (
            "company",
            "ACME",
            {"link": "https://change.example.com/api/now/table/core_company/ACME", "value": "ACME"},
        ),
    ],
)
def test_stores_values_in_their_canonical_form(api: TableApi, field: str, sent: object, stored: object) -> None:
    change = api.created(**{field: sent})
    assert change[field.lower()] == stored
    updated = api.created()
    assert result_of(api.update(updated["sys_id"], {field: sent}))[field.lower()] == stored
    assert result_of(api.get(updated["sys_id"]))[field.lower()] == stored


BAD_VALUES: list[tuple[str, object, str]] = [
    ("priority", "high", "a whole number is expected"),
    ("priority", 1.5, "a whole number is expected"),
    ("priority", 7, "it is not one of the choices 1, 2, 3, 4"),
    ("state", "99", "it is not one of the choices -5, -4, -3, -2, -1, 0, 3, 4"),
    ("order", 2**31, "the number is too large"),
    ("order", 2**64 - 1, "a whole number is expected"),
    ("order", 10**30, "the number is too large; it may be sent as text"),
    ("correlation_id", 1e300, "the number is too large; it may be sent as text"),
    ("order", "\u0663", "a whole number is expected"),
    ("type", "casual", "it is not one of the choices normal, standard, emergency"),
    ("on_hold", "maybe", "true or false is expected"),
    ("on_hold", 2, "true or false is expected"),
    ("start_date", "soon", "a date-time such as 2026-01-31 08:30:00 (UTC) is expected"),
    ("start_date", "0001-01-01 00:00:00+14:00", "the date-time is out of range"),
    ("start_date", "0999-12-31 23:59:59", "the date-time is out of range"),
    ("start_date", "9999-12-31 23:59:59-14:00", "the date-time is out of range"),
    ("start_date", "2026-02-30 00:00:00", "a date-time"),
    ("short_description", "x" * 161, "161 characters are more than the 160 it holds"),
    ("description", "x" * 4001, "4001 characters are more than the 4000 it holds"),
    ("correlation_id", "x" * 101, "101 characters are more than the 100 it holds"),
    ("short_description", "a\0b", "control characters and lone surrogates cannot be stored"),
    ("short_description", {"a": 1}, "a text, number, boolean or null is expected"),
    ("short_description", [1], "a text, number, boolean or null is expected"),
    ("short_description", {"value": [1]}, "a text, number, boolean or null is expected"),
    ("short_description", {"value": {"value": 1}}, "a text, number, boolean or null is expected"),
    ("work_notes", {"a": 1}, "a text, number, boolean or null is expected"),
    ("work_notes", "a\0b", "control characters and lone surrogates cannot be stored"),
    ("comments", "x" * 65537, "65537 characters are more than the 65536 it holds"),
    ("assigned_to", "nobody", "no record of sys_user matches the value"),
    ("assigned_to", "0" * 32, "no record of sys_user matches the value"),
    ("assigned_to", "a\0b", "control characters and lone surrogates cannot be stored"),
    ("assigned_to", "x" * 256, "256 characters are more than the 255 it holds"),
    ("assignment_group", "Nowhere", "no record of sys_user_group matches the value"),
    ("cmdb_ci", "nothing", "no record of cmdb_ci matches the value"),
    ("parent", "CHG0000000", "no record of task matches the value"),
    ("company", "x" * 33, "a sys_id or a name of up to 32"),
    ("watch_list", "x" * 4001, "4001 characters are more than the 4000 it holds"),
    ("watch_list", ["admin", "nobody"], "no record of sys_user matches the value"),
    ("std_change_producer_version", "nothing", "no record of std_change_producer_version matches the value"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), BAD_VALUES)
def test_refuses_a_bad_value_by_name_and_writes_nothing(
    api: TableApi, change: dict[str, Any], field: str, value: object, sentence: str
) -> None:
    body = {"close_notes": "half-written", field: value}
    for response in (api.create(body), api.update(change["sys_id"], body)):
        assert response.status_code == 400
        message, detail = error_of(response)
        assert message == UNREADABLE
        assert str(detail).startswith(f"Field {field}: ")
        assert sentence in str(detail)
    assert result_of(api.page()) == [change]


def test_refuses_a_reference_that_could_mean_two(api: TableApi, app: Flask) -> None:
    with app.app_context():
        db.session.add_all([CmdbCi(name="twin"), CmdbCi(name="Twin")])
        db.session.commit()
    detail = "Field cmdb_ci: more than one record of cmdb_ci matches the value"
    assert error_of(api.create({"cmdb_ci": "TWIN"})) == (UNREADABLE, detail)


def test_resolves_references_by_id_user_name_and_display_name(api: TableApi, app: Flask) -> None:
    long_name = "Team " + "x" * 70
    with app.app_context():
        ann = SysUser(user_name="ann", name="Ann Lee of a rather long name, all in all")
        db.session.add_all([ann, SysUserGroup(name=long_name)])
        db.session.commit()
        sys_id, name = ann.sys_id, ann.name
    for meant in (sys_id, "ANN", name.upper(), {"value": sys_id}, {"value": "ann", "link": "x"}):
        assert api.created(assigned_to=meant)["assigned_to"]["value"] == sys_id
    assert api.created(assignment_group=long_name)["assignment_group"]["value"]
    parent = api.created()
    assert api.created(parent=parent["number"])["parent"]["value"] == parent["sys_id"]


def test_takes_labels_and_names_where_display_values_are_sent(api: TableApi, app: Flask) -> None:
    with app.app_context():
        db.session.add_all([SysUser(user_name="b.lee", name="Ben"), SysUser(user_name="ann", name="Ann Lee")])
        db.session.commit()
    shown = {
        "priority": "2 - High",
        "risk": "high",
        "type": "Emergency",
        "assigned_to": "Ann Lee",
        "watch_list": "ann lee,Ben",
        "start_date": "2026-01-31T09:30:00+01:00",
        "cab_required": "true",
    }
    stored = {"priority": "2", "risk": "2", "type": "emergency", "start_date": "2026-01-31 08:30:00"}
    stored |= {"cab_required": "true"}
    people = {"assigned_to": "Ann Lee", "watch_list": "Ann Lee, Ben"}
    created = api.create(shown, input_display_value="true", display_value="all")
    updated = api.update(api.created()["sys_id"], shown, input_display_value="true", display_value="all")
    for response in (created, updated):
        record = result_of(response)
        assert {name: record[name]["value"] for name in stored} == stored
        assert {name: record[name]["display_value"] for name in people} == people


def test_takes_no_label_where_values_are_sent(api: TableApi, change: dict[str, Any]) -> None:
    for response in (api.create({"risk": "High"}), api.update(change["sys_id"], {"risk": "High"})):
        assert response.status_code == 400
        assert str(error_of(response)[1]).startswith("Field risk: ")


def test_a_password_is_sent_plain_and_kept_as_a_hash(client: FlaskClient, admin: dict[str, str]) -> None:
    users = TableApi(client, admin, USERS)
    for display in ("false", "true"):
        body = {"user_name": f"ann {display}", "user_password": "a long password"}
        record = result_of(users.create(body, input_display_value=display))
        assert "user_password" not in record
        own = TableApi(client, basic(body["user_name"], "a long password"))
        assert own.page().status_code == 200


def test_keeps_what_people_write_in_journals(api: TableApi, change: dict[str, Any]) -> None:
    changed = result_of(api.update(change["sys_id"], {"work_notes": "looked at it", "comments": ""}))
    assert (changed["work_notes"], changed["sys_mod_count"]) == ("", "1")
    journal = TableApi(api.client, api.headers, "/api/now/table/sys_journal_field")
    query = f"element_id={change['sys_id']}^element=work_notes^ORDERBYDESCsys_created_on"
    [entry] = result_of(journal.page(query=query))
    assert (entry["value"], entry["name"], entry["sys_created_by"]) == ("looked at it", "change_request", "admin")


def test_the_history_of_one_second_is_read_in_either_direction(api: TableApi, change: dict[str, Any]) -> None:
    written = [f"note {number}" for number in range(4)]
    for note in written:
        api.update(change["sys_id"], {"work_notes": note})
    journal = TableApi(api.client, api.headers, "/api/now/table/sys_journal_field")
    of_change = f"element_id={change['sys_id']}^element=work_notes^ORDERBY"
    for order, expected in (("sys_created_on", written), ("DESCsys_created_on", written[::-1])):
        assert [entry["value"] for entry in result_of(journal.page(query=of_change + order))] == expected


def test_a_record_that_is_written_back_adds_no_journal_entry(api: TableApi, change: dict[str, Any]) -> None:
    api.update(change["sys_id"], {"work_notes": "looked at it", "comments": "hello"})
    read = result_of(api.get(change["sys_id"], display_value="all"))
    assert "looked at it" in read["work_notes"]["display_value"]
    assert read["work_notes"]["value"] == read["comments"]["value"] == ""
    written = result_of(api.update(change["sys_id"], read, display_value="all"))
    assert written == read


def test_keeps_a_trail_of_changes_that_can_be_read(api: TableApi, change: dict[str, Any]) -> None:
    api.update(change["sys_id"], {"assigned_to": "admin", "short_description": "after"})
    trail = TableApi(api.client, api.headers, "/api/now/table/sys_audit")
    rows = result_of(trail.page(query=f"tablename=change_request^documentkey={change['sys_id']}^ORDERBYfieldname"))
    told = [(row["fieldname"], row["oldvalue"], row["newvalue"], row["user"]) for row in rows]
    assert told == [("assigned_to", "", ADMIN, "admin"), ("short_description", "before", "after", "admin")]


@pytest.mark.parametrize("table", ["sys_audit", "sys_journal_field"])
def test_the_audit_trail_cannot_be_written(client: FlaskClient, admin: dict[str, str], table: str) -> None:
    api = TableApi(client, admin, f"/api/now/table/{table}")
    for response in (api.create({"value": "x"}), api.update("0" * 32, {"value": "x"}), api.delete("0" * 32)):
        assert (response.status_code, error_of(response)[0]) == (403, "Operation Failed")


def test_refuses_a_record_without_mandatory_fields(client: FlaskClient, admin: dict[str, str]) -> None:
    response = TableApi(client, admin, "/api/now/table/sys_user_group").create({})
    text = "Data Policy Exception: The following fields are mandatory: Name"
    assert (response.status_code, error_of(response)) == (403, ("Operation Failed", text))


def test_follows_the_state_and_counts_reassignments(api: TableApi, app: Flask) -> None:
    with app.app_context():
        db.session.add_all([SysUserGroup(name="One"), SysUserGroup(name="Two")])
        db.session.commit()
    change = api.created(assignment_group="One")
    assert change["reassignment_count"] == "0"
    assert result_of(api.update(change["sys_id"], {"assignment_group": "Two"}))["reassignment_count"] == "1"
    assert result_of(api.update(change["sys_id"], {"state": -4}))["active"] == "true"
    assert result_of(api.update(change["sys_id"], {"state": 4}))["active"] == "false"
    assert api.created(state=4)["active"] == "false"


def test_deletes_once(api: TableApi, change: dict[str, Any]) -> None:
    response = api.delete(change["sys_id"])
    assert (response.status_code, response.data) == (204, b"")
    for again in (api.delete(change["sys_id"]), api.get(change["sys_id"]), api.update(change["sys_id"], {"state": 0})):
        assert again.status_code == 404
    assert result_of(api.page()) == []


def test_never_gives_a_number_out_again(api: TableApi, change: dict[str, Any]) -> None:
    assert change["number"] == "CHG0030001"
    api.delete(change["sys_id"])
    assert api.create({"priority": 9}).status_code == 400
    assert api.created()["number"] == "CHG0030002"


def test_refuses_a_second_user_of_a_name(client: FlaskClient, admin: dict[str, str]) -> None:
    users = TableApi(client, admin, USERS)
    users.created(user_name="ann", first_name="Ann", last_name="Lee")
    response = users.create({"user_name": "ANN"})
    assert (response.status_code, error_of(response)[0]) == (403, "Operation Failed")
    assert users.found("user_name=ann", "name") == ["Ann Lee"]


def test_refuses_a_user_without_a_name(client: FlaskClient, admin: dict[str, str]) -> None:
    response = TableApi(client, admin, USERS).create({"first_name": "Ann"})
    assert (response.status_code, error_of(response)) == (400, ("user_name: A user needs a user ID.", None))
