"""Who is told what about changes, tasks, and approvals: nothing of their own actions, nothing that they cannot read."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from changegate.database import commit, connection, rollback
from changegate.extensions import now
from changegate.services.notifications import inbox
from changegate.services.notifications.inbox import count_unread, mark_read, purge_notifications
from changegate.services.process.answering import answer_change
from changegate.services.process.comments import add_comment
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from tests.services.notifications.notified_desk import NotifiedDesk
from tests.support.jobs import stored_jobs

PLAN = {"justification": "Old", "implementation_plan": "Do", "backout_plan": "Undo", "test_plan": "Look"}
PLANNED = {**PLAN, "start_date": "2099-01-01 00:00:00", "end_date": "2099-01-02 00:00:00"}


def assessed(desk: NotifiedDesk, *approvers: str, name: str = "Network", **sent: str) -> str:
    """Have Rita request a change that Tom opens and moves to Assess; its group is asked for approval."""
    group = desk.group(name, *approvers)
    change = desk.change("tom", requested_by="rita", assignment_group=group, risk="4", **PLANNED, **sent)
    desk.update("change_request", change, "tom", state="-4")
    return change


def test_the_person_to_whom_a_change_or_task_is_assigned_is_told(desk: NotifiedDesk) -> None:
    change = desk.change(assigned_to="mia")
    task = desk.create("change_task", change_request=change)
    desk.update("change_task", task, "tom", assigned_to="mia")
    assert desk.told("mia") == ["Assigned to you", "Assigned to you"]
    assert desk.mails("mia")[0] == f"Assigned to you: {desk.number(change)}: Move a router"
    assert desk.told("tom") == []


def test_nobody_is_told_of_their_own_actions(desk: NotifiedDesk) -> None:
    change = desk.change("mia", assigned_to="mia", requested_by="mia", watch_list="mia", **PLANNED)
    desk.update(
        "change_request", change, "mia", comments="Done", work_notes="Really", assignment_group=desk.group("Team")
    )
    desk.update("change_request", change, "mia", state="-4")
    assert "notifications.deliver" not in [job.kind for job in stored_jobs(desk.app)]
    assert desk.told("mia") == []


def test_members_of_a_group_are_told_if_they_have_chosen_so(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    group = desk.group("Network", "tom", "mia")
    desk.change(assignment_group=group)
    assert desk.told("mia") == []
    desk.choose("mia", group_assigned="console")
    desk.change(assignment_group=group)
    assert desk.told("mia") == ["Assigned to your group"]
    assert (desk.told("tom"), desk.mails("mia")) == ([], [])


def test_moves_and_comments_reach_owners_and_watchers(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    change = desk.change("tom", requested_by="rita", watch_list="sue", assignment_group=desk.group("Team"), **PLANNED)
    desk.update("change_request", change, "tom", state="-4", comments="Please look")
    assert set(desk.told("rita")) == {"Moved: From New to Assess", "Comment"}
    assert desk.told("sue")[:2] == desk.told("rita")[:2]
    assert desk.mails("rita") == []
    assert len(desk.mails("sue")) == 2
    [comment] = [mail for mail in desk.server.mails if mail["Subject"].startswith("Comment")]
    text = comment.get_content()
    assert "Please look" in text and "By Tom" in text and "you are on its watch list" in text
    assert f"https://change.example.com/change_request.do?sys_id={change}" in text


def test_a_requester_who_comments_is_heard(desk: NotifiedDesk) -> None:
    change = desk.change(requested_by="rita", assigned_to="mia")
    with desk.app.app_context():
        add_comment(change, "When?", desk.caller("rita"))
        commit()
    assert desk.told("mia") == ["Assigned to you", "Comment"]
    assert desk.told("rita") == []


def test_work_notes_reach_only_those_who_may_read_them(desk: NotifiedDesk) -> None:
    change = desk.change(requested_by="rita", assigned_to="mia", work_notes_list="sue")
    desk.update("change_request", change, "tom", work_notes="Rita is wrong")
    assert desk.told("mia")[1:] == desk.told("sue") == ["Work note"]
    assert (desk.told("rita"), desk.mails("rita")) == ([], [])


def test_a_watcher_who_may_not_read_the_change_is_told_nothing(desk: NotifiedDesk) -> None:
    change = desk.change(requested_by="rita", watch_list="eve")
    desk.update("change_request", change, "tom", comments="Secret", short_description="Merge with Acme")
    assert (desk.told("eve"), desk.mails("eve")) == ([], [])


def test_who_may_no_longer_read_a_change_sees_nothing_of_it(desk: NotifiedDesk) -> None:
    change = desk.change(requested_by="rita", short_description="Merge with Acme")
    desk.update("change_request", change, "tom", comments="Look")
    desk.told("rita")
    [entry] = desk.inbox("rita")
    assert entry.title == f"{desk.number(change)}: Merge with Acme" and entry.author == "Tom"
    with desk.app.app_context():
        table = get_table("change_request").source
        connection().execute(table.update().values(requested_by=None))
        commit()
    [entry] = desk.inbox("rita")
    assert (entry.title, entry.detail, entry.author) == (None, None, None)


@pytest.mark.parametrize("state", [{"active": "false"}, {"locked_out": "true"}, {"web_service_access_only": "true"}])
def test_users_who_cannot_sign_in_are_not_told(desk: NotifiedDesk, state: dict[str, str]) -> None:
    desk.update("sys_user", desk.users["mia"], **state)
    desk.change(assigned_to="mia")
    desk.run()
    desk.update("sys_user", desk.users["mia"], active="true", locked_out="false", web_service_access_only="false")
    assert (desk.told("mia"), desk.mails("mia")) == ([], [])


def test_approvers_and_their_delegates_are_asked(desk: NotifiedDesk) -> None:
    at = {"starts": "2020-01-01 00:00:00", "ends": "2099-01-01 00:00:00"}
    desk.create("sys_user_delegate", user="mia", delegate="sue", **at)
    desk.create(
        "sys_user_delegate", user="mia", delegate="max", starts="2020-01-01 00:00:00", ends="2021-01-01 00:00:00"
    )
    change = assessed(desk, "mia")
    assert desk.told("mia") == desk.told("sue") == ["Approval requested"]
    assert desk.mails("mia") == [f"Approval requested: {desk.number(change)}: Move a router"]
    assert desk.told("max") == []
    [approval] = desk.approvals(change)
    assert f"/sysapproval_approver.do?sys_id={approval.sys_id}" in desk.server.mails[0].get_content()


def test_a_delegation_of_one_approval_tells_its_delegate_of_no_other(desk: NotifiedDesk) -> None:
    first = assessed(desk, "mia")
    assessed(desk, "mia", name="Storage")
    desk.run()
    [approval] = desk.approvals(first)
    desk.create("sys_user_delegate", user="mia", delegate="sue", approval=approval.sys_id, ends="2099-01-01 00:00:00")
    assert desk.told("sue") == ["Approval requested"]
    assert desk.inbox("sue")[0].record == approval.sys_id
    assessed(desk, "mia", name="Servers")
    assert (desk.told("sue"), len(desk.told("mia"))) == (["Approval requested"], 3)


def test_an_approver_who_may_not_read_changes_is_told_of_the_approval(desk: NotifiedDesk) -> None:
    change = assessed(desk, "eve")
    assert desk.told("eve") == ["Approval requested"]
    [entry] = desk.inbox("eve")
    assert (entry.table, entry.title) == ("sysapproval_approver", f"{desk.number(change)}: Move a router")


def test_a_request_that_is_over_is_not_told(desk: NotifiedDesk) -> None:
    change = assessed(desk, "mia")
    with desk.app.app_context():
        answer_change(change, "approved", None, desk.caller("mia"))
        commit()
    assert desk.told("mia") == []


def test_requester_and_assignee_are_told_of_the_decision(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    change = assessed(desk, "mia", assigned_to="max")
    with desk.app.app_context():
        answer_change(change, "rejected", "No", desk.caller("mia"))
        commit()
    assert "Rejected" in desk.told("rita") and "Rejected" in desk.told("max") and "Rejected" in desk.told("tom")
    assert f"Rejected: {desk.number(change)}: Move a router" in desk.mails("rita")
    assert "Rejected" not in desk.told("mia")


def test_who_approved_is_told_that_an_edit_voided_it(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    change = assessed(desk, "mia", "sue")
    desk.told("mia")
    with desk.app.app_context():
        answer_change(change, "approved", None, desk.caller("mia"))
        commit()
    desk.update("change_request", change, "tom", implementation_plan="Drop tables")
    difference = 'Implementation plan changed from "Do" to "Drop tables", by tom'
    assert desk.told("mia")[1:] == [f"Approval voided and requested again: {difference}"]
    # Who turns off requests still learns of what was voided.
    desk.choose("mia", approval_voided="mail")
    with desk.app.app_context():
        answer_change(change, "approved", None, desk.caller("mia"))
        commit()
    desk.update("change_request", change, "tom", implementation_plan="Drop all")
    assert len(desk.told("mia")) == 2
    assert desk.mails("mia")[-1].startswith("Approval voided and requested again")


def test_who_is_not_asked_again_is_told_that_the_approval_is_void(desk: NotifiedDesk) -> None:
    change = assessed(desk, "mia", "max")
    with desk.app.app_context():
        answer_change(change, "approved", None, desk.caller("mia"))
        commit()
    desk.run()
    desk.update("change_request", change, "tom", assignment_group=desk.group("Storage", "sue"))
    [told] = desk.told("mia")
    assert told.startswith("Approval voided: ") and "Storage" in told
    assert desk.mails("mia")[-1] == f"Approval voided: {desk.number(change)}: Move a router"


def test_a_reminder_is_told_once(desk: NotifiedDesk) -> None:
    assessed(desk, "mia")
    desk.told("mia")
    desk.app.config["CLOCK"].advance(hours=25)
    assert desk.told("mia") == ["Approval requested", "Approval still requested"]
    desk.app.config["CLOCK"].advance(minutes=5)
    assert desk.told("mia") == ["Approval requested", "Approval still requested"]


def test_a_hold_and_its_end_do_not_repeat_the_request(desk: NotifiedDesk) -> None:
    change = assessed(desk, "mia")
    desk.told("mia")
    desk.update("change_request", change, "tom", on_hold="true", on_hold_reason="Wait")
    desk.update("change_request", change, "tom", on_hold="false")
    assert desk.told("mia") == ["Approval requested"]
    assert len(desk.mails("mia")) == 1


def test_change_managers_are_asked_for_help_if_nobody_can_approve(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    change = assessed(desk)
    [told] = desk.told("max")
    assert told.startswith("Nobody can approve: rule ") and "contains no user who may approve" in told
    assert desk.mails("max") == [f"Nobody can approve: {desk.number(change)}: Move a router"]
    assert not any(each.startswith("Nobody") for each in desk.told("mia"))


def test_choices_of_a_channel_are_kept_apart(desk: NotifiedDesk) -> None:
    desk.choose("mia", assigned="mail")
    desk.choose("sue", assigned="")
    desk.change(assigned_to="mia")
    desk.change(assigned_to="sue")
    assert (desk.told("mia"), len(desk.mails("mia"))) == ([], 1)
    assert (desk.told("sue"), desk.mails("sue")) == ([], [])


def test_what_is_rolled_back_is_not_told(desk: NotifiedDesk) -> None:
    change = desk.change()
    with desk.app.app_context():
        sent = {"assigned_to": desk.users["mia"], "comments": "x"}
        update_record(get_table("change_request"), desk.caller("tom"), change, sent)
        rollback()
    assert desk.told("mia") == []


def test_unread_notifications_are_counted_and_marked(either_desk: NotifiedDesk) -> None:
    desk = either_desk
    for _ in range(3):
        desk.change(assigned_to="mia")
        desk.change(assigned_to="sue")
    desk.run()
    first = desk.inbox("mia")[0]
    with desk.app.app_context():
        mark_read(desk.users["sue"], first.sys_id)
        assert count_unread(desk.users["mia"]) == 3
        mark_read(desk.users["mia"], first.sys_id)
        assert count_unread(desk.users["mia"]) == 2
        mark_read(desk.users["mia"])
        assert (count_unread(desk.users["mia"]), count_unread(desk.users["sue"])) == (0, 3)
        commit()
    assert all(entry.is_read for entry in desk.inbox("mia"))


def test_old_notifications_are_deleted(desk: NotifiedDesk) -> None:
    desk.change(assigned_to="mia")
    desk.run()
    with desk.app.app_context():
        purge_notifications(now() + inbox.NOTIFICATIONS_KEPT_FOR * 0.99)
        assert count_unread(desk.users["mia"]) == 1
        purge_notifications(now() + inbox.NOTIFICATIONS_KEPT_FOR * 1.01)
        assert count_unread(desk.users["mia"]) == 0


@contextmanager
def counted_enqueues() -> Iterator[mock.Mock]:
    with mock.patch("changegate.services.notifications.telling.enqueue") as enqueue:
        yield enqueue


def test_a_write_that_concerns_nobody_enqueues_nothing(desk: NotifiedDesk) -> None:
    group = desk.group("Network", "tom", "mia")
    with counted_enqueues() as enqueue:
        change = desk.change("tom", assignment_group=group, **PLANNED)
        desk.update("change_request", change, "tom", description="More", work_notes="x")
        desk.update("change_request", change, "mia", description="Other")
    enqueue.assert_not_called()
