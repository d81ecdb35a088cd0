"""What a record looks like on the wire: docs/reference/table-api.md#values."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import SysUser, SysUserGroup
from tests.support.people import ADMIN
from tests.support.table_api import USERS, TableApi, result_of

LINK = f"https://change.example.com/api/now/table/sys_user/{ADMIN}"
NAME = "System Administrator"
FIELD_NAMES = """
    reason parent watch_list proposed_change upon_reject sys_updated_on type approval_history skills test_plan number
    is_bulk cab_delegate requested_by_date ci_class state sys_created_by knowledge order phase cmdb_ci delivery_plan
    impact contract active work_notes_list priority sys_domain_path cab_recommendation production_system rejection_goto
    review_date requested_by business_duration group_list change_plan approval_set wf_activity implementation_plan
    universal_request end_date short_description correlation_display work_start delivery_task
    outside_maintenance_schedule additional_assignee_list std_change_producer_version sys_class_name service_offering
    closed_by follow_up review_status reassignment_count start_date assigned_to variables sla_due
    comments_and_work_notes escalation upon_approval correlation_id made_sla backout_plan conflict_status
    task_effective_number sys_updated_by opened_by user_input sys_created_on on_hold_task sys_domain route_reason
    closed_at review_comments business_service time_worked chg_model expected_start opened_at work_end phase_state
    cab_date work_notes close_code assignment_group description on_hold_reason calendar_duration close_notes sys_id
    contact_type cab_required urgency scope company justification activity_due comments approval due_date sys_mod_count
    on_hold sys_tags conflict_last_run risk_value unauthorized risk location category risk_impact_analysis
""".split()


@pytest.fixture
def change(api: TableApi) -> dict[str, Any]:
    return api.created(short_description="Open port 8443", start_date="2026-01-31 08:30:00", priority=2)


SHAPES = [
    ("false", "false", "-5", {"link": LINK, "value": ADMIN}, ""),
    ("false", "true", "-5", ADMIN, ""),
    ("true", "false", "New", {"display_value": NAME, "link": LINK}, ""),
    ("true", "true", "New", NAME, ""),
    (
        "all",
        "false",
        {"display_value": "New", "value": "-5"},
        {"display_value": NAME, "value": ADMIN, "link": LINK},
        {"display_value": "", "value": ""},
    ),
    (
        "all",
        "true",
        {"display_value": "New", "value": "-5"},
        {"display_value": NAME, "value": ADMIN},
        {"display_value": "", "value": ""},
    ),
]


@pytest.mark.parametrize(("display_value", "exclude", "plain", "reference", "empty"), SHAPES)
def test_renders_plain_fields_and_references_as_asked(
    api: TableApi,
    change: dict[str, Any],
    display_value: str,
    exclude: str,
    plain: object,
    reference: object,
    empty: object,
) -> None:
    asked = {"display_value": display_value, "exclude_reference_link": exclude}
    got = result_of(api.get(change["sys_id"], **asked))
    [listed] = result_of(api.page(**asked))
    created = result_of(api.create({"assigned_to": ""}, **asked))
    updated = result_of(api.update(change["sys_id"], {}, **asked))
    for record in (got, listed, created, updated):
        assert record["state"] == plain
        assert record["requested_by"] == reference
        assert record["assigned_to"] == empty


@pytest.mark.parametrize("spelling", ["TRUE", "True", "true"])
def test_reads_booleans_in_any_case(api: TableApi, change: dict[str, Any], spelling: str) -> None:
    record = result_of(api.get(change["sys_id"], display_value=spelling, exclude_reference_link=spelling))
    assert record["opened_by"] == NAME


def test_takes_empty_parameters_for_absent_ones(api: TableApi, change: dict[str, Any]) -> None:
    names = ("view", "fields", "display_value", "exclude_reference_link", "limit", "offset", "query")
    response = api.page(**dict.fromkeys(names, ""))
    assert result_of(response) == [change]


def test_serves_every_documented_field(api: TableApi, change: dict[str, Any]) -> None:
    assert len(set(FIELD_NAMES)) == 111
    assert set(FIELD_NAMES) <= set(change)
    assert set(FIELD_NAMES) <= set(result_of(api.get(change["sys_id"], display_value="all")))


def test_gives_every_member_both_values_under_all(api: TableApi, change: dict[str, Any]) -> None:
    record = result_of(api.get(change["sys_id"], display_value="all"))
    for member in record.values():
        assert set(member) - {"link"} == {"display_value", "value"}
        assert all(isinstance(text, str) for text in member.values())


def test_sends_every_scalar_as_text(change: dict[str, Any]) -> None:
    assert change["active"] == "true"
    assert change["on_hold"] == "false"
    assert change["priority"] == "2"
    assert change["risk"] == ""
    assert change["start_date"] == "2026-01-31 08:30:00"
    assert change["closed_at"] == ""
    assert change["work_notes"] == change["sys_tags"] == change["variables"] == ""


def test_fills_what_a_new_change_has(change: dict[str, Any]) -> None:
    expected = {
        "number": "CHG0030001",
        "task_effective_number": "CHG0030001",
        "sys_class_name": "change_request",
        "state": "-5",
        "type": "normal",
        "phase": "requested",
        "phase_state": "open",
        "impact": "3",
        "urgency": "3",
        "scope": "3",
        "category": "Other",
        "approval": "not requested",
        "conflict_status": "Not Run",
        "made_sla": "true",
        "escalation": "0",
        "upon_approval": "proceed",
        "upon_reject": "cancel",
        "reassignment_count": "0",
        "ci_class": "cmdb_ci",
        "sys_mod_count": "0",
        "sys_created_by": "admin",
        "sys_domain_path": "/",
    }
    assert {name: change[name] for name in expected} == expected
    assert change["sys_domain"]["value"] == "global"
    assert change["sys_domain"]["link"].endswith("/api/now/table/sys_user_group/global")
    assert change["opened_at"] == change["sys_created_on"] == change["sys_updated_on"] != ""


def test_shows_labels_with_their_digit_where_the_reference_has_one(api: TableApi, change: dict[str, Any]) -> None:
    api.update(change["sys_id"], {"risk": 2, "close_code": "successful_issues"})
    record = result_of(api.get(change["sys_id"], display_value="true"))
    assert (record["priority"], record["impact"], record["risk"]) == ("2 - High", "3 - Low", "High")
    assert record["close_code"] == "Successful with issues"
    assert record["approval"] == "Not Yet Requested"
    assert record["active"] == "true"


@pytest.mark.parametrize("table", ["change_request", "task"])
def test_shows_what_the_class_of_a_task_is_called(api: TableApi, change: dict[str, Any], table: str) -> None:
    api.path = f"/api/now/table/{table}"
    record = result_of(api.get(change["sys_id"], display_value="all", fields="sys_class_name,parent.sys_class_name"))
    assert record == {
        "sys_class_name": {"display_value": "Change Request", "value": "change_request"},
        "parent.sys_class_name": {"display_value": "", "value": ""},
    }


def test_shows_lists_as_ids_and_as_names(api: TableApi, app: Flask, change: dict[str, Any]) -> None:
    with app.app_context():
        ann = SysUser(user_name="ann", name="Ann Lee")
        db.session.add(ann)
        db.session.commit()
        listed = f"{ADMIN},{ann.sys_id}"
    api.update(change["sys_id"], {"watch_list": listed.split(",")})
    assert result_of(api.get(change["sys_id"]))["watch_list"] == listed
    record = result_of(api.get(change["sys_id"], display_value="all"))
    assert record["watch_list"] == {"display_value": f"{NAME}, Ann Lee", "value": listed}


def test_shows_the_display_name_of_a_group(api: TableApi, app: Flask, change: dict[str, Any]) -> None:
    with app.app_context():
        db.session.add(SysUserGroup(name="Network"))
        db.session.commit()
    record = result_of(api.update(change["sys_id"], {"assignment_group": "network"}, display_value="true"))
    assert record["assignment_group"]["display_value"] == "Network"


def test_returns_only_the_fields_asked_for_and_spells_them_as_asked(api: TableApi, change: dict[str, Any]) -> None:
    record = result_of(api.get(change["sys_id"], fields="NUMBER, state,nonsense,,work_notes,number"))
    assert record == {"NUMBER": "CHG0030001", "state": "-5", "work_notes": "", "number": "CHG0030001"}


def test_returns_empty_objects_for_unknown_fields_alone(api: TableApi, change: dict[str, Any]) -> None:
    assert result_of(api.get(change["sys_id"], fields="nonsense")) == {}


def test_masks_a_password_under_display_values(client: FlaskClient, admin: dict[str, str]) -> None:
    users = TableApi(client, admin, USERS)
    assert "user_password" not in result_of(users.get(ADMIN))
    assert result_of(users.get(ADMIN, fields="user_password,name")) == {"name": NAME}
    assert result_of(users.get(ADMIN, display_value="true"))["user_password"] == "********"
    masked = {"display_value": "********", "value": ""}
    assert result_of(users.get(ADMIN, display_value="all"))["user_password"] == masked
    created = result_of(users.create({"user_name": "ann", "user_password": "secret secret"}, display_value="all"))
    assert created["user_password"] == masked


def test_walks_through_references_in_every_answer(api: TableApi, change: dict[str, Any]) -> None:
    asked = {"fields": "requested_by.name,REQUESTED_BY.email,opened_by.manager.name,cmdb_ci.name,requested_by.nonsense"}
    expected = {
        "requested_by.name": NAME,
        "REQUESTED_BY.email": "admin@example.com",
        "opened_by.manager.name": "",
        "cmdb_ci.name": "",
        "requested_by.nonsense": "",
    }
    assert result_of(api.get(change["sys_id"], **asked)) == expected
    assert result_of(api.page(**asked)) == [expected]
    assert result_of(api.update(change["sys_id"], {}, **asked)) == expected
    assert result_of(api.create({}, **asked)) == expected


def test_a_walk_that_ends_on_a_reference_has_the_shape_of_one(api: TableApi, change: dict[str, Any]) -> None:
    child = api.created(parent=change["sys_id"])
    record = result_of(api.get(child["sys_id"], fields="parent.opened_by", display_value="all"))
    assert record == {"parent.opened_by": {"display_value": NAME, "value": ADMIN, "link": LINK}}


def test_shows_labels_that_an_administrator_gave(
    client: FlaskClient, admin: dict[str, str], api: TableApi, change: dict[str, Any]
) -> None:
    choices = TableApi(client, admin, "/api/now/table/sys_choice")
    query = "name=change_request^element=state^value=-5"
    [choice] = result_of(choices.page(query=query, fields="sys_id,label"))
    assert choice["label"] == "New"
    choices.update(choice["sys_id"], {"label": "Fresh", "inactive": True})
    record = result_of(api.get(change["sys_id"], display_value="all", fields="state"))
    assert record == {"state": {"display_value": "Fresh", "value": "-5"}}


def test_shows_journals_under_display_values(api: TableApi, change: dict[str, Any]) -> None:
    api.update(change["sys_id"], {"work_notes": "rack 4 is free"})
    assert result_of(api.get(change["sys_id"]))["work_notes"] == ""
    shown = result_of(api.get(change["sys_id"], display_value="true", fields="work_notes,comments"))
    assert shown["work_notes"].endswith(f" - {NAME} (Work notes)\nrack 4 is free\n\n")
    assert shown["comments"] == ""


@pytest.mark.parametrize("view", ["", "desktop", "mobile", "both", "nonsense"])
def test_every_view_has_all_fields(api: TableApi, change: dict[str, Any], view: str) -> None:
    assert result_of(api.get(change["sys_id"], view=view)) == change
    assert result_of(api.get(change["sys_id"], view=view, fields="number")) == {"number": change["number"]}
