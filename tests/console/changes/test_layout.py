"""What the form and the page of a change show of it, and what they fold or leave out."""

import re

import pytest

from changegate.console.changes import related
from changegate.database import commit
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.retention.closed_changes import FILES_DELETED
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.changes.conftest import Desk, move
from tests.console.conftest import ROOT, MakeChange
from tests.console.visitor import Visitor
from tests.support.statements import counted_statements

CLOSING = {"close_code": "successful", "close_notes": "Done"}


def open_sections(text: str) -> list[str]:
    """Return the headings of the sections of a form that can be folded and are open."""
    return re.findall(r'<details class="panel form-section" open><summary>.*?<h2>(\w+)</h2>', text)


def test_a_new_change_is_asked_for_its_plan_and_no_more(admin: Visitor) -> None:
    text = admin.open("/change-requests/new").text
    assert open_sections(text) == ["Planning"]
    assert '<h2>CAB</h2><span class="muted">CAB required, CAB date, CAB recommendation</span>' in text
    assert "<h2>Closure</h2>" not in text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": -5}, ["Planning"]),
        ({"state": -2}, []),
        (
            {"state": -1, "on_hold": "true", "on_hold_reason": "Parts", "work_start": "2026-12-01 20:00:00"},
            ["Work", "Hold"],
        ),
        # Review leads to Closed, which needs the close code.
        ({"state": 0}, ["Closure"]),
        ({"state": 3, **CLOSING}, ["Closure"]),
        ({"state": 4, "test_plan": "Look", "watch_list": "admin"}, ["Planning", "More"]),
    ],
)
def test_a_form_opens_the_sections_that_its_state_or_content_needs(
    admin: Visitor, make_change: MakeChange, fields: dict[str, object], expected: list[str]
) -> None:
    assert open_sections(admin.open(f"/change-requests/{make_change(**fields)}/edit").text) == expected


def test_an_error_opens_its_section(desk: Desk) -> None:
    refused = desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", {"cab_date": "soon"})
    assert refused.status_code == 400
    assert open_sections(refused.text) == ["Planning", "CAB"]


def test_tabs_count_what_they_list(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "tab-count" not in desk.tom.open(desk.url).text
    with desk.app.app_context():
        for _ in range(2):
            create_record(get_table("change_task"), ROOT, {"change_request": desk.change})
        commit()
    monkeypatch.setattr(related, "MOST_ROWS", 1)
    text = desk.tom.open(f"{desk.url}?tab=tasks").text
    assert 'Tasks <span class="tab-count">2</span>' in text
    assert (
        f'<a class="btn btn-sm btn-secondary" href="/records/change_task?sysparm_query=change_request%3D{desk.change}'
        in text
    )
    assert text.count('class="row-link"') == 1


def steps_in(text: str) -> list[str]:
    """Return the states of the ribbon."""
    return re.findall(r'<li class="is-(?:done|current|next)"[^>]*>([^<]+)</li>', text)


def test_the_ribbon_has_the_states_that_the_change_can_take(admin: Visitor, make_change: MakeChange) -> None:
    standard = ["New", "Scheduled", "Implement", "Review", "Closed"]
    assert steps_in(admin.open(f"/change-requests/{make_change(type='standard')}").text) == standard
    # A change that was given another type keeps its state.
    odd = make_change(type="standard", state=-4)
    assert steps_in(admin.open(f"/change-requests/{odd}").text) == ["New", "Assess", *standard[1:]]
    assert steps_in(admin.open(f"/change-requests/{make_change(state=4)}").text)[-1] == "Canceled"


def test_the_activity_names_people_and_has_parts(desk: Desk) -> None:
    with desk.app.app_context():
        table = get_table("sys_user")
        user = desk.field("requested_by")
        update_record(table, ROOT, str(user), {"name": "Tom Okafor"})
        commit()
    for journal, text in (("comments", "Any news?"), ("work_notes", "Cable ordered")):
        page = desk.tom.open(f"{desk.url}?tab=activity")
        desk.tom.send(page, "comment", {"journal": journal, "text": text})
    with desk.app.app_context():
        # Entries that were written before keep the former user ID.
        update_record(table, ROOT, str(user), {"user_name": "thomas"})
        commit()
        append("change_request", desk.change, FILES_DELETED, {"files": [{"file_name": "plan.txt"}]}, actor_of(ROOT))
        commit()
    text = desk.mia.open(f"{desk.url}?tab=activity").text
    assert f'<strong><a href="/records/sys_user/{user}">Tom Okafor</a></strong> commented' in text
    assert re.search(
        r'<strong><a href="/records/sys_user/[0-9a-f]{32}">System Administrator</a></strong> created', text
    )
    shown = {
        part: [
            each in desk.mia.open(f"{desk.url}?tab=activity&show={part}").text
            for each in ("Any news?", "Cable ordered", "created the", "plan.txt")
        ]
        for part in ("comments", "work_notes", "edits", "approvals", "nothing")
    }
    assert shown == {
        "comments": [True, False, False, False],
        "work_notes": [False, True, False, False],
        "edits": [False, False, True, False],
        "approvals": [False, False, False, False],
        "nothing": [True, True, True, True],
    }


def test_the_page_names_who_created_and_changed_the_change(desk: Desk) -> None:
    footnote = desk.mia.open(desk.url).text.rpartition("footnote")[2]
    assert len(re.findall(r'by <a href="/records/sys_user/[0-9a-f]{32}">System Administrator</a>', footnote)) == 2


def test_a_cancelled_approval_is_not_completed(desk: Desk) -> None:
    for state in (-4, 4):
        assert move(desk.tom, desk, state, work_notes="Not needed") == 302
    text = desk.tom.open(f"{desk.url}?tab=activity").text
    assert ("cancelled the approval" in text, "completed the approval" in text) == (True, False)
    assert re.search(r"<p>Cancelled, policy “[^”]+”</p>", text)


def test_the_page_does_not_read_all_that_people_have_written(desk: Desk) -> None:
    page = desk.tom.open(f"{desk.url}?tab=activity")
    desk.tom.send(page, "comment", {"text": "Any news?"})
    with desk.app.app_context(), counted_statements() as statements:
        assert desk.tom.open(desk.url).status_code == 200
    assert statements and not any("sys_journal_field" in each for each in statements)
