"""Auth scopes: described, created, changed with a warning, and deleted if no integration has them."""

import re
from typing import Any

import pytest
from flask import Flask

from changegate.console.integrations.rows import MAX_ROWS
from changegate.extensions import db
from changegate.models.auth_scope import USERACCOUNT
from changegate.schemas.auth_scope import load_scope
from changegate.seed.scopes import SCOPES as SEEDED
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import Registered
from changegate.services.scopes.scopes import create_scope, fields_of_scope, find_scope, get_scope, list_scopes
from tests.console.integrations.test_views import ATTACK
from tests.console.visitor import Changes, Visitor, forms_of
from tests.support.statements import counted_statements

SCOPES = "/auth-scopes"
SHIPPED = {*SEEDED}
TYPED: Changes = {
    "name": "deploy",
    "rules-0-http_method": "PATCH",
    "rules-0-table": "change_request",
    "rules-0-writable_fields": "work_notes, Description",
    "rules-0-own_records": "on",
}


def stored(app: Flask, name: str) -> dict[str, Any]:
    """Return a scope as it stands in the database."""
    with app.app_context():
        return fields_of_scope(get_scope(name))


def path_of(app: Flask, name: str) -> str:
    """Return the path of a scope's record."""
    with app.app_context():
        return f"{SCOPES}/{get_scope(name).sys_id}"


def make(app: Flask, name: str, *rules: str, description: str | None = None) -> str:
    """Make a scope and return the path of its record."""
    with app.app_context():
        create_scope(load_scope({"name": name, "rules": [*rules], "description": description}), by="admin")
        db.session.commit()
    return path_of(app, name)


def test_lists_each_scope_with_its_rules_and_integrations(admin: Visitor, integration: Registered) -> None:
    text = admin.open(SCOPES).text
    rows = {row.split("</a>")[0].rpartition(">")[2]: row for row in text.split("<tr>")[2:]}
    assert [*rows] == sorted(SHIPPED)
    assert "May create change requests" in rows["change_request.create"]
    assert "1 integration<" in rows["change_request.create"]
    assert "Build pipeline" in rows["change_request.create"]
    assert "None" in rows["change_request.read"]
    assert "May do everything that its user may do." in rows["useraccount"]


def test_the_list_reads_no_more_statements_for_more_scopes(app: Flask, admin: Visitor) -> None:
    counts = []
    for number in range(3):
        make(app, f"scope-{number}", "GET table task")
        with app.app_context(), counted_statements() as statements:
            admin.open(SCOPES)
        counts.append(len(statements))
    assert len(set(counts)) == 1, counts


def test_creates_a_scope(app: Flask, admin: Visitor) -> None:
    answer = admin.send(admin.open(f"{SCOPES}/new"), "auth-scope", TYPED)
    assert answer.location == path_of(app, "deploy")
    [rule] = stored(app, "deploy")["rules"]
    assert rule == {
        "rest_api": "now/table",
        "http_method": "PATCH",
        "version": "*",
        "table": "change_request",
        "writable_fields": ["description", "work_notes"],
        "own_records": True,
        "active": True,
    }
    page = admin.open(answer.location).text
    assert "May update change requests that it created by PATCH only, setting only description and work_notes." in page
    assert "No integration uses this scope" in page


def test_saving_a_scope_again_changes_nothing_of_it(app: Flask, admin: Visitor) -> None:
    rules = (
        "POST table change_request fields=description own",
        "* table * version=v2 inactive",
        "GET stats task own",
        "POST introspect",
    )
    path = make(app, "everything", *rules, description="Two\nlines")
    before = stored(app, "everything")
    answer = admin.send(admin.open(path), "auth-scope")
    assert answer.location == path
    assert stored(app, "everything") == before
    assert "everything is unchanged." in admin.open(path).text


def test_keeps_the_input_and_shows_errors_at_their_fields(app: Flask, admin: Visitor) -> None:
    typed = {
        **TYPED,
        "name": ATTACK,
        "description": ATTACK,
        "rules-0-table": "",
        "rules-1-rest_api": "now/stats",
        "rules-1-http_method": "DELETE",
        "rules-1-table": "task",
        "rules-2-table": "task",
        "rules-2-writable_fields": "Not-A-Field",
    }
    page = admin.send(admin.open(f"{SCOPES}/new"), "auth-scope", typed)
    assert page.status_code == 400
    assert "<script>alert" not in page.text
    for name, sentence in (
        ("name", "Letters, digits and . _ : - only"),
        ("rules-0-table", "Name the table, or * for all tables."),
        ("rules-1-http_method", "The Aggregate API has no DELETE"),
        ("rules-2-writable_fields", "Give names of fields."),
    ):
        assert re.search(rf'id="{name}-error-1">.*?{re.escape(sentence)}', page.text), name
        assert f'<a href="#{name}">{"Name" if name == "name" else "REST APIs"}</a>: ' in page.text
        assert f' id="{name}"' in page.text
    kept = forms_of(page).forms["auth-scope"]
    assert (kept["name"], kept["description"], kept["rules-1-table"]) == (ATTACK, ATTACK, "task")
    assert "rules-0-own_records" in kept and "rules-1-active" not in kept
    with app.app_context():
        assert {scope.name for scope in list_scopes()} == SHIPPED


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "Change_Request.Create"}, "There is an auth scope change_request.create already."),
        ({"rules-0-table": "no_such_table"}, "There is no table no_such_table."),
        ({"rules-0-writable_fields": "no_such_field"}, "There is no field no_such_field to be written"),
        ({"rules-1-http_method": "PATCH", "rules-1-table": "change_request"}, "There are two rules for PATCH"),
    ],
)
def test_shows_errors_that_concern_several_fields(admin: Visitor, changes: Changes, sentence: str) -> None:
    page = admin.send(admin.open(f"{SCOPES}/new"), "auth-scope", {**TYPED, **changes})
    assert page.status_code == 400
    assert sentence in page.text


def test_a_row_with_little_input_is_not_dropped(app: Flask, admin: Visitor) -> None:
    introspects = {"name": "asks", "rules-0-rest_api": "oauth/introspect", "rules-0-http_method": "POST"}
    assert admin.send(admin.open(f"{SCOPES}/new"), "auth-scope", introspects).status_code == 302
    assert [rule["rest_api"] for rule in stored(app, "asks")["rules"]] == ["oauth/introspect"]
    assert admin.send(admin.open(f"{SCOPES}/new"), "auth-scope", {"name": "blank"}).status_code == 400


def test_rows_are_added_and_removed_before_anything_is_saved(app: Flask, admin: Visitor) -> None:
    path = make(app, "deploy", "GET table task")
    sent = forms_of(admin.open(path)).forms["auth-scope"].copy()
    sent["rules-0-table"], sent["step"] = "change_request", "add"
    added = admin.client.post(f"{path}/edit", data=sent, headers={"X-Fragment": "form"})
    assert added.text.lstrip().startswith("<form") and 'data-focus="rules-1-table"' in added.text
    assert "May read change requests." in added.text
    both = forms_of(added).forms["auth-scope"].copy()
    both["step"] = "remove 0"
    removed = forms_of(admin.client.post(f"{path}/edit", data=both)).forms["auth-scope"]
    assert (removed["rules-0-table"], "rules-1-table" in removed) == ("", False)
    assert stored(app, "deploy")["rules"][0]["table"] == "task"


@pytest.mark.parametrize("step", ["", "nonsense", "remove", "remove x", "remove ٣", "remove 99999", "add more"])
def test_an_invalid_step_changes_nothing(admin: Visitor, step: str) -> None:
    form = forms_of(admin.open(f"{SCOPES}/new")).forms["auth-scope"].copy()
    form["step"] = step
    answer = admin.client.post(f"{SCOPES}/new/edit", data=form)
    assert answer.status_code == 200
    assert forms_of(answer).forms["auth-scope"]["rules-0-rest_api"] == "now/table"


def test_a_form_has_room_for_as_many_rules_as_a_scope(admin: Visitor) -> None:
    form = forms_of(admin.open(f"{SCOPES}/new")).forms["auth-scope"].copy()
    for number in range(MAX_ROWS):
        form[f"rules-{number}-table"] = f"table_{number}"
    form["step"] = "add"
    answer = admin.client.post(f"{SCOPES}/new/edit", data=form)
    assert f"rules-{MAX_ROWS - 1}-table" in answer.text
    assert f"rules-{MAX_ROWS}-table" not in answer.text


def test_warns_which_integrations_are_affected_before_a_scope_in_use_is_saved(
    app: Flask, admin: Visitor, integration: Registered
) -> None:
    path = path_of(app, "change_request.create")
    page = admin.open(path)
    assert "Used by 1 integration. Changes apply immediately to <a" in page.text
    assert "0 live tokens</a>." in page.text
    assert "Save for all of them" in page.text
    assert f"/inbound-integrations/{integration.entity.client_id}" in page.text
    answer = admin.send(page, "auth-scope", {"rules-0-writable_fields": "short_description"})
    assert answer.location == path
    assert stored(app, "change_request.create")["rules"][0]["writable_fields"] == ["short_description"]
    assert "change_request.create is saved." in admin.open(path).text


def test_a_scope_in_use_cannot_be_renamed_or_deleted(app: Flask, admin: Visitor, integration: Registered) -> None:
    path = path_of(app, "change_request.create")
    page = admin.open(path)
    assert "Cannot be deleted while it is used" in page.text
    refused = admin.send(page, "auth-scope", {"name": "other"})
    assert refused.status_code == 400
    assert "It is used by Build pipeline, whose pipelines" in refused.text
    form = forms_of(page).forms["auth-scope"]
    sent = {name: form[name] for name in ("csrf_token", "version")}
    answer = admin.client.post(f"{path}/delete", data=sent)
    assert answer.location == path
    assert "It is used by Build pipeline. Remove it from them first." in admin.open(path).text
    with app.app_context():
        assert find_scope("change_request.create")


def test_deletes_a_scope_without_integrations(app: Flask, admin: Visitor) -> None:
    path = make(app, "deploy", "GET table task")
    answer = admin.send(admin.open(path), f"{path}/delete")
    assert answer.location == SCOPES
    assert "deploy is deleted." in admin.open(SCOPES).text
    assert admin.open(path).status_code == 404


def test_useraccount_has_no_rules_to_be_changed(app: Flask, admin: Visitor) -> None:
    path = f"{SCOPES}/{USERACCOUNT}"
    page = admin.open(path)
    assert "Add another row" not in page.text and "Delete" not in page.text
    assert admin.send(page, "auth-scope", {"description": "All of it"}).status_code == 302
    assert stored(app, "useraccount")["description"] == "All of it"
    page = admin.open(path)
    assert admin.send(page, "auth-scope", {"rules-0-table": "task"}).status_code == 400
    form = forms_of(page).forms["auth-scope"]
    admin.client.post(f"{path}/delete", data={name: form[name] for name in ("csrf_token", "version")})
    assert "useraccount is built in and cannot be deleted." in admin.open(path).text


def test_warns_of_integrations_that_would_lose_a_call(app: Flask, admin: Visitor, integration: Registered) -> None:
    with app.app_context():
        get_integration(integration.entity.client_id).scope_restriction = False
        db.session.commit()
    path = make(app, "deploy", "GET table task")
    sentence = "would lose access to calls that a new rule here covers"
    assert sentence in admin.open(path).text
    assert sentence in admin.open(f"{SCOPES}/new").text
    assert sentence not in admin.open(path_of(app, "change_request.create")).text


def test_an_unknown_scope_is_a_404(admin: Visitor) -> None:
    form = forms_of(admin.open(f"{SCOPES}/new")).forms["auth-scope"]
    for path in (f"{SCOPES}/nope", f"{SCOPES}/nope/edit", f"{SCOPES}/nope/delete"):
        assert admin.client.post(path, data=form).status_code == 404
    assert admin.open(f"{SCOPES}/nope").status_code == 404
