"""Moves on the page of a change: the ribbon, refusals, approvals, and a whole life."""

import html
import re

from sqlalchemy import select

from changegate.extensions import db
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.changes.conftest import Desk, answer, move
from tests.console.conftest import ROOT, MakeChange, SignIn


def targets_in(text: str) -> list[str]:
    """Return the words of the buttons of the ribbon."""
    ribbon = text[text.index('class="panel ribbon"') : text.index('class="tabs"')]
    shown = re.sub(r"</summary>.*?</details>", "", ribbon, flags=re.DOTALL)
    return [each.strip().strip("…") for each in re.findall(r'class="btn btn-sm btn-\w+"[^>]*>([^<]+)', shown)]


def test_the_ribbon_offers_what_is_possible(desk: Desk) -> None:
    assert targets_in(desk.tom.open(desk.url).text) == ["Request approval", "Cancel the change"]
    steps = re.findall(r'<li class="is-(\w+)"[^>]*>(\w+)</li>', desk.tom.open(desk.url).text)
    assert steps[:2] == [("current", "New"), ("next", "Assess")]


def test_a_change_lives_from_new_to_closed_in_the_console(desk: Desk) -> None:
    assert move(desk.tom, desk, -4) == 302
    assert "A member of the assignment group: 1 more approval required." in desk.tom.open(desk.url).text
    assert answer(desk.mia, desk, "approved") == 302
    # The manager's approval of the peer is accepted for a low risk, or asked for once more.
    if desk.field("state") == -3:
        assert answer(desk.mia, desk, "approved") == 302
    assert desk.field("state") == -2
    assert move(desk.tom, desk, -1) == 302
    assert move(desk.tom, desk, 0) == 302
    assert move(desk.tom, desk, 3) in {400, 403}
    form = re.search(r"<summary[^>]*>Close the change…</summary>.*?</form>", desk.tom.open(desk.url).text, re.DOTALL)
    assert form is not None
    assert re.findall(r'name="(close_\w+)"', form[0]) == ["close_code", "close_notes"]
    assert move(desk.tom, desk, 3, close_code="successful", close_notes="Done") == 302
    assert desk.field("state") == 3
    text = desk.tom.open(f"{desk.url}?tab=activity").text
    for words in ("created the change", "answered an approval", "Closed"):
        assert words in text
    user = r'<a href="/records/sys_user/[0-9a-f]{32}">'
    assert re.search(f"<strong>{user}tom</a></strong> requested approval", text)
    assert re.search(f"Approved for {user}mia</a>", text)


def test_a_button_has_the_name_that_a_site_gives_the_move(desk: Desk) -> None:
    with desk.app.app_context():
        copy = {"name": "Ours", "copied_from": "Normal"}
        model = create_record(get_table("chg_model"), ROOT, copy)["sys_id"]
        table = get_table("sttrm_state_transition")
        for name, words in {"New to Assess": "Submit", "New to Canceled": "Withdraw"}.items():
            is_named = (table.source.c["sttrm_model"] == model, table.source.c["name"] == name)
            move_id = db.session.execute(select(table.source.c["sys_id"]).where(*is_named)).scalar_one()
            update_record(table, ROOT, move_id, {"name": words})
        update_record(get_table("change_request"), ROOT, desk.change, {"chg_model": model})
        db.session.commit()
    assert targets_in(desk.tom.open(desk.url).text) == ["Submit", "Withdraw"]


def test_a_refused_move_says_what_is_missing_and_changes_nothing(desk: Desk) -> None:
    page = desk.tom.open(desk.url)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    version = re.findall(r'name="version" value="([^"]+)"', page.text)[0]
    answered = desk.tom.client.post(f"{desk.url}/move", data={"csrf_token": token, "version": version, "state": "-1"})
    assert answered.status_code == 403
    assert "it can move to" in html.unescape(answered.text)
    assert desk.field("state") == -5


def test_a_stale_page_moves_nothing(desk: Desk) -> None:
    page = desk.tom.open(desk.url)
    desk.mia.send(desk.mia.open(f"{desk.url}/edit"), "record", {"short_description": "Move two routers"})
    assert desk.tom.send(page, "move--4").status_code == 409
    assert desk.field("state") == -5


def test_a_cancellation_keeps_its_reason(desk: Desk) -> None:
    assert move(desk.tom, desk, 4, work_notes="Not needed") == 302
    assert "Not needed" in desk.tom.open(f"{desk.url}?tab=activity").text


def test_nothing_of_the_pages_is_done_by_get(desk: Desk) -> None:
    for path in ("move", "comment", "form"):
        assert desk.tom.open(f"{desk.url}/{path}").status_code == 405
    assert desk.field("state") == -5


def test_a_reader_has_no_buttons(desk: Desk, sign_in: SignIn, make_change: MakeChange) -> None:
    text = sign_in("rita", "sn_change_read").open(desk.url).text
    assert ('action="' + desk.url + "/move" in text, ">Edit</a>" in text) == (False, False)


def test_the_navigator_counts_what_waits_for_the_user(desk: Desk) -> None:
    assert "badge-count" not in desk.mia.open("/").text
    move(desk.tom, desk, -4)
    assert 'aria-label="1 waiting"' in desk.mia.open("/").text
    assert "badge-count" not in desk.tom.open("/").text


def test_what_it_waits_for_links_to_who_can_and_where(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    text = desk.tom.open(desk.url).text
    waiting = text[text.index("What it waits for") : text.index('class="tabs"')]
    assert re.search(r'<a href="/records/sys_user/[0-9a-f]{32}">mia</a>', waiting)
    assert '<a href="/records/sys_user_role?sysparm_query=name%3Dadmin">admin</a>' in waiting
    assert re.search(r'<a href="/approvals/[0-9a-f]{32}">Open the approval</a>', waiting)
    assert answer(desk.mia, desk, "approved") == 302
    move(desk.tom, desk, -1)
    move(desk.tom, desk, 0)
    text = desk.tom.open(desk.url).text
    assert re.search(r'<a href="/records/change_task/[0-9a-f]{32}">Open the task</a>', text) or "Edit the field" in text


def test_a_move_with_an_unclear_name_says_which_are_similar(
    desk: Desk, sign_in: SignIn, make_change: MakeChange
) -> None:
    path = f"/change-requests/{make_change(short_description='x', requested_by='tom', risk='4')}"
    page = desk.tom.open(path)
    assert 'data-suggestions="/records/sys_user_group/suggestions"' in page.text
    sent = {"assignment_group": "netw", "state": "-4"}
    refused = desk.tom.send(page, f"{path}/move", sent)
    assert refused.status_code == 400
    assert "There is no group “netw”. Similar names: Network." in refused.text
