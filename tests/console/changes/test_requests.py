"""Requests of people without a role: the templates that they are offered, the form, and attacks on it."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import ChangeRequest
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor

PAGE = "/request-a-change"
TEMPLATE = {
    "name": "Restart the web server",
    "description": "Takes a minute",
    "template": "short_description=Restart it^category=Software^risk=4^implementation_plan=One node after the other^EQ",
    "mandatory_fields": "cmdb_ci",
    "read_only_fields": "risk",
}
MakeTemplate = Callable[..., str]


@pytest.fixture
def nora(sign_in: SignIn) -> Visitor:
    """Return a user without a role."""
    return sign_in("nora")


@pytest.fixture
def make_template(app: Flask) -> MakeTemplate:
    """Return a function that makes a template and returns the path of its form."""

    def made(**fields: object) -> str:
        return f"{PAGE}/{create(app, 'std_change_record_producer', **TEMPLATE | fields)}"

    return made


def create(app: Flask, table: str, /, **fields: object) -> str:
    with app.app_context():
        record = create_record(get_table(table), ROOT, fields)
        db.session.commit()
        return str(record["sys_id"])


def offered_to(visitor: Visitor) -> list[str]:
    """Return the paths of what a user is offered."""
    return re.findall(rf'class="choice" href="({PAGE}/\w+)"', visitor.open(PAGE).text)


def changes_in(app: Flask) -> list[ChangeRequest]:
    with app.app_context():
        return list(db.session.execute(select(ChangeRequest)).scalars())


def test_a_user_without_a_role_requests_a_change_from_a_template(
    app: Flask, nora: Visitor, make_template: MakeTemplate
) -> None:
    path = make_template(offered_to_all=True)
    create(app, "cmdb_ci", name="web-01")
    assert offered_to(nora) == [path]
    page = nora.open(path)
    assert 'value="Restart it"' in page.text
    decided = page.text[page.text.index("Decided by the template") :]
    assert "One node after the other" in decided
    assert "Low" in decided
    answer = nora.send(page, "record", {"cmdb_ci": "web-01", "short_description": "Restart web-01"})
    assert answer.status_code == 302
    [change] = changes_in(app)
    assert (change.type, change.state, change.risk, change.category) == ("standard", -5, 4, "Software")
    assert change.implementation_plan == "One node after the other"
    text = nora.open(str(answer.location)).text
    assert "Restart web-01" in text
    assert set(re.findall(r'action="/change-requests/\w+/(\w+)"', text)) == {"watch"}
    assert "CHG0030001" in nora.open(PAGE).text


def test_the_requester_sees_the_state_and_comments(app: Flask, nora: Visitor, make_template: MakeTemplate) -> None:
    path = make_template(offered_to_all=True, mandatory_fields="")
    location = str(nora.send(nora.open(path), "record").location)
    nora.send(nora.open(f"{location}?tab=activity"), "comment", {"text": "When will it be done?"})
    assert "When will it be done?" in nora.open(f"{location}?tab=activity").text
    with app.app_context():
        update_record(
            get_table("change_request"), ROOT, location.rpartition("/")[2], {"state": "4", "work_notes": "No"}
        )
        db.session.commit()
    assert re.search(r'<span class="pill state4">Canceled</span>', nora.open(PAGE).text)


def test_templates_are_offered_to_groups(
    app: Flask, nora: Visitor, sign_in: SignIn, make_template: MakeTemplate
) -> None:
    group = create(app, "sys_user_group", name="Shop")
    create(app, "sys_user_grmember", user="nora", group=group)
    path = make_template(offered_to=group, mandatory_fields="")
    assert offered_to(nora) == [path]
    eve = sign_in("eve")
    assert offered_to(eve) == []
    token = re.findall(r'name="csrf_token" value="([^"]+)"', eve.open("/").text)[0]
    for sent in (path, f"{path}/edit"):
        assert eve.client.post(sent, data={"csrf_token": token, "short_description": "x"}).status_code == 403
    assert eve.open(path).status_code == 403
    assert changes_in(app) == []


@pytest.mark.parametrize("fields", [{}, {"active": False, "offered_to_all": True}, {"offered_to": "Other"}])
def test_other_templates_are_not_offered(
    app: Flask, nora: Visitor, make_template: MakeTemplate, fields: dict[str, object]
) -> None:
    create(app, "sys_user_group", name="Other")
    path = make_template(**fields)
    assert offered_to(nora) == []
    assert nora.open(path).status_code == 403


def test_a_template_of_integrations_is_offered_to_nobody(
    app: Flask, nora: Visitor, sign_in: SignIn, make_template: MakeTemplate, integration: object
) -> None:
    path = make_template(offered_to_all=True, integrations="Build pipeline")
    assert path not in offered_to(nora)
    assert path not in offered_to(sign_in("tom", "itil"))


def test_a_blank_change_is_requested_only_if_that_is_allowed(nora: Visitor) -> None:
    assert nora.open(f"{PAGE}/blank").status_code == 403


@pytest.mark.parametrize("settings", [{"blank_requests": "1"}])
def test_a_blank_change_is_a_normal_one(app: Flask, nora: Visitor) -> None:
    page = nora.open(f"{PAGE}/blank")
    assert "Enter a value." in nora.send(page, "record").text
    assert nora.send(page, "record", {"short_description": "A new plug", "start_date": "2050-01-01 10:00:00"}).location
    [change] = changes_in(app)
    assert (change.type, change.state, change.approval) == ("normal", -5, "not requested")


@pytest.mark.parametrize("settings", [{"blank_requests": "1"}])
def test_a_request_does_not_end_before_it_starts(nora: Visitor) -> None:
    planned = {"start_date": "2050-01-02 10:00:00", "end_date": "2050-01-01 10:00:00"}
    refused = nora.send(nora.open(f"{PAGE}/blank"), "record", {"short_description": "A new plug", **planned})
    assert (refused.status_code, "Enter a planned start, and a planned end after it." in refused.text) == (400, True)


def test_only_the_fields_of_the_form_are_taken(app: Flask, nora: Visitor, make_template: MakeTemplate) -> None:
    path = make_template(offered_to_all=True, mandatory_fields="")
    smuggled = {
        **{"state": "-2", "approval": "approved", "risk": "1", "type": "emergency", "requested_by": "admin"},
        **{"implementation_plan": "Drop tables", "opened_by": "admin", "std_change_producer_version": "", "active": ""},
        **{"work_notes": "hidden", "watch_list": "admin", "assigned_to": "admin", "sys_id": "a" * 32},
    }
    nora.send(nora.open(path), "record", smuggled)
    [change] = changes_in(app)
    assert (change.state, change.approval, change.risk, change.type) == (-5, "not requested", 4, "standard")
    assert (change.assigned_to, change.watch_list, change.sys_id == "a" * 32) == (None, None, False)
    assert change.requested_by == change.opened_by != ROOT.sys_id
    assert change.implementation_plan == "One node after the other"


def test_a_missing_field_is_shown_at_its_place(app: Flask, nora: Visitor, make_template: MakeTemplate) -> None:
    path = make_template(offered_to_all=True)
    refused = nora.send(nora.open(path), "record", {"description": "Please"})
    assert refused.status_code == 403
    assert '<a href="#cmdb_ci">Configuration item</a>: Enter a value.' in refused.text
    assert "Please" in refused.text
    assert "There is no configuration item “web”." in nora.send(refused, "record", {"cmdb_ci": "web"}).text
    assert changes_in(app) == []


def test_people_who_create_changes_are_offered_every_template(sign_in: SignIn, make_template: MakeTemplate) -> None:
    path = make_template()
    assert offered_to(sign_in("tom", "itil"))[-2:] == [path, f"{PAGE}/blank"]


def test_the_api_still_requires_the_role(nora: Visitor, make_template: MakeTemplate, app: Flask) -> None:
    path = make_template(offered_to_all=True)
    template = path.rpartition("/")[2]
    auth = ("nora", "correct horse battery")
    for call in ("/api/now/table/change_request", f"/api/sn_chg_rest/change/standard/{template}"):
        assert app.test_client().post(call, json={}, auth=auth).status_code == 403


def test_a_change_that_the_user_may_not_read_says_who_may(
    nora: Visitor, sign_in: SignIn, make_change: MakeChange
) -> None:
    path = f"/change-requests/{make_change(short_description='x')}"
    refused = nora.open(path)
    assert refused.status_code == 404
    assert "You see the changes that you have requested or opened" in refused.text
    assert "change_manager" in refused.text
    # Users who can read every change see no such notice.
    missing = sign_in("rita", "sn_change_read").open(f"/change-requests/{'0' * 32}")
    assert missing.status_code == 404
    assert "You see the changes" not in missing.text
