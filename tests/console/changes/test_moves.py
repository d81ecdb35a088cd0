"""Moves on the page of a change: the ribbon, refusals, approvals, and a whole life."""

import html
import re

import pytest

from tests.console.changes.conftest import Desk
from tests.console.conftest import MakeChange, SignIn
from tests.console.visitor import Visitor


def targets_in(text: str) -> list[str]:
    """Return the words of the buttons of the ribbon."""
    ribbon = text[text.index('class="panel ribbon"') : text.index('class="tabs"')]
    shown = re.sub(r"</summary>.*?</details>", "", ribbon, flags=re.DOTALL)
    return [each.strip().strip("…") for each in re.findall(r'class="btn btn-sm btn-\w+"[^>]*>([^<]+)', shown)]


def move(visitor: Visitor, desk: Desk, state: int, **fields: str) -> int:
    page = visitor.open(desk.url)
    found = re.findall(r'name="version" value="([^"]+)"', page.text)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)
    sent = {"csrf_token": token[0], "version": found[0], "state": str(state), **fields}
    return visitor.client.post(f"{desk.url}/move", data=sent).status_code


def answer(visitor: Visitor, desk: Desk, state: str, comments: str = "") -> int:
    page = visitor.open(f"{desk.url}?tab=approvals")
    return visitor.send(page, "answer", {"state": state, "comments": comments}).status_code


def test_the_ribbon_offers_what_is_possible(desk: Desk) -> None:
    assert targets_in(desk.tom.open(desk.url).text) == ["Assess", "Cancel the change"]
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
    form = re.search(r"<summary[^>]*>Closed…</summary>.*?</form>", desk.tom.open(desk.url).text, re.DOTALL)
    assert form is not None
    assert re.findall(r'name="(close_\w+)"', form[0]) == ["close_code", "close_notes"]
    assert move(desk.tom, desk, 3, close_code="successful", close_notes="Done") == 302
    assert desk.field("state") == 3
    text = desk.tom.open(f"{desk.url}?tab=activity").text
    for words in ("created the change", "answered an approval", "Approved for mia", "Closed"):
        assert words in text


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


def test_only_the_person_asked_gets_the_form_of_an_answer(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    assert ('id="answer"' in desk.tom.open(desk.url).text, 'id="answer"' in desk.mia.open(desk.url).text) == (
        False,
        True,
    )


def test_the_requester_cannot_approve(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open(desk.url)
    token = re.findall(r'name="csrf_token" value="([^"]+)"', desk.tom.open(desk.url).text)[0]
    version = re.findall(r'name="version" value="([^"]+)"', page.text)[0]
    sent = {"csrf_token": token, "version": version, "state": "approved"}
    assert desk.tom.client.post(f"{desk.url}/answer", data=sent).status_code == 403
    assert desk.field("approval") == "requested"


def test_an_answer_to_what_was_edited_since_is_refused(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open(desk.url)
    desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", {"implementation_plan": "Another way"})
    assert desk.mia.send(page, "answer", {"state": "approved"}).status_code == 409
    assert desk.field("approval") == "requested"


def test_a_rejection_needs_comments(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    assert answer(desk.mia, desk, "rejected") == 403
    assert answer(desk.mia, desk, "rejected", "Too early") == 302
    assert desk.field("state") == -5


def test_my_approvals_are_answered_together_each_with_a_result(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open("/my-approvals")
    [value] = re.findall(r'name="change" value="([^"]+)"', page.text)
    desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", {"implementation_plan": "Another way"})
    stale = desk.mia.send(page, "selection", {"change": value, "state": "approved"})
    assert "has been changed since it was read" in stale.text
    [value] = re.findall(r'name="change" value="([^"]+)"', stale.text)
    done = desk.mia.send(stale, "selection", {"change": value, "state": "approved"})
    assert "answered" in done.text
    assert desk.field("state") in {-3, -2}


@pytest.mark.parametrize("state", ["", "requested", "cancelled"])
def test_my_approvals_take_no_other_answer(desk: Desk, state: str) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open("/my-approvals")
    [value] = re.findall(r'name="change" value="([^"]+)"', page.text)
    assert desk.mia.send(page, "selection", {"change": value, "state": state}).status_code == 400


def test_nothing_of_the_pages_is_done_by_get(desk: Desk) -> None:
    for path in ("move", "comment", "answer", "form"):
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
