"""The page of an approval, the same block on the page of its change, and My approvals."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from changegate.extensions import db
from changegate.models import SysapprovalApprover, SysUser
from changegate.models.base import utc_now
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.console.changes.conftest import Desk, answer, forms_to_answer, move
from tests.console.conftest import ROOT, SignIn
from tests.console.visitor import Visitor

NOAH = "noah.extern"


@pytest.fixture
def asked(desk: Desk, sign_in: SignIn) -> Iterator[Visitor]:
    """Ask a user without roles, who cannot read the change, beside Mia."""
    noah = sign_in(NOAH)
    with desk.app.app_context():
        policy = {"name": "Two of them", "state": "-4", "order": 10}
        made = create_record(get_table("chg_policy_approval"), ROOT, policy)["sys_id"]
        users = ",".join(user_of(name) for name in ("mia", NOAH))
        rule = {"policy": made, "name": "Both", "approver_source": "users", "users": users, "wait_for": "all"}
        create_record(get_table("chg_approval_def"), ROOT, rule)
        update_record(get_table("chg_policy_approval"), ROOT, str(made), {"active": "true"})
        db.session.commit()
    save(desk, implementation_plan="Unplug it.\nPlug it in elsewhere.", start_date="2050-03-01 10:00:00")
    move(desk.tom, desk, -4)
    return noah


def test_related_lists_link_people_and_cis_and_leave_out_empty_columns(desk: Desk, asked: Visitor) -> None:
    with desk.app.app_context():
        mia = user_of("mia")
        item = str(create_record(get_table("cmdb_ci"), ROOT, {"name": "core-switch-01"})["sys_id"])
        row = str(create_record(get_table("task_ci"), ROOT, {"task": desk.change, "ci_item": item})["sys_id"])
        db.session.commit()
    text = desk.tom.open(f"{desk.url}?tab=items").text
    assert f'<a href="/records/cmdb_ci/{item}">core-switch-01</a>' in text
    assert f'<a href="/records/task_ci/{row}" aria-label="Open Affected CIs: core-switch-01">Open</a>' in text
    text = desk.tom.open(f"{desk.url}?tab=approvals").text
    related = text[text.index('id="related-sysapproval_approver"') :]
    assert f'<a href="/records/sys_user/{mia}">' in related
    assert f'<a href="{approval_of(desk, "mia")}" aria-label="Open Approvals: ' in related
    assert '<span class="pill pill-warn">Requested</span>' in related
    assert "Answered" not in related


def user_of(name: str) -> str:
    return str(db.session.execute(select(SysUser.sys_id).filter_by(user_name=name)).scalar_one())


def user_id(desk: Desk, name: str) -> str:
    with desk.app.app_context():
        return user_of(name)


def approval_of(desk: Desk, user_name: str) -> str:
    """Return the path of the latest approval of a user."""
    with desk.app.app_context():
        statement = select(SysapprovalApprover.sys_id).where(SysapprovalApprover.approver == user_of(user_name))
        found = db.session.execute(statement.order_by(SysapprovalApprover.sys_id.desc())).scalars().first()
    return f"/approvals/{found}"


def save(desk: Desk, **fields: str) -> None:
    assert desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", fields).status_code == 302


def send(visitor: Visitor, path: str, state: str, comments: str = "") -> int:
    page = visitor.open(path)
    return visitor.send(page, f"{path}/answer", {"state": state, "comments": comments}).status_code


def test_an_approver_sees_what_is_asked_without_the_change(desk: Desk, asked: Visitor) -> None:
    path = approval_of(desk, NOAH)
    text = asked.open(path).text
    for shown in (
        "Move a router",
        "Normal change, requested by tom",
        "Unplug it.\nPlug it in elsewhere.",
        "2050-03-01 10:00",
        "Two of them",
        "Both",
    ):
        assert shown in text
    assert "2 more approvals are required." in text
    assert re.search(r"<li>mia <span[^>]*>Requested</span>", text)
    assert asked.open(desk.url).status_code == 404
    assert f'href="{desk.url}' not in text
    assert send(asked, path, "approved") == 302
    assert "noah.extern approved it" in asked.open(path).text


def test_who_is_not_asked_and_reads_no_changes_sees_no_approval(desk: Desk, asked: Visitor, sign_in: SignIn) -> None:
    path = approval_of(desk, NOAH)
    eve = sign_in("eve")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', eve.open("/").text)[0]
    assert eve.open(path).status_code == 404
    sent = {"csrf_token": token, "version": "0-20500101000000", "state": "approved"}
    assert eve.client.post(f"{path}/answer", data=sent).status_code == 404


def test_who_reads_the_change_but_is_not_asked_cannot_answer(desk: Desk, asked: Visitor) -> None:
    path = approval_of(desk, "mia")
    page = desk.tom.open(path)
    assert "You cannot answer this approval: it is requested from another user." in page.text
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    version = re.findall(r'name="version" value="([^"]+)"', desk.mia.open(path).text)[0]
    sent = {"csrf_token": token, "version": version, "state": "approved"}
    assert desk.tom.client.post(f"{path}/answer", data=sent).status_code == 403
    assert desk.field("approval") == "requested"


def test_an_answer_to_what_was_edited_since_shows_the_difference(desk: Desk, asked: Visitor) -> None:
    path = approval_of(desk, NOAH)
    page = asked.open(path)
    save(desk, implementation_plan="Another way")
    refused = asked.send(page, f"{path}/answer", {"state": "approved", "comments": "Fine"})
    assert refused.status_code == 409
    assert "Implementation plan changed from" in refused.text
    assert "Fine</textarea>" in refused.text
    assert send(asked, path, "approved") == 302


def test_an_earlier_answer_is_shown_with_what_has_changed_since(desk: Desk, asked: Visitor) -> None:
    send(asked, approval_of(desk, NOAH), "approved", "Good plan")
    save(desk, implementation_plan="Another way")
    text = asked.open(approval_of(desk, NOAH)).text
    earlier = text[text.index("Earlier answers") :]
    assert "Good plan" in earlier
    assert "No longer counts" in earlier
    assert "Implementation plan changed from" in earlier
    # Mia is told as well, in the list that she answers from.
    assert "Implementation plan changed from" in desk.mia.open("/my-approvals").text


def test_a_rejection_needs_comments(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    assert answer(desk.mia, desk, "rejected") == 403
    assert answer(desk.mia, desk, "rejected", "Too early") == 302
    assert desk.field("state") == -5


def test_there_is_no_other_answer(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    assert answer(desk.mia, desk, "cancelled") == 400
    assert desk.field("approval") == "requested"


def test_only_the_person_asked_gets_the_form_on_the_page_of_the_change(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    assert forms_to_answer(desk.tom.open(desk.url).text) == []
    assert len(forms_to_answer(desk.mia.open(desk.url).text)) == 1


def test_an_administrator_may_answer_for_another_user(desk: Desk, admin: Visitor) -> None:
    move(desk.tom, desk, -4)
    path = approval_of(desk, "mia")
    assert "You answer in their place." in admin.open(path).text
    assert send(admin, path, "approved") == 302


def test_conflicts_and_freezes_are_shown(desk: Desk, asked: Visitor) -> None:
    days = [f"{utc_now() + timedelta(days=days):%Y-%m-%d %H:%M:%S}" for days in range(1, 5)]
    with desk.app.app_context():
        item = create_record(get_table("cmdb_ci"), ROOT, {"name": "Router 7"})["sys_id"]
        window = {"start_date": days[1], "end_date": days[2], "cmdb_ci": item}
        create_record(get_table("change_request"), ROOT, {"short_description": "Elsewhere", **window})
        frozen = {"name": "Year end", "time_zone": "Etc/UTC"}
        freeze = create_record(get_table("cmn_schedule_blackout"), ROOT, frozen)["sys_id"]
        span = {"schedule": freeze, "start_date_time": days[0], "end_date_time": days[3]}
        create_record(get_table("cmn_schedule_span"), ROOT, span)
        update_record(get_table("change_request"), ROOT, desk.change, window)
        db.session.commit()
    text = asked.open(approval_of(desk, NOAH)).text
    assert "1 conflict with changes that are planned at the same time." in text
    assert "The hard freeze Year end covers the planned window" in text
    assert "Elsewhere" not in text


def test_an_approval_that_was_added_by_hand_is_answered_by_its_approver(desk: Desk, sign_in: SignIn) -> None:
    rita = sign_in("rita")
    with desk.app.app_context():
        asked = {"sysapproval": desk.change, "approver": user_of("rita"), "state": "requested"}
        create_record(get_table("sysapproval_approver"), ROOT, asked)
        db.session.commit()
    save(desk, implementation_plan="Unplug it.", start_date="2050-03-01 10:00:00")
    path = approval_of(desk, "rita")
    text = desk.tom.open(path).text
    assert "it is requested from another user" in text
    for fact in ('<h2 id="covered">What is asked</h2>', "Unplug it.", "2050-03-01 10:00", "<dt>Requested by</dt>"):
        assert fact in text
    # Rita, who may not read the change, sees the fields of her approval.
    text = rita.open(path).text
    assert '<dt>Approver</dt><dd dir="auto">rita</dd>' in text
    assert "Unplug it." not in text
    assert send(rita, path, "approved") == 302
    assert "rita approved" not in rita.open(path).text
    assert "Approved</span>" in rita.open(path).text
    assert desk.field("approval") == "not requested"


def test_an_approval_outlives_its_change(desk: Desk, asked: Visitor) -> None:
    path = approval_of(desk, NOAH)
    with desk.app.app_context():
        delete_record(get_table("change_request"), ROOT, desk.change)
        db.session.commit()
    assert "its change does not exist any more" in asked.open(path).text


def test_my_approvals_are_a_list_with_what_is_planned(desk: Desk, asked: Visitor) -> None:
    text = asked.open("/my-approvals").text
    for head, value in (
        ("Risk", "Low"),
        ("Planned start date", '<time datetime="2050-03-01T10:00:00Z">2050-03-01 10:00</time>'),
        ("Requested by", f'<a href="/records/sys_user/{user_id(desk, "tom")}">tom</a>'),
    ):
        assert re.search(rf'data-label="{head}"[^>]*>(<a [^>]*>)?{re.escape(value)}<', text), head
    assert re.search(r'data-label="Waiting">[\d.]+ (second|minute)s?<', text)
    # A second one is requested later, and listed first.
    group = str(desk.field("assignment_group"))
    with desk.app.app_context():
        fields = {"short_description": "Move a switch", "risk": "2", "requested_by": user_of("tom")}
        fields["assignment_group"] = group
        second = create_record(get_table("change_request"), ROOT, fields)["sys_id"]
        update_record(get_table("change_request"), ROOT, str(second), {"state": "-4"})
        oldest = select(SysapprovalApprover).filter_by(sysapproval=desk.change)
        for row in db.session.execute(oldest).scalars():
            row.sys_created_on -= timedelta(days=3)
        db.session.commit()
    listed = asked.open("/my-approvals").text
    assert listed.index("Move a switch") < listed.index("Move a router")
    assert ">3.0 days<" in listed
    for query, shown, left_out in (
        ("sysparm_query=risk=2", "switch", "router"),
        ("search=router", "router", "switch"),
        ("sysparm_query=ORDERBYrisk", "switch", "nothing else"),
    ):
        text = asked.open(f"/my-approvals?{query}").text
        assert f"Move a {shown}" in text
        assert f"Move a {left_out}" not in text
    page = asked.open("/my-approvals?sysparm_query=risk=2")
    [value] = re.findall(r'name="approval" value="([^"]+)"', page.text)
    done = asked.send(page, "selection", {"approval": value, "state": "approved"})
    assert ": approved" in done.text
    assert "Nothing matches" in done.text


def test_my_approvals_are_answered_together_each_with_a_result(desk: Desk) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open("/my-approvals")
    [value] = re.findall(r'name="approval" value="([^"]+)"', page.text)
    save(desk, implementation_plan="Another way")
    stale = desk.mia.send(page, "selection", {"approval": value, "state": "approved"})
    assert "it has changed since the list was shown" in stale.text
    [value] = re.findall(r'name="approval" value="([^"]+)"', stale.text)
    done = desk.mia.send(stale, "selection", {"approval": value, "state": "approved"})
    assert ": approved" in done.text
    assert desk.field("state") in {-3, -2}


@pytest.mark.parametrize("state", ["", "requested", "cancelled"])
def test_my_approvals_take_no_other_answer(desk: Desk, state: str) -> None:
    move(desk.tom, desk, -4)
    page = desk.mia.open("/my-approvals")
    [value] = re.findall(r'name="approval" value="([^"]+)"', page.text)
    assert desk.mia.send(page, "selection", {"approval": value, "state": state}).status_code == 400
    assert desk.mia.send(page, "selection", {"approval": [], "state": "approved"}).status_code == 400


def test_my_approvals_say_what_another_user_sends_is_gone(desk: Desk, sign_in: SignIn) -> None:
    move(desk.tom, desk, -4)
    [value] = re.findall(r'name="approval" value="([^"]+)"', desk.mia.open("/my-approvals").text)
    eve = sign_in("eve")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', eve.open("/my-approvals").text)[0]
    sent = {"csrf_token": token, "approval": value, "state": "approved"}
    assert "it is no longer requested" in eve.client.post("/my-approvals", data=sent).text
    assert desk.field("approval") == "requested"
