"""Delegations in the console: of all approvals for a time, of one approval, and their end."""

import re
from datetime import timedelta

import pytest

from changegate.extensions import db
from changegate.models import SysUserDelegate
from changegate.models.base import utc_now
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.console.changes.conftest import Desk, move
from tests.console.changes.test_approvals import approval_of, send, user_of
from tests.console.conftest import ROOT, SignIn
from tests.console.visitor import Visitor

NEW = "/delegations/new"


@pytest.fixture
def noah(sign_in: SignIn) -> Visitor:
    """Return a user without a role."""
    return sign_in("noah")


@pytest.fixture
def asked(desk: Desk) -> str:
    """Ask Mia about the change; return the path of her approval."""
    move(desk.tom, desk, -4)
    return approval_of(desk, "mia")


def delegate(visitor: Visitor, path: str = NEW, **fields: str) -> int:
    return visitor.send(visitor.open(path), "record", fields).status_code


def end_of(visitor: Visitor) -> str:
    [action] = re.findall(r'action="(/delegations/\w+/end)"', visitor.open("/delegations").text)
    return str(action)


def test_a_delegate_answers_in_the_place_of_the_user(desk: Desk, noah: Visitor, asked: str) -> None:
    assert noah.open(asked).status_code == 404
    assert delegate(desk.mia, delegate="noah") == 302
    assert "noah" in desk.mia.open("/delegations").text
    assert "mia" in noah.open("/delegations").text
    page = noah.open("/my-approvals").text
    assert "Requested from mia, in whose place you answer." in page
    assert send(noah, asked, "approved") == 302
    text = desk.tom.open(f"{desk.url}?tab=activity").text
    user = r'<a href="/records/sys_user/[0-9a-f]{32}">'
    assert re.search(f"<strong>{user}noah</a></strong> for {user}mia</a> answered an approval", text)
    assert "noah for mia approved it" in " ".join(noah.open(asked).text.split())


def test_the_end_of_a_delegation_ends_the_access(desk: Desk, noah: Visitor, asked: str) -> None:
    started = f"{utc_now() - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    delegate(desk.mia, delegate="noah", starts=started)
    page = desk.mia.open("/delegations")
    assert desk.mia.send(page, end_of(desk.mia)).status_code == 302
    assert "No user answers for you." in desk.mia.open("/delegations").text
    assert noah.open(asked).status_code == 404
    assert "Nothing waits for you" in noah.open("/my-approvals").text


def test_a_delegation_that_has_not_begun_is_deleted(desk: Desk, noah: Visitor, asked: str) -> None:
    times = [f"{utc_now() + timedelta(days=days):%Y-%m-%d %H:%M:%S}" for days in (2, 4)]
    delegate(desk.mia, delegate="noah", starts=times[0], ends=times[1])
    page = desk.mia.open("/delegations")
    assert "Not yet" in page.text
    assert noah.open(asked).status_code == 404
    desk.mia.send(page, end_of(desk.mia))
    with desk.app.app_context():
        assert db.session.query(SysUserDelegate).count() == 0


def test_one_approval_is_handed_over(desk: Desk, noah: Visitor, asked: str, make_other: str) -> None:
    form = re.findall(r'href="(/delegations/new\?approval=\w+)"', desk.mia.open(asked).text)[0]
    assert "approval of CHG0030001" in desk.mia.open(form).text
    assert delegate(desk.mia, form, delegate="noah") == 302
    assert "One approval" in noah.open("/delegations").text
    assert noah.open(make_other).status_code == 404
    page = noah.open("/my-approvals").text
    assert ("CHG0030001" in page, "CHG0030002" in page) == (True, False)
    assert send(noah, asked, "approved") == 302


@pytest.fixture
def make_other(desk: Desk) -> str:
    """Ask Mia about another change; return the path of that approval."""
    with desk.app.app_context():
        fields = {"short_description": "Other", "requested_by": user_of("tom"), "assignment_group": "Network"}
        other = create_record(get_table("change_request"), ROOT, fields)["sys_id"]
        db.session.commit()
    page = desk.tom.open(f"/change-requests/{other}")
    desk.tom.send(page, "move--4")
    return approval_of(desk, "mia")


def test_an_approval_of_another_user_is_not_handed_over(desk: Desk, noah: Visitor, asked: str) -> None:
    approval = asked.rpartition("/")[2]
    # Although Tom may read this approval, the form takes only those that are requested from the user who delegates.
    answer = desk.tom.send(desk.tom.open(f"{NEW}?approval={approval}"), "record", {"delegate": "noah"})
    assert answer.status_code in {400, 403}
    assert "Name an approval that is requested from the user who delegates." in answer.text
    assert noah.open(asked).status_code == 404
    assert noah.open(f"{NEW}?approval={approval}").status_code == 404


def test_only_administrators_delegate_for_others(desk: Desk, noah: Visitor, asked: str, sign_in: SignIn) -> None:
    assert 'name="user"' not in noah.open(NEW).text
    # A user that is sent all the same is ignored.
    assert delegate(noah, delegate="tom", user="mia") == 302
    assert "tom" in noah.open("/delegations").text
    # Another administrator than the one who has opened the change.
    assert delegate(sign_in("root", "admin"), delegate="noah", user="mia") == 302
    assert send(noah, asked, "approved") == 302


def test_others_do_not_end_a_delegation(desk: Desk, noah: Visitor) -> None:
    delegate(desk.mia, delegate="noah", starts=f"{utc_now() - timedelta(hours=1):%Y-%m-%d %H:%M:%S}")
    path, version = end_of(desk.mia), re.findall(r'name="version" value="([^"]+)"', desk.mia.open("/delegations").text)
    for visitor in (desk.tom, noah):
        token = re.findall(r'name="csrf_token" value="([^"]+)"', visitor.open("/").text)[0]
        sent = {"csrf_token": token, "version": version[0]}
        assert visitor.client.post(path, data=sent).status_code == 403


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"delegate": "nobody.here"}, "There is no user “nobody.here”."),
        ({"delegate": "mia"}, "another person"),
        ({"delegate": "tom", "ends": "2020-01-01 00:00:00"}, "must end after it starts"),
        ({"delegate": ""}, "Enter a value."),
    ],
)
def test_errors_are_shown_at_the_field(desk: Desk, fields: dict[str, str], error: str) -> None:
    answer = desk.mia.send(desk.mia.open(NEW), "record", fields)
    assert answer.status_code in {400, 403}
    assert error in answer.text
