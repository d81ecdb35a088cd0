"""The parts of records on their pages: rules, states and transitions, spans, and relationships."""

import html
import re

from flask import Flask

from changegate.console.records.parts import MOST_PARTS, PARTS
from changegate.services.tables.registry import get_table
from changegate.services.tables.walks import Walks
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.records.test_records import make
from tests.console.visitor import Visitor

POLICY = {"name": "Payments", "state": "-4"}


def tables_in(page: str) -> dict[str, list[list[str]]]:
    """Return the cells of each table of parts, by its heading."""
    found = {}
    for heading, rest in re.findall(r'id="parts-[^"]+-heading">([^<]+)</h2>(.*?)</section>', page, re.DOTALL):
        rows = [
            re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", rest, re.DOTALL)
        ]
        found[heading] = [
            [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in rows if row
        ]
    return found


def test_every_part_names_fields_of_its_table() -> None:
    for parts in PARTS.values():
        for part in parts:
            table, walks = get_table(part.table), Walks(get_table(part.table), ROOT.permissions)
            assert set(part.columns) <= table.entries.keys(), part
            assert walks.find(part.field) is not None, part


def test_a_policy_shows_its_rules_and_leads_to_each(app: Flask, admin: Visitor, sign_in: SignIn) -> None:
    policy = make(app, "chg_policy_approval", **POLICY)
    page = f"/records/chg_policy_approval/{policy}"
    form = admin.open(f"/records/chg_approval_def/new?policy={policy}")
    assert f'href="/records/chg_approval_def/new?policy={policy}"' in admin.open(page).text
    assert f'<li><a href="{page}">Payments</a></li>' in form.text
    sent = {"name": "The board", "approver_source": "users", "users": "admin"}
    # What was made leads back to the page that it is shown on.
    assert admin.send(form, "record", sent).location == page

    for visitor, may_add in ((admin, True), (sign_in("ines", "itil"), False)):
        text = visitor.open(page).text
        assert tables_in(text)["Rules"] == [["The board", "Users", "System Administrator", "First response"]]
        assert ("/records/chg_approval_def/new" in text) == may_add
    rule = re.search(r'href="(/records/chg_approval_def/[0-9a-f]{32})"', text)
    assert rule is not None
    assert f'<li><a href="{page}">Payments</a></li>' in admin.open(rule[1]).text


def test_a_model_shows_its_states_and_transitions_with_their_conditions(app: Flask, admin: Visitor) -> None:
    model = make(app, "chg_model", name="Firewalls", active=False)
    new, done = (
        make(app, "sttrm_state", sttrm_model=model, state_label=label, **fields)
        for label, fields in (
            ("New", {"state_value": "-5", "order": "1", "initial": "true"}),
            ("Closed", {"state_value": "3", "order": "2"}),
        )
    )
    transition = {"sttrm_model": model, "name": "Close", "from_state": new, "to_state": done}
    close = make(app, "sttrm_state_transition", **transition)
    rule = {"condition": "risk=4", "description": "Lower the risk."}
    make(app, "sttrm_transition_condition", transition=close, name="Low risk", **rule)

    text = admin.open(f"/records/chg_model/{model}").text
    tables = tables_in(text)
    assert [row[:3] for row in tables["States"]] == [["New", "-5", "Yes"], ["Closed", "3", "No"]]
    assert tables["Transitions"] == [["Close", "New", "Closed", "No", "Yes", "Low risk"]]
    assert f"/records/sttrm_transition_condition/new?transition={close}" in text
    assert tables_in(admin.open(f"/records/sttrm_state/{new}").text) == {
        "Transitions from this state": [["Close", "New", "Closed", "No", "Yes"]]
    }


def test_a_schedule_shows_its_entries(app: Flask, admin: Visitor) -> None:
    freeze = make(app, "cmn_schedule_blackout", name="Year end", time_zone="UTC")
    times = {"start_date_time": "2030-12-21 00:00:00", "end_date_time": "2031-01-02 00:00:00"}
    make(app, "cmn_schedule_span", schedule=freeze, name="Holidays", **times)
    [row] = tables_in(admin.open(f"/records/cmn_schedule_blackout/{freeze}").text)["Entries"]
    assert row[:4] == ["Holidays", "Included", *times.values()]


def test_an_item_shows_what_it_depends_on_what_uses_it_and_its_open_changes(
    app: Flask, admin: Visitor, sign_in: SignIn, make_change: MakeChange
) -> None:
    shop, web, disk = (
        make(app, "cmdb_ci", name=name, sys_class_name=kind)
        for name, kind in (("Shop", "cmdb_ci_service"), ("web-01", "cmdb_ci_server"), ("disk-01", "cmdb_ci"))
    )
    assert "cmdb_ci_server" in admin.open("/records/cmdb_ci/new").text
    for parent, child in ((shop, web), (web, disk)):
        make(app, "cmdb_rel_ci", parent=parent, child=child)
    make_change(short_description="Renew it", cmdb_ci=web, state="4")
    other, own = make_change(short_description="Move the rack"), make_change(short_description="Patch it", cmdb_ci=web)
    for change in (other, own):
        make(app, "task_ci", task=change, ci_item=web)

    text = admin.open(f"/records/cmdb_ci/{web}").text
    tables = tables_in(text)
    assert [row[0] for row in tables["Depends on"]] == ["disk-01"]
    assert [row[0] for row in tables["Used by"]] == ["Shop"]
    assert [row[1] for row in tables["Open changes"]] == ["Patch it"]
    assert len(tables["Open changes and tasks that also affect it"]) == 1
    assert f'href="/records/cmdb_ci/{shop}"' in text
    # Users see the changes that they may read.
    assert tables_in(sign_in("nora").open(f"/records/cmdb_ci/{web}").text).keys() == {"Depends on", "Used by"}
    assert tables_in(admin.open(f"/records/cmdb_ci/{disk}").text)["Depends on"] == []


def test_a_template_shows_its_versions_and_the_changes_from_it(
    app: Flask, admin: Visitor, make_change: MakeChange
) -> None:
    template = make(app, "std_change_record_producer", name="Restart", template="category=Software^EQ")
    for _ in range(11):
        make_change(type="standard", std_change_producer_version="Restart - 1", short_description="Restart it")
    text = admin.open(f"/records/std_change_record_producer/{template}").text
    tables = tables_in(text)
    assert [row[:2] for row in tables["Versions"]] == [["Restart - 1", "1"]]
    # The first ten, and a link to the list of all.
    assert len(tables["Latest changes"]) == 10 < MOST_PARTS
    [url] = re.findall(r'href="([^"]+)">Show all</a>', text)
    assert '<span class="muted total">11</span>' in admin.open(html.unescape(url)).text
