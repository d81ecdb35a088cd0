"""The page of a record of any table: form, creation, stale saves, deletion, history, and suggestions."""

import html
import re

import pytest
from flask import Flask

from changegate.console.records import history, related_lists
from changegate.console.records.reference_choices import MOST_WORDS, find_candidates
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import TABLES, get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor
from tests.support.statements import counted_statements

GROUPS = "/records/sys_user_group"


@pytest.fixture
def group(app: Flask) -> str:
    """Make a group and return its sys_id."""
    return make(app, "sys_user_group", name="Network", description="Routers\r\nSwitches")


def make(app: Flask, table: str, **fields: object) -> str:
    with app.app_context():
        record = create_record(get_table(table), ROOT, fields)
        db.session.commit()
        return str(record["sys_id"])


def test_every_creatable_table_has_a_form_for_a_new_record(admin: Visitor) -> None:
    for name, table in TABLES.items():
        expected = 200 if table.access.admits("create", ROOT.permissions) else 403
        assert admin.open(f"/records/{name}/new").status_code == expected, name


def test_a_record_is_made_and_shown(admin: Visitor) -> None:
    answer = admin.send(admin.open(f"{GROUPS}/new"), "record", {"name": "Storage", "manager": "admin"})
    text = admin.open(str(answer.location)).text
    assert 'value="Storage"' in text
    assert 'value="System Administrator"' in text


def test_the_form_of_a_new_record_has_the_defaults(admin: Visitor) -> None:
    text = admin.open("/records/sys_user/new?name=Ada").text
    assert re.search(r'id="active" name="active" value="true" checked', text)
    assert re.search(r'name="name" value="Ada"', text)


def test_an_empty_field_shows_an_example(admin: Visitor) -> None:
    text = admin.open("/records/cmn_schedule_blackout/new").text
    for example in ("Europe/Berlin", "production,staging", "normal,standard"):
        assert f'placeholder="For example, {example}"' in text


def test_a_missing_value_is_shown_at_its_field(admin: Visitor) -> None:
    answer = admin.send(admin.open(f"{GROUPS}/new"), "record", {"name": ""})
    assert answer.status_code == 403
    assert re.search(r'name="name"[^>]*aria-invalid="true"', answer.text)
    assert '<a href="#name">Name</a>: Enter a value.' in answer.text


def test_an_invalid_value_is_shown_at_its_field_and_nothing_is_lost(admin: Visitor, group: str) -> None:
    page = admin.open(f"{GROUPS}/{group}")
    answer = admin.send(page, "record", {"manager": "nobody.here", "description": "Cables"})
    assert answer.status_code == 400
    assert re.search(r'name="manager"[^>]*value="nobody.here"[^>]*aria-invalid="true"', answer.text)
    assert "Cables" in answer.text
    assert "Cables" not in admin.open(f"{GROUPS}/{group}").text


def test_an_unchanged_form_changes_nothing(app: Flask, admin: Visitor, group: str) -> None:
    admin.send(admin.open(f"{GROUPS}/{group}"), "record")
    admin.send(admin.open(f"{GROUPS}/{group}"), "record", {"email": "net@example.com"})
    text = admin.open(f"{GROUPS}/{group}?tab=history").text
    assert re.findall(r'<th scope="row">([^<]+)</th>', text) == ["Group email"]


def test_a_stale_form_shows_both_versions_and_saves_only_when_told_to(app: Flask, admin: Visitor, group: str) -> None:
    page = admin.open(f"{GROUPS}/{group}")
    with app.app_context():
        update_record(get_table("sys_user_group"), ROOT, group, {"name": "Networks"})
        db.session.commit()
    stale = admin.send(page, "record", {"name": "Net"})
    assert stale.status_code == 409
    for text in ("Network", "Networks", "Net"):
        assert re.search(rf'<td class="breakable">{text}</td>', stale.text)
    assert admin.send(stale, "record").status_code == 409
    newer = re.search(r'name="overwrite" value="([^"]+)"', stale.text)
    assert newer is not None
    assert admin.send(stale, "record", {"overwrite": newer[1]}).status_code == 302
    assert 'value="Net"' in admin.open(f"{GROUPS}/{group}").text


def test_a_stale_page_deletes_nothing(app: Flask, admin: Visitor, group: str) -> None:
    page, path = admin.open(f"{GROUPS}/{group}"), f"{GROUPS}/{group}/delete"
    with app.app_context():
        update_record(get_table("sys_user_group"), ROOT, group, {"name": "Networks"})
        db.session.commit()
    assert admin.send(page, path).location == f"{GROUPS}/{group}"
    assert admin.send(admin.open(f"{GROUPS}/{group}"), path).location == GROUPS
    assert admin.open(f"{GROUPS}/{group}").status_code == 404


def test_a_copy_begins_with_the_values_of_a_record(admin: Visitor, group: str) -> None:
    assert 'value="Network"' in admin.open(f"{GROUPS}/new?copy={group}").text


def test_a_reader_sees_values_and_no_inputs(sign_in: SignIn, group: str) -> None:
    nora = sign_in("nora")
    text = nora.open(f"{GROUPS}/{group}").text
    assert "Network" in text
    assert 'name="name"' not in text
    for path in (f"{GROUPS}/new", f"{GROUPS}/new?copy={group}"):
        assert nora.open(path).status_code == 403


def test_references_of_a_record_link_to_their_records(admin: Visitor, sign_in: SignIn, make_change: MakeChange) -> None:
    change = make_change(short_description="x", assigned_to="admin")
    path = f"/records/sys_user/{ROOT.sys_id}"
    link = f'<a class="btn btn-secondary" href="{path}" aria-label="Open System Administrator"'
    form = admin.open(f"/change-requests/{change}/edit").text
    assert form.count(link) == 2  # assigned_to and requested_by
    sent = {"name": "Shop", "manager": "admin"}
    location = str(admin.send(admin.open("/records/sys_user_group/new"), "record", sent).location)
    assert link in admin.open(location).text
    # Readers have no inputs, and the same links.
    assert f'<a href="{path}">System Administrator</a>' in sign_in("rita", "sn_change_read").open(location).text


def test_hidden_records_and_fields_stay_hidden(
    app: Flask, sign_in: SignIn, admin: Visitor, make_change: MakeChange
) -> None:
    nora, other = sign_in("nora"), make_change(short_description="x")
    task = make(app, "change_task", change_request=other, short_description="y")
    assert nora.open(f"/records/change_task/{task}").status_code == 404
    text = nora.open("/records/sys_user/6816f79cc0a8016401c5a33be04be441").text
    assert ("Locked out" in text, "Password" in text) == (False, False)
    assert "Password" in admin.open("/records/sys_user/6816f79cc0a8016401c5a33be04be441").text


def test_no_page_shows_a_secret(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        user = db.session.get(SysUser, ROOT.sys_id)
        stored = str(user.user_password if user else "")
    assert stored.startswith("scrypt:")
    assert stored not in html.unescape(admin.open(f"/records/sys_user/{ROOT.sys_id}").text)


def test_a_rule_that_refuses_is_shown_above_the_form(admin: Visitor) -> None:
    page = admin.open(f"/records/sys_user/{ROOT.sys_id}")
    answer = admin.send(page, "record", {"active": None})
    assert answer.status_code in {400, 403}
    assert 'id="error-summary"' in answer.text


def test_suggestions_are_records_that_the_user_may_see(admin: Visitor, sign_in: SignIn, app: Flask) -> None:
    make(app, "sys_user", user_name="ada", name="Ada Lovelace")
    make(app, "sys_user", user_name="ada.old", name="Ada Old", active=False)
    answer = sign_in("nora").open("/records/sys_user/suggestions?q=ADA")
    assert answer.json == {"suggestions": [{"value": "ada", "label": "Ada Lovelace"}]}
    assert sign_in("rita").open("/records/sys_auth_scope/suggestions?q=a").status_code in {400, 403}


def test_names_that_begin_with_the_text_are_suggested_first(admin: Visitor, app: Flask) -> None:
    for user_name, name in (("bot", "Release Automation"), ("x", "Zoe Tomlin"), ("tom", "Tom Okafor")):
        make(app, "sys_user", user_name=user_name, name=name)
    found = admin.open("/records/sys_user/suggestions?q=tom").json
    assert found is not None
    assert [each["value"] for each in found["suggestions"]] == ["tom", "x", "bot"]


def test_a_suggested_state_names_its_model_if_others_have_one_of_that_name(admin: Visitor, app: Flask) -> None:
    found = admin.open("/records/sttrm_state/suggestions?q=New").json
    assert found is not None
    labels = {each["label"]: each["value"] for each in found["suggestions"]}
    assert {"New (Normal)", "New (Emergency)"} <= labels.keys()
    with app.app_context():
        assert [*get_row(get_table("sttrm_state"), ROOT, labels["New (Normal)"], ("state_label",))] == ["New"]


def test_a_long_text_has_suggestions_and_keeps_what_was_typed(admin: Visitor, app: Flask) -> None:
    make(app, "sys_user", user_name="ada", name="Ada Lovelace")
    words = " ".join(f"word{number}" for number in range(5000))
    assert admin.open(f"/records/sys_user/suggestions?q=ada {words[:2000]}").json == {
        "suggestions": [{"value": "ada", "label": "Ada Lovelace"}]
    }
    with app.app_context():
        with counted_statements() as statements:
            assert find_candidates(get_table("sys_user"), ROOT, words) == []
        assert sum("LIKE" in text or "instr" in text for text in statements) <= 2 * (1 + MOST_WORDS)
    refused = admin.send(admin.open(f"{GROUPS}/new"), "record", {"manager": words[:5000], "description": "Cables"})
    assert (refused.status_code, "Cables" in refused.text) == (400, True)


def test_related_lists_show_how_many_records_refer_to_this_one(
    app: Flask, admin: Visitor, sign_in: SignIn, make_change: MakeChange, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(related_lists, "MOST_REFERRING", 2)
    make(app, "sys_user_grmember", group=group, user="admin")
    for text in ("x", "y", "z"):
        make_change(short_description=text, assignment_group=group)
    page = admin.open(f"{GROUPS}/{group}?tab=related")
    found = re.findall(r'<li><a href="([^"]+)">([^<]+)</a> <span class="muted total">([0-9+]+)<', page.text)
    assert [(html.unescape(url), text, total) for url, text, total in found] == [
        (f"/records/sys_user_grmember?sysparm_query=group%3D{group}", "Group members: Group", "1"),
        (f"/records/task?sysparm_query=assignment_group%3D{group}", "Tasks: Assignment group", "2+"),
    ]
    assert "No record that you can see refers to this one." not in page.text
    assert "Tasks" not in sign_in("nora").open(f"{GROUPS}/{group}?tab=related").text


def test_a_record_is_shown_on_the_page_of_its_class(app: Flask, admin: Visitor, make_change: MakeChange) -> None:
    change = make_change(short_description="x")
    freeze = make(app, "cmn_schedule_blackout", name="Year end", time_zone="UTC")
    server = make(app, "cmdb_ci", name="web-01", sys_class_name="cmdb_ci_server")
    for path, page in (
        (f"task/{change}", f"/change-requests/{change}"),
        (f"cmn_schedule/{freeze}", f"/records/cmn_schedule_blackout/{freeze}"),
        (f"cmdb_ci_server/{server}", f"/records/cmdb_ci/{server}"),
        (f"sttrm_model/{change}", f"/records/chg_model/{change}"),
    ):
        assert admin.open(f"/records/{path}").location == page


def test_older_saves_are_on_further_pages(
    app: Flask, admin: Visitor, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_AUDIT_ROWS", 3)
    for name, text in (("A", "a"), ("B", "b"), ("C", "c")):
        admin.send(admin.open(f"{GROUPS}/{group}"), "record", {"name": name, "description": text})
    path, pages = f"{GROUPS}/{group}?tab=history", []
    while path:
        page = html.unescape(admin.open(path).text)
        pages.append(re.findall(r'data-label="New value">([^<]+)<', page))
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1] if older else ""
    # A save is never divided.
    assert [sorted(texts) for texts in pages] == [["C", "c"], ["B", "b"], ["A", "a"]]
    assert "The record was created." in page


def test_a_list_of_references_says_what_it_takes(admin: Visitor) -> None:
    help_of = re.compile(r'id="(\w+)-help">([^<]+)<')
    freeze = dict(help_of.findall(admin.open("/records/cmn_schedule_blackout/new").text))
    task = dict(help_of.findall(admin.open("/records/change_task/new").text))
    assert freeze["assignment_groups"] == "Names, separated by commas."
    assert task["watch_list"] == "User IDs or names, separated by commas."


def choices_in(text: str, field: str) -> list[str]:
    """Return what the radio buttons at a field would send."""
    return [
        html.unescape(each) for each in re.findall(rf'type="radio"[^>]*name="{field}-choice" value="([^"]*)"', text)
    ]


def test_a_name_without_a_record_comes_back_with_similar_ones_to_choose_from(
    app: Flask, admin: Visitor, group: str
) -> None:
    for name in ("ada", "adam"):
        make(app, "sys_user", user_name=name, name=f"{name.title()} Lovelace")
    refused = admin.send(admin.open(f"{GROUPS}/{group}"), "record", {"manager": "lovelace", "description": "Cables"})
    assert refused.status_code == 400
    assert "There is no user “lovelace”. Choose one of these, or enter another name." in refused.text
    assert choices_in(refused.text, "manager") == ["ada", "adam"]
    # Nothing is chosen for the user.
    assert admin.send(refused, "record").status_code == 400
    assert admin.send(refused, "record", {"manager-choice": "adam"}).status_code == 302
    text = admin.open(f"{GROUPS}/{group}").text
    assert 'value="Adam Lovelace"' in text
    assert "Cables" in text


def test_a_name_of_several_records_comes_back_with_them(app: Flask, admin: Visitor, group: str) -> None:
    items = [make(app, "cmdb_ci", name="web-01", sys_class_name=name) for name in ("cmdb_ci_server", "cmdb_ci_appl")]
    sent = {"short_description": "Patch", "cmdb_ci": "WEB-01", "assigned_to": "nobody.here"}
    refused = admin.send(admin.open("/change-requests/new"), "record", sent)
    assert "Several configuration items are called “WEB-01”. Choose one." in refused.text
    # Each unclear name is reported at once.
    assert "There is no user “nobody.here”." in refused.text
    assert choices_in(refused.text, "cmdb_ci") == items or choices_in(refused.text, "cmdb_ci") == items[::-1]
    assert "Server" in refused.text
    answer = admin.send(refused, "record", {"cmdb_ci-choice": items[0], "assigned_to": ""})
    assert f"/records/cmdb_ci/{items[0]}" in admin.open(str(answer.location)).text


def test_an_unclear_name_in_a_list_is_replaced_by_the_choice(app: Flask, admin: Visitor) -> None:
    for name in ("ada", "bob"):
        make(app, "sys_user", user_name=name, name=f"{name.title()} Lovelace")
    sent = {"short_description": "Patch", "watch_list": "admin, bob love, x@example.com"}
    refused = admin.send(admin.open("/change-requests/new"), "record", sent)
    [chosen] = [each for each in choices_in(refused.text, "watch_list") if "bob" in each]
    assert chosen == "admin, bob, x@example.com"
    answer = admin.send(refused, "record", {"watch_list-choice": chosen})
    assert "System Administrator,Bob Lovelace,x@example.com" in admin.open(str(answer.location)).text.replace(", ", ",")


def test_choices_are_records_that_the_user_may_see(sign_in: SignIn, make_change: MakeChange) -> None:
    nora = sign_in("nora")
    make_change(short_description="x")
    make_change(short_description="y", requested_by="nora")
    sent = {"change_request": "CHG003", "freeze": "Year end", "reason": "Urgent"}
    refused = nora.send(nora.open("/records/chg_freeze_override/new"), "record", sent)
    assert refused.status_code == 400
    assert choices_in(refused.text, "change_request") == ["CHG0030002"]


def test_a_bulk_change_names_similar_records(app: Flask, admin: Visitor, group: str) -> None:
    make(app, "sys_user", user_name="ada", name="Ada Lovelace")
    sent = {"sys_id": group, "field": "manager", "value": "love"}
    result = admin.send(admin.open(GROUPS), "selection", sent)
    assert "There is no user “love”. Similar names: ada." in result.text
    sent = {"sys_id": group, "field": "manager", "value": "nobody.here"}
    assert "There is no user “nobody.here”." in admin.send(admin.open(GROUPS), "selection", sent).text
