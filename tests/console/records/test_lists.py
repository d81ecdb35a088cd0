"""Lists of any table: query, search, columns, pages, saved filters, bulk changes, and exports."""

import csv
import html
import io
import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import TABLES, get_table
from changegate.services.tables.writing.records import create_record
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor, forms_of

CHANGES = "/change-requests"
BUILDER = "/records/change_request/filter"


def names_in(page: TestResponse) -> list[str]:
    """Return the names of the rows, in order."""
    return re.findall(r'class="row-link"[^>]*>([^<]+)<', page.text)


def crumbs_in(page: TestResponse) -> list[str]:
    """Return the words of the crumbs of the filter."""
    inside = re.search(r'<ol class="query-crumbs".*?</ol>', page.text, re.DOTALL)
    found = re.findall(r"<li>(.*?)</li>", inside[0], re.DOTALL) if inside else []
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", "", each)).split()) for each in found]


def query_in(location: str | None) -> str:
    """Return the encoded query in the URL of a list."""
    return dict(parse_qsl(urlsplit(location or "").query)).get("sysparm_query", "")


def builder_of(page: TestResponse) -> str:
    """Return the name of the form of conditions."""
    [form] = [name for name in forms_of(page).forms if name.startswith(BUILDER)]
    return form


def test_every_table_has_a_list_for_an_administrator(admin: Visitor) -> None:
    for name in TABLES:
        assert admin.client.get(f"/records/{name}", follow_redirects=True).status_code == 200, name


FOR_OWNERS = {"oauth_entity", "oauth_exchange", "oauth_credential"}


def test_a_list_is_closed_to_those_who_may_not_read_its_table(sign_in: SignIn) -> None:
    nora, nobody = sign_in("nora"), Permissions(frozenset())
    for name, table in TABLES.items():
        # The lists for owners of integrations are closed to those who own none.
        is_open = table.access.admits("read", nobody) and name not in FOR_OWNERS
        expected = 200 if is_open else 403
        assert nora.client.get(f"/records/{name}", follow_redirects=True).status_code == expected, name


def test_an_unknown_table_has_no_list(admin: Visitor) -> None:
    assert admin.open("/records/payroll").status_code == 400


def test_the_query_of_a_list_returns_the_same_records_from_the_api(
    app: Flask, admin: Visitor, make_change: MakeChange
) -> None:
    for risk in ("2", "4", "2"):
        make_change(short_description="x", risk=risk)
    page = admin.open(f"{CHANGES}?sysparm_query=risk%3D2%5EORDERBYnumber")
    shown = re.search(r'<code id="api-url">([^<]+)</code>', page.text)
    assert shown is not None
    url = urlsplit(html.unescape(shown[1]))
    answer = app.test_client().get(f"{url.path}?{url.query}", headers=basic("admin", ADMIN_PASSWORD))
    assert [record["number"] for record in answer.json["result"]] == names_in(page) == ["CHG0030001", "CHG0030003"]


def test_a_crumb_names_fields_choices_and_people(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="x", assigned_to="admin")
    query = "state=-5^ORstate=-4^assigned_to=6816f79cc0a8016401c5a33be04be441^start_dateISEMPTY^NQrisk=2"
    page = admin.client.get(CHANGES, query_string={"sysparm_query": query})
    assert crumbs_in(page) == [
        "All",
        "State is New or Assess",
        "Assigned to is System Administrator",
        "Planned start date is empty",
        "or Risk is High",
    ]
    assert names_in(page) == ["CHG0030001"]


@pytest.mark.parametrize(
    ("table", "query", "ignored"),
    [
        ("change_request", "bogus^nofield=3^priority=2", ["bogus", "nofield=3"]),
        ("change_request", "start_date>=someday^ORpriority=2", ["start_date&gt;=someday"]),
        ("security_finding", "bogus^nofield=3^severity=high", ["bogus", "nofield=3"]),
        ("change_request", "priority=2^123TEXTQUERY321=disk", []),
    ],
)
def test_a_list_names_what_it_ignores_of_its_query(admin: Visitor, table: str, query: str, ignored: list[str]) -> None:
    page = admin.client.get(f"/records/{table}", query_string={"sysparm_query": query}, follow_redirects=True)
    assert page.status_code == 200, page.text
    notice = re.search(r"The filter ignores.*?</p>", page.text)
    assert re.findall(r"<code[^>]*>(.*?)</code>", notice[0] if notice else "") == ignored


def test_a_crumb_can_be_removed(admin: Visitor) -> None:
    page = admin.client.get(CHANGES, query_string={"sysparm_query": "risk=2^impact=1^priority=3"})
    links = dict(re.findall(r'<a class="remove" href="([^"]+)" aria-label="Remove ([^"]+)"', page.text))
    removed = {label: query_in(html.unescape(url)) for url, label in links.items()}
    assert removed["Impact is 1 - High"] == "risk=2^priority=3"


def test_finds_words_in_any_order_in_texts_numbers_and_names(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="Deploy checkout, build 7", assigned_to="admin")
    make_change(short_description="Deploy billing, build 7")
    for words, expected in (
        ("build checkout", ["CHG0030001"]),
        ("7 DEPLOY", ["CHG0030002", "CHG0030001"]),
        ("administrator system deploy", ["CHG0030002", "CHG0030001"]),
        ("0030002", ["CHG0030002"]),
        ("checkout billing", []),
    ):
        assert names_in(admin.client.get(CHANGES, query_string={"search": words})) == expected, words


def test_the_builder_goes_to_the_list_of_its_conditions(admin: Visitor) -> None:
    page = admin.open(f"{CHANGES}?sysparm_query=risk%3D2%5EORDERBYnumber")
    form = f"{BUILDER}?sysparm_query=risk%3D2%5EORDERBYnumber"
    rows = {
        "join": ["and", "or", "and"],
        "field": ["risk", "risk", "short_description"],
        "operator": ["=", "=", "LIKE"],
        "value": ["2", "High", "a^b"],
    }
    answer = admin.send(page, form, rows)
    assert query_in(answer.location) == "risk=2^ORrisk=High^short_descriptionLIKEa^^b^ORDERBYnumber"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("nothing", "=", "x"), "There is no field &#39;nothing&#39;."),
        (("risk", "LIKE", "x"), "Choose an operator for Risk."),
        (("number", "=", ""), "Enter a value"),
        (("sys_created_on", "RELATIVEGE", "last summer"), "Enter a number, a unit, and ago or ahead"),
        (("sys_created_on", "RELATIVEGE", "2 decades ago"), "Enter a number, a unit, and ago or ahead"),
        (("assigned_to", "=", "Zoe Nowhere"), "There is no user “Zoe Nowhere”."),
    ],
)
def test_the_builder_shows_what_is_wrong_with_a_row(admin: Visitor, row: tuple[str, str, str], problem: str) -> None:
    field, operator, value = row
    answer = admin.send(admin.open(CHANGES), BUILDER, {"field": field, "operator": operator, "value": value})
    assert (answer.status_code, problem in answer.text) == (400, True)


def test_rows_are_added_and_removed_without_scripts(admin: Visitor) -> None:
    page = admin.open(f"{CHANGES}?sysparm_query=risk%3D2")
    form = f"{BUILDER}?sysparm_query=risk%3D2"
    more = admin.send(page, form, {"step": "add"})
    assert more.text.count('class="condition"') == 2
    assert admin.send(more, form, {"step": "remove-0"}).text.count('class="condition"') == 1


@pytest.mark.parametrize(
    "query",
    [
        "risk=2^ORrisk=4^short_descriptionLIKEa^^b^NQpriority=1^ORimpact=1",
        "assigned_toDYNAMIC90d1921e5f510100a9ad2572f2b477fe^start_date>=2026-01-01 00:00:00",
        "RLQUERYchange_task.change_request,>=1^state=1^ENDRLQUERY^risk=2",
        "assigned_to.managerISNOTEMPTY^start_dateONToday",
        "sys_created_onRELATIVEGT@hour@ago@2^start_date>=javascript:gs.beginningOfToday()",
        "sys_created_onRELATIVEEE@dayofweek@ago@2^start_dateRELATIVELE@month@ahead@1",
        "assigned_to=javascript:gs.getUserID()^watch_listISNOTEMPTY",
    ],
)
def test_an_unchanged_builder_keeps_the_query(admin: Visitor, query: str) -> None:
    page = admin.client.get(CHANGES, query_string={"sysparm_query": query})
    assert query_in(admin.send(page, builder_of(page)).location) == query


def test_relative_times_are_words_in_the_builder(admin: Visitor) -> None:
    for words, stored in (("7 days ago", "@day@ago@7"), ("1 Hour from now", "@hour@ahead@1")):
        rows = {"field": "start_date", "operator": "RELATIVEGE", "value": words}
        answer = admin.send(admin.open(CHANGES), BUILDER, rows)
        assert query_in(answer.location) == f"start_dateRELATIVEGE{stored}"
    text = admin.client.get(CHANGES, query_string={"sysparm_query": "start_dateRELATIVEGE@day@ago@7"}).text
    assert 'value="7 days ago"' in text
    assert ">Planned start date is at or after 7 days ago<" in text


def test_records_are_named_in_the_builder_and_queries_have_their_sys_ids(admin: Visitor, app: Flask) -> None:
    with app.app_context():
        ada, *others = (
            str(create_record(get_table("sys_user"), ROOT, {"user_name": login, "name": name})["sys_id"])
            for login, name in (("ada", "Ada Lovelace"), ("kim1", "Kim Lee"), ("kim2", "Kim Lee"))
        )
        db.session.commit()
    rows = {"join": ["and"] * 2, "field": ["assigned_to", "watch_list"], "operator": ["=", "LIKE"], "known": ["", ""]}
    answer = admin.send(admin.open(CHANGES), BUILDER, {**rows, "value": ["Ada Lovelace", "ada"]})
    assert query_in(answer.location) == f"assigned_to={ada}^watch_listLIKE{ada}"
    # Several people of one name are choices, which need no scripts; the chosen one keeps its sys_id.
    query = f"assigned_to={ada}^watch_listLIKE{ada}"
    page = admin.client.get(CHANGES, query_string={"sysparm_query": query})
    assert page.text.count('value="Ada Lovelace"') == 2
    unclear = admin.send(page, builder_of(page), {"value": ["Kim Lee", "Ada Lovelace"]})
    assert unclear.status_code == 400
    assert "Several users are called “Kim Lee”. Choose one." in unclear.text
    chosen = admin.send(unclear, builder_of(unclear), {"value-0-choice": "kim2"})
    assert query_in(chosen.location) == f"assigned_to={others[1]}^watch_listLIKE{ada}"
    page = admin.open(str(chosen.location))
    assert 'value="Kim Lee"' in page.text
    assert query_in(admin.send(page, builder_of(page)).location) == query_in(chosen.location)


def test_local_times_are_compared_as_utc(admin: Visitor, sign_in: SignIn) -> None:
    admin.send(admin.open("/preferences"), "preferences", {"time_zone": "Europe/Berlin"})
    rows = {"field": "start_date", "operator": ">=", "value": "2026-07-01 10:00:00"}
    answer = admin.send(admin.open(CHANGES), BUILDER, rows)
    assert query_in(answer.location) == "start_date>=2026-07-01 08:00:00"
    assert "2026-07-01 10:00:00" in crumbs_in(admin.open(str(answer.location)))[1]


@pytest.mark.parametrize(
    ("table", "field"), [("sysapproval_approver", "sys_created_on"), ("cmn_schedule_span", "start_date_time")]
)
def test_what_is_listed_for_its_time_begins_with_the_latest(admin: Visitor, table: str, field: str) -> None:
    text = html.unescape(admin.open(f"/records/{table}?fields={field}").text)
    assert f"sysparm_query=ORDERBYDESC{field}&" in text


def test_an_empty_list_keeps_the_capitals_of_its_name(admin: Visitor) -> None:
    assert "No CI relationships" in admin.open("/records/cmdb_rel_ci").text
    assert "No blackout schedules" in admin.open("/records/cmn_schedule_blackout").text


def test_the_chosen_columns_stay(admin: Visitor, make_change: MakeChange) -> None:
    make_change(short_description="x", category="Network")
    form = "/records/change_request/columns"
    admin.send(admin.open(CHANGES), form, {"column": ["number", "category", "user_password"]})
    text = admin.open(CHANGES).text
    assert re.findall(r'<a class="sort"[^>]*>([^<]+)', text) == ["Number", "Category"]
    admin.send(admin.open(CHANGES), form, {"step": "reset"})
    assert "Short description" in admin.open(CHANGES).text


def test_a_saved_filter_belongs_to_its_user(admin: Visitor, sign_in: SignIn) -> None:
    tom, nora = sign_in("tom", "itil"), sign_in("nora", "itil")
    url, form = f"{CHANGES}?sysparm_query=risk%3D2", "/records/change_request/saved-filters?sysparm_query=risk%3D2"
    tom.send(tom.open(url), form, {"title": "Risky"})
    assert "Risky" in tom.open(CHANGES).text
    assert "Risky" not in nora.open(CHANGES).text
    [path] = re.findall(r'action="([^"]+/delete)"', tom.open(CHANGES).text)
    token = re.search(r'name="csrf_token" value="([^"]+)"', nora.open(CHANGES).text)
    assert token is not None
    assert nora.client.post(path, data={"csrf_token": token[1]}).status_code == 404
    tom.send(tom.open(CHANGES), path)
    assert "Risky" not in tom.open(CHANGES).text


def test_a_bulk_change_has_a_result_for_each_record(admin: Visitor, make_change: MakeChange) -> None:
    good, closed = make_change(short_description="x"), make_change(short_description="x", state=3)
    sent = {"sys_id": [good, closed], "field": "state", "value": "Canceled"}
    answer = admin.send(admin.open(CHANGES), "selection", sent)
    assert "1 of 2 updated" in answer.text
    assert crumbs_in(admin.open(f"{CHANGES}?sysparm_query=state%3D4"))[1] == "State is Canceled"


def test_a_bulk_change_sets_no_field_that_was_not_chosen(admin: Visitor, make_change: MakeChange) -> None:
    sys_id = make_change(short_description="x")
    page = admin.open(f"{CHANGES}?fields=short_description")
    assert '<option value="">Choose a field</option>' in page.text
    answer = admin.send(page, "selection", {"sys_id": [sys_id], "value": ""})
    assert answer.status_code == 400
    assert "Choose a field that you may edit." in answer.text
    assert "x" in names_in(admin.open(f"{CHANGES}?fields=short_description"))


def token_in(page: TestResponse) -> str:
    """Return the CSRF token of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def test_a_reader_gets_no_bulk_form_and_no_bulk_change(sign_in: SignIn, make_change: MakeChange) -> None:
    sys_id = make_change(short_description="x")
    rita = sign_in("rita", "sn_change_read")
    page = rita.open(CHANGES)
    assert "Update the selected records" not in page.text
    sent = {"sys_id": sys_id, "field": "short_description", "value": "y", "csrf_token": token_in(page)}
    assert rita.client.post("/records/change_request/update", data=sent).status_code == 403
    assert "y" not in names_in(rita.open(f"{CHANGES}?fields=short_description"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")'])
def test_no_cell_of_an_export_is_a_formula(admin: Visitor, make_change: MakeChange, text: str) -> None:
    make_change(short_description=text)
    answer = admin.open("/records/change_request/export/csv?fields=number,short_description")
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert rows == [["Number", "Short description"], ["CHG0030001", f"'{text}"]]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="change_request.csv"'


def test_an_export_in_json_has_values_and_display_values(admin: Visitor, make_change: MakeChange) -> None:
    sys_id = make_change(short_description="x", risk="2")
    answer = admin.open("/records/change_request/export/json?fields=risk")
    assert answer.json == [
        {"sys_id": {"value": sys_id, "display_value": sys_id}, "risk": {"value": "2", "display_value": "High"}}
    ]


def test_no_export_has_a_secret_or_a_private_field(sign_in: SignIn) -> None:
    text = sign_in("nora").open("/records/sys_user/export/csv?fields=user_name,user_password,locked_out").text
    assert text.splitlines()[0].lstrip("\ufeff") == "User ID"


def test_goes_to_a_page_of_another_size(admin: Visitor, make_change: MakeChange) -> None:
    for _ in range(51):
        make_change(short_description="x")
    assert len(names_in(admin.open(f"{CHANGES}?per_page=50"))) == 50
    assert names_in(admin.open(f"{CHANGES}?per_page=50&page=2")) == ["CHG0030001"]
    assert len(names_in(admin.open(f"{CHANGES}?per_page=1000"))) == 20
    assert "No records on this page" in admin.open(f"{CHANGES}?page=99").text


def test_a_user_without_a_role_learns_why_the_list_is_empty(sign_in: SignIn, make_change: MakeChange) -> None:
    make_change(short_description="x")
    text = sign_in("nora").open(CHANGES).text
    assert "Your account reads only its own change requests." in text
