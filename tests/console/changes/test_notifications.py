"""Notifications in the console: what happened, with links, and the channels that users choose."""

import re

import pytest
from sqlalchemy import select, update

from changegate.console import notifications
from changegate.database import commit
from changegate.extensions import db, limiter
from changegate.models import ChangeRequest, SysUser
from changegate.services.mail.outbox import queue_mail
from changegate.services.notifications.settings import channels_of
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from tests.console.changes.conftest import Desk, move
from tests.console.conftest import ROOT, SignIn
from tests.console.visitor import Visitor
from tests.support.jobs import run_due_jobs
from tests.support.smtp_server import use_mail_server

PLAN = {"justification": "Old", "implementation_plan": "Do", "backout_plan": "Undo", "test_plan": "Look"}


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """Tom's change, for which Mia's approval is requested."""
    with desk.app.app_context():
        update_record(get_table("change_request"), ROOT, desk.change, PLAN)
        commit()
    assert move(desk.tom, desk, -4) == 302
    run_due_jobs(desk.app)
    return desk


def test_an_approver_finds_the_request_and_follows_its_link(asked: Desk) -> None:
    first = asked.mia.open("/").text
    assert 'aria-label="1 waiting">1</span>' in first
    # On a phone, where the navigator is a menu.
    assert '<a class="icon-button unread" href="/notifications" aria-label="1 unread notifications">' in first
    page = asked.mia.open("/notifications").text
    assert "Approval requested" in page and "Move a router" in page and "1 unread" in page
    [link] = re.findall(r'class="row-link" href="(/approvals/[0-9a-f]{32})"', page)
    opened = asked.mia.open(link)
    assert opened.status_code == 200 and "Move a router" in opened.text
    # The link of the mail leads to the same page.
    mailed = asked.mia.open(f"/sysapproval_approver.do?sys_id={link.rpartition('/')[2]}")
    assert mailed.headers["Location"] == link
    assert "1 unread" in asked.mia.open("/notifications").text


def test_notifications_are_marked_as_read_one_by_one_and_together(asked: Desk) -> None:
    page = asked.mia.open("/notifications")
    [action] = re.findall(r'action="(/notifications/[0-9a-f]{32}/read)"', page.text)
    assert asked.mia.send(page, action).status_code == 302
    page = asked.mia.open("/notifications").text
    assert "unread" not in page and "Mark" not in page and "Approval requested" in page
    with asked.app.app_context():
        for text in ("One", "Two"):
            update_record(get_table("change_request"), ROOT, asked.change, {"comments": text, "assigned_to": "mia"})
        commit()
    run_due_jobs(asked.app)
    page_again = asked.mia.open("/notifications")
    assert "3 unread" in page_again.text
    assert asked.mia.send(page_again, "/notifications/read").status_code == 302
    assert "unread" not in asked.mia.open("/notifications").text


def test_another_user_marks_nothing(asked: Desk, sign_in: SignIn) -> None:
    [action] = re.findall(r'action="(/notifications/[0-9a-f]{32}/read)"', asked.mia.open("/notifications").text)
    eve = sign_in("eve")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', eve.open("/preferences").text)[0]
    for path in (action, "/notifications/read", "/notifications/%00/read"):
        assert eve.client.post(path, data={"csrf_token": token}).status_code == 302
    assert "1 unread" in asked.mia.open("/notifications").text
    assert "No notifications" in eve.open("/notifications").text


def test_older_notifications_are_on_further_pages(asked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "NOTIFICATIONS_AT_ONCE", 2)
    with asked.app.app_context():
        for text in ("One", "Two", "Three"):
            update_record(get_table("change_request"), ROOT, asked.change, {"comments": text})
        commit()
    run_due_jobs(asked.app)
    first = asked.tom.open("/notifications").text
    assert first.count('<li class="notification') == 2
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    last = asked.tom.open(older).text
    assert last.count('<li class="notification') == 1 and ">Newest<" in last and 'rel="next"' not in last
    assert asked.tom.open("/notifications?before=%00'").status_code == 200


def test_users_choose_the_channels_of_each_kind(asked: Desk) -> None:
    page = asked.mia.open("/preferences/notifications")
    assert "This instance has no mail server" in page.text
    off = 'value="console" aria-label="A change or task is assigned to one of your groups: Console">'
    assert f'name="group_assigned" {off}' in page.text
    chosen = {"approval_requested": ["mail"], "group_assigned": ["console", "fax"], "assigned": None, "unknown": "x"}
    assert asked.mia.send(page, "notification-settings", chosen).status_code == 302
    with asked.app.app_context():
        mia = db.session.execute(select(SysUser.sys_id).filter_by(user_name="mia")).scalar_one()
        channels = channels_of(mia)
    assert channels["approval_requested"] == {"mail"} and channels["group_assigned"] == {"console"}
    assert channels["assigned"] == frozenset() and channels["watched"] == {"console", "mail"}
    page = asked.mia.open("/preferences/notifications")
    assert 'name="assigned" value="mail" aria-label="A change or task is assigned to you: Mail">' in page.text
    assert asked.mia.send(page, "notification-settings").status_code == 302
    with asked.app.app_context():
        assert channels_of(mia) == channels


def test_readers_of_a_change_watch_it_and_stop(asked: Desk, sign_in: SignIn) -> None:
    sue, watch = sign_in("sue", "sn_change_read"), f"{asked.url}/watch"
    assert sue.send(sue.open(asked.url), watch).status_code == 302
    assert asked.tom.send(asked.tom.open(asked.url), watch).status_code == 302
    with asked.app.app_context():
        users = {user.user_name: user.sys_id for user in db.session.query(SysUser)}
        update_record(get_table("change_request"), ROOT, asked.change, {"comments": "Look"})
        commit()
    assert asked.field("watch_list") == f"{users['sue']},{users['tom']}"
    run_due_jobs(asked.app)
    assert "Comment" in sue.open("/notifications").text
    page = sue.open(asked.url)
    assert "Stop watching" in page.text
    assert sue.send(page, watch).status_code == 302
    assert asked.field("watch_list") == users["tom"]


def test_a_change_that_a_user_may_not_read_cannot_be_watched(asked: Desk, sign_in: SignIn) -> None:
    eve = sign_in("eve")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', eve.open("/preferences").text)[0]
    sent = {"csrf_token": token, "watching": "1"}
    assert eve.client.post(f"{asked.url}/watch", data=sent).status_code == 404
    assert asked.field("watch_list") is None


def test_too_many_changes_of_watch_lists_within_a_minute_are_refused(asked: Desk) -> None:
    page, watch = asked.tom.open(asked.url), f"{asked.url}/watch"
    with asked.app.app_context():
        for _ in range(20):
            limiter.count(str(asked.field("requested_by")), "watch_list")
    refused = asked.tom.send(page, watch)
    assert refused.status_code == 429
    assert "You have changed too many watch lists within a minute." in refused.text
    assert asked.field("watch_list") is None
    assert asked.mia.send(asked.mia.open(asked.url), watch).status_code == 302


def test_a_full_watch_list_takes_nobody_else(asked: Desk) -> None:
    full = ",".join(f"{number:032x}" for number in range(121))
    with asked.app.app_context():
        db.session.execute(update(ChangeRequest).values(watch_list=full))
        commit()
    page = asked.mia.open(asked.url)
    assert "is full" in asked.mia.send(page, f"{asked.url}/watch").text
    assert asked.field("watch_list") == full


def test_administrators_see_outgoing_mail_without_its_secrets(desk: Desk, admin: Visitor) -> None:
    use_mail_server(desk.app, "smtp://127.0.0.1:1")
    long_subject = f"Approval requested: {'x' * 40}"
    with desk.app.app_context():
        queue_mail(address="ann@example.com", subject=long_subject, text="Look")
        queue_mail(address="bob@example.com", subject="Set your password", text="s3cret", secret=True)
        commit()
    page = admin.open("/records/sys_email").text
    assert "Outgoing mail" in page and 0 < page.index("bob@example.com") < page.index("ann@example.com")
    listed = admin.open("/records/sys_email?fields=subject").text
    # A long subject may be broken; in one line, it would cover the next column.
    assert re.search(f'class="breakable"><a class="row-link" [^>]*>{long_subject}<', listed)
    for path in re.findall(r'href="(/records/sys_email/[0-9a-f]{32})"', listed):
        assert "s3cret" not in admin.open(path).text
    assert desk.tom.open("/records/sys_email").status_code == 403
