"""Members of groups and holders of roles: added by a name that may need a choice, and removed."""

import pytest
from flask import Flask

from changegate.cli.instance import working_on
from changegate.extensions import db
from changegate.models import SysUser, SysUserGroup, SysUserGroupMember
from tests.console.conftest import SignIn
from tests.console.people.conftest import add_user, page_of
from tests.console.visitor import Visitor, forms_of

ADD = "assign-sys_user_grmember"


@pytest.fixture
def group(app: Flask) -> str:
    """Return the path of a group, beside two users with one name."""
    for user_name in ("jo.one", "jo.two", "kim"):
        add_user(app, user_name)
    with working_on(app):
        for user in db.session.query(SysUser).filter(SysUser.user_name.like("jo.%")):
            user.name = "Jo Lee"
        made = SysUserGroup(name="Network")
        db.session.add(made)
        db.session.commit()
        return page_of("sys_user_group", made.sys_id)


def members(app: Flask) -> list[str]:
    with app.app_context():
        of_user = SysUserGroupMember.user == SysUser.sys_id
        rows = db.session.query(SysUser.user_name).join(SysUserGroupMember, of_user).order_by(SysUser.user_name)
        return [name for (name,) in rows]


def add(visitor: Visitor, path: str, name: str) -> str:
    """Add a member by name, and return the text of the page that follows."""
    answer = visitor.send(visitor.open(path), ADD, {"user": name})
    assert answer.status_code == 302
    return visitor.open(answer.location.partition("#")[0]).text


@pytest.mark.parametrize("name", ["kim", " KIM ", "jo.one"])
def test_a_member_is_added_by_user_id_or_name_and_removed(app: Flask, admin: Visitor, group: str, name: str) -> None:
    page = add(admin, group, name)
    assert members(app) == [name.strip().lower()]
    assert f">{'Jo Lee' if 'jo' in name else 'kim'}</a>" in page
    [remove] = [form for form in forms_of(admin.open(group)).forms if form.endswith("/remove")]
    admin.send(admin.open(group), remove)
    assert members(app) == []


def test_a_name_of_several_offers_a_choice_without_scripts(app: Flask, admin: Visitor, group: str) -> None:
    answer = admin.send(admin.open(group), ADD, {"user": "Jo Lee"})
    page = admin.open(answer.location.partition("#")[0])
    assert "Several users are called “Jo Lee”. Choose one." in page.text
    assert all(name in page.text for name in ("jo.one", "jo.two"))
    assert members(app) == []
    admin.send(page, ADD, {"user-choice": "jo.two"})
    assert members(app) == ["jo.two"]


def test_a_part_of_a_name_offers_a_choice_too(admin: Visitor, group: str) -> None:
    assert 'type="radio"' in add(admin, group, "Jo")


def test_a_name_of_nobody_is_shown_again(app: Flask, admin: Visitor, group: str) -> None:
    page = add(admin, group, "Zoë <b>")
    assert "There is no user “Zoë &lt;b&gt;”." in page
    assert 'value="Zoë &lt;b&gt;"' in page
    assert members(app) == []


def test_the_same_member_is_not_added_twice(app: Flask, admin: Visitor, group: str) -> None:
    add(admin, group, "kim")
    assert "This is assigned already." in add(admin, group, "kim")
    assert members(app) == ["kim"]


def test_readers_see_members_and_add_none(sign_in: SignIn, admin: Visitor, group: str) -> None:
    add(admin, group, "kim")
    page = sign_in("nora").open(group).text
    assert ">kim</a>" in page
    assert "Add a user" not in page
    assert "Remove kim" not in page


def test_other_assignments_are_not_found(admin: Visitor, group: str) -> None:
    token = forms_of(admin.open(group)).forms[ADD]["csrf_token"]
    sys_id = group.rpartition("/")[2]
    for path in (f"/assignments/sys_user_group/{sys_id}/sys_user_has_role", f"/assignments/cmdb_ci/{sys_id}/task_ci"):
        assert admin.client.post(path, data={"csrf_token": token, "user": "kim"}).status_code == 404


def test_a_removal_names_an_assignment_of_the_page(app: Flask, admin: Visitor, group: str) -> None:
    add(admin, group, "kim")
    token = forms_of(admin.open(group)).forms[ADD]["csrf_token"]
    with app.app_context():
        [member] = [row.sys_id for row in db.session.query(SysUserGroupMember)]
    path = f"/assignments/sys_user_group/{'0' * 32}/sys_user_grmember/{member}/remove"
    assert admin.client.post(path, data={"csrf_token": token}).status_code == 404
    assert members(app) == ["kim"]
