"""My work and My groups: what waits for a user, and the dynamic filter of their groups."""

import html
import re

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import SysapprovalApprover, SysUser, SysUserGroup, SysUserGroupMember
from changegate.services.tables.queries.operators import MY_GROUPS
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.conftest import MakeChange, SignIn
from tests.console.visitor import Visitor

TABLE = "/api/now/table/task"


@pytest.fixture
def tom(app: Flask, sign_in: SignIn, make_change: MakeChange) -> Visitor:
    """An engineer in the group Network, among changes of each kind."""
    visitor = sign_in("tom", "itil")
    with app.app_context():
        group = SysUserGroup(name="Network")
        db.session.add_all([group, SysUserGroup(name="Storage")])
        db.session.flush()
        tom = db.session.query(SysUser).filter_by(user_name="tom").one().sys_id
        db.session.add(SysUserGroupMember(user=tom, group=group.sys_id))
        db.session.commit()
    make_change(short_description="mine", assigned_to="tom", assignment_group="Network")
    make_change(short_description="of the group", assignment_group="Network")
    make_change(short_description="of others", assignment_group="Storage")
    make_change(short_description="requested", requested_by="tom")
    make_change(short_description="watched", watch_list=tom)
    approved = make_change(short_description="to approve")
    with app.app_context():
        row = {"source_table": "change_request", "document_id": approved, "sysapproval": approved}
        db.session.add(SysapprovalApprover(approver=tom, state="requested", asked_by_policy=True, **row))
        # Informational: no policy waits for it.
        db.session.add(SysapprovalApprover(approver=tom, state="requested", **row))
        db.session.commit()
    return visitor


def sections_in(text: str) -> dict[str, list[str]]:
    """Return the cells of the rows of each section, as one text."""
    parts = re.findall(r'<section class="panel table-panel".*?</section>', text, re.DOTALL)
    return {
        re.findall(r"<h2[^>]*>([^<]+) <span", part)[0]: [
            " ".join(re.sub(r"<[^>]+>", " ", row).split())
            for row in re.findall(r"<tr>(?!<th)(.*?)</tr>", part, re.DOTALL)
        ]
        for part in parts
    }


def test_each_part_has_what_concerns_the_user(tom: Visitor) -> None:
    found = sections_in(html.unescape(tom.open("/my-work").text))
    shown = {title: [row.partition(" ")[2].partition(" New")[0] for row in rows] for title, rows in found.items()}
    assert list(shown) == [
        "Waiting for my approval",
        "Assigned to me",
        "My groups, not assigned to a person",
        "Requested by me",
        "Watched",
    ]
    assert shown["Assigned to me"] == ["mine"]
    assert shown["My groups, not assigned to a person"] == ["of the group"]
    assert shown["Requested by me"] == ["requested"]
    assert shown["Watched"] == ["watched"]
    assert [row[:3] for row in found["Waiting for my approval"]] == ["CHG"]
    assert 'aria-label="1 waiting"' in tom.open("/").text


def test_each_part_leads_to_its_list(tom: Visitor) -> None:
    text = html.unescape(tom.open("/my-work").text)
    urls = re.findall(r'<a href="([^"]+)">Open as a list', text)
    assert len(urls) == 5
    for url in urls:
        page = tom.open(url)
        assert (page.status_code, page.text.count('class="row-link"')) == (200, 1), url


def test_a_user_without_work_is_told_so(sign_in: SignIn) -> None:
    page = sign_in("nora").open("/my-work")
    assert page.status_code == 200
    assert page.text.count('class="muted panel-text"') == 5


def test_the_list_of_my_groups_is_in_the_navigator_and_in_words(tom: Visitor) -> None:
    text = html.unescape(tom.open("/").text)
    [url] = re.findall(r'<a href="([^"]+)"[^>]*><svg[^>]*>.*?</svg>My groups', text)
    page = html.unescape(tom.open(url).text)
    assert "Assignment group is one of my groups" in page
    assert "mine" in page and "of the group" in page and "of others" not in page
    # The condition builder has it as an operator, and gives the same query back.
    [filtered] = re.findall(r'action="(/records/task/filter[^"]*)"', page)
    answer = tom.send(tom.open(url), filtered)
    assert f"DYNAMIC{MY_GROUPS}" in answer.location


def test_the_filter_of_my_groups_over_the_api(app: Flask, tom: Visitor) -> None:
    client, query = app.test_client(), f"assignment_groupDYNAMIC{MY_GROUPS}"
    for user, expected in (("tom", 2), ("admin", 0)):
        answer = client.get(TABLE, query_string={"sysparm_query": query}, headers=basic(user, ADMIN_PASSWORD))
        assert len(answer.json["result"]) == expected, user
    # Also where the statement reads the table of members itself, and through other references.
    members = {"sysparm_query": f"groupDYNAMIC{MY_GROUPS}"}
    answer = client.get("/api/now/table/sys_user_grmember", query_string=members, headers=basic("tom", ADMIN_PASSWORD))
    assert len(answer.json["result"]) == 1
    walked = {"sysparm_query": f"change_request.assignment_groupDYNAMIC{MY_GROUPS}"}
    answer = client.get("/api/now/table/change_task", query_string=walked, headers=basic("tom", ADMIN_PASSWORD))
    assert answer.status_code == 200
    # A reference to another table has no groups: the term is ignored as any invalid one.
    ignored = {"sysparm_query": f"assigned_toDYNAMIC{MY_GROUPS}"}
    answer = client.get(TABLE, query_string=ignored, headers=basic("tom", ADMIN_PASSWORD))
    assert len(answer.json["result"]) == 6
