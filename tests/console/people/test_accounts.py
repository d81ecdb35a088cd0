"""What administrators do with accounts, what nobody else does, and that one administrator remains."""

import re
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import SysGroupHasRole, SysUser, SysUserGroup, SysUserHasRole, SysUserRole
from tests.console.conftest import PASSWORD, SignIn
from tests.console.people.conftest import add_user, can_sign_in, page_of, sys_id_of, user_of
from tests.console.visitor import Visitor, forms_of
from tests.guards.audiences import list_endpoints

AREAS = {"people", "invitations", "assignments"}
REFUSED = "without an active administrator who can sign in with a password"


@pytest.fixture
def tom(app: Flask) -> str:
    return add_user(app, "tom", "itil")


def press(admin: Visitor, sys_id: str, step: str) -> str:
    """Press a button of an account, and return the text of its page."""
    assert admin.send(admin.open(page_of("sys_user", sys_id)), step, {"step": step}).status_code == 302
    return admin.open(page_of("sys_user", sys_id)).text


def test_a_deactivated_user_is_out_at_once_until_activated(app: Flask, admin: Visitor, tom: str) -> None:
    session = Visitor(app.test_client())
    session.sign_in("tom", PASSWORD)
    page = press(admin, tom, "deactivate")
    assert "tom is deactivated." in page
    assert '<span class="pill pill-off">Inactive</span>' in page
    assert session.open("/").status_code == 302
    assert not can_sign_in(app, "tom", PASSWORD)
    assert "tom is active." in press(admin, tom, "activate")
    assert can_sign_in(app, "tom", PASSWORD)
    assert session.open("/").status_code == 302


def test_a_locked_user_is_out_at_once_until_unlocked(app: Flask, admin: Visitor, tom: str) -> None:
    assert "tom is locked out." in press(admin, tom, "lock")
    assert not can_sign_in(app, "tom", PASSWORD)
    assert "tom is unlocked." in press(admin, tom, "unlock")
    assert can_sign_in(app, "tom", PASSWORD)


def acts_on(admin: Visitor, user: str) -> list[tuple[str, ...]]:
    """Return user, field, and values of each row of a user's history."""
    row = r'"User"><a [^>]*>(.*?)</a></td>\s*<th scope="row">(.*?)</th><td.*?>(.*?)</td><td.*?>(.*?)</td>'
    return re.findall(row, admin.open(f"{page_of('sys_user', user)}?tab=history").text)


def test_the_audit_trail_names_the_administrator_who_had_a_password_link_made(admin: Visitor, tom: str) -> None:
    admin.send(admin.open(page_of("sys_user", tom)), "link")
    [(by, field, _, shown)] = acts_on(admin, tom)
    assert (by, field, shown) == ("System Administrator", "Password link", "Shown")


def test_an_administrator_ends_every_session_of_a_user(app: Flask, admin: Visitor, tom: str) -> None:
    sessions = [Visitor(app.test_client()) for _ in range(2)]
    for session in sessions:
        session.sign_in("tom", PASSWORD)
    page = admin.open(page_of("sys_user", tom))
    assert "<dt>Sessions</dt><dd>2</dd>" in page.text
    admin.send(page, "sign-out")
    assert [session.open("/").status_code for session in (*sessions, admin)] == [302, 302, 200]
    assert acts_on(admin, tom) == [("System Administrator", "Sessions", "2", "0")]


def test_the_page_and_the_list_show_the_last_login(app: Flask, admin: Visitor, tom: str) -> None:
    assert "<dt>Last login</dt><dd>Never</dd>" in admin.open(page_of("sys_user", tom)).text
    before = user_of(app, "tom").sys_mod_count
    assert can_sign_in(app, "tom", PASSWORD)
    user = user_of(app, "tom")
    assert user.last_login_time is not None
    # It is no edit, so that no open form of the account becomes stale.
    assert user.sys_mod_count == before
    at = f"{user.last_login_time:%Y-%m-%d %H:%M}"
    assert f">{at}:" in admin.open(page_of("sys_user", tom)).text
    assert f">{at}</time>" in admin.open("/records/sys_user?sysparm_query=user_name=tom").text


def test_a_stale_page_does_nothing(app: Flask, admin: Visitor, tom: str) -> None:
    page = admin.open(page_of("sys_user", tom))
    admin.send(page, "record", {"title": "Engineer"})
    admin.send(page, "deactivate", {"step": "deactivate"})
    assert "Nothing was done: the user has been changed" in admin.open(page_of("sys_user", tom)).text
    assert user_of(app, "tom").active


def test_an_unknown_step_or_user_is_not_found(admin: Visitor, tom: str) -> None:
    page = admin.open(page_of("sys_user", tom))
    token = forms_of(page).forms["lock"]["csrf_token"]
    for path, step in ((f"/people/{tom}/step", "promote"), (f"/people/{'0' * 32}/step", "lock")):
        assert admin.client.post(path, data={"csrf_token": token, "step": step}).status_code == 404


@pytest.mark.parametrize(
    "roles", [(), ("itil",), ("change_manager",), ("oauth_admin",), ("mi_admin",), ("approver_user",)]
)
def test_only_administrators_administer_accounts(
    app: Flask, sign_in: SignIn, admin: Visitor, tom: str, roles: tuple[str, ...]
) -> None:
    nora = sign_in("nora", *roles)
    app.config["WTF_CSRF_ENABLED"] = False
    role = _assignment_of_admin(app)
    answers: dict[str, Any] = {}
    for endpoint in list_endpoints(app):
        if endpoint.blueprint in AREAS:
            path = (
                endpoint.name.split()[1]
                .replace("<table_name>", "sys_user")
                .replace("<sys_id>", sys_id_of(app, "nora"))
                .replace("<assigned>", "sys_user_has_role")
                .replace("<assignment_id>", role)
            )
            sent = {"name": "admin", "step": "lock", "user_name": "eve", "role": "admin", "version": "1"}
            answers[endpoint.name] = nora.client.open(path, method=endpoint.method, data=sent).status_code
    assert len(answers) > 7
    assert {name: status for name, status in answers.items() if status != 403} == {}
    with app.app_context():
        assert db.session.get(SysUserHasRole, role) is not None
        assert db.session.query(SysUser).filter_by(user_name="eve").first() is None
    page = nora.open(page_of("sys_user", tom)).text
    assert "Deactivate" not in page
    assert "Add a role" not in page


def _assignment_of_admin(app: Flask) -> str:
    with app.app_context():
        role = db.session.query(SysUserRole).filter_by(name="admin").one()
        return str(db.session.query(SysUserHasRole).filter_by(role=role.sys_id).one().sys_id)


def test_the_last_administrator_remains_whatever_is_pressed(app: Flask, admin: Visitor) -> None:
    root = sys_id_of(app, "admin")
    for step in ("deactivate", "lock"):
        assert REFUSED in press(admin, root, step)
    page = admin.open(page_of("sys_user", root))
    for changes in (
        {"active": None},
        {"locked_out": "true"},
        {"web_service_access_only": "true"},
        {"user_password": ""},
    ):
        answer = admin.send(page, "record", changes)
        assert (answer.status_code, REFUSED in answer.text) == (403, True), answer.text
    [remove] = [name for name in forms_of(page).forms if "sys_user_has_role" in name and name.endswith("/remove")]
    admin.send(page, remove)
    assert REFUSED in admin.open(page_of("sys_user", root)).text
    assert can_sign_in(app, "admin", PASSWORD)


def test_the_last_administrator_by_a_group_remains_its_member(app: Flask, admin: Visitor) -> None:
    root = sys_id_of(app, "admin")
    group = page_of("sys_user_group", _add_group(app, admin))
    admin.send(admin.open(group), "assign-sys_group_has_role", {"role": "admin"})
    admin.send(admin.open(group), "assign-sys_user_grmember", {"user": "admin"})
    page = admin.open(page_of("sys_user", root))
    assert "by the group Admins" not in page.text
    [remove] = [name for name in forms_of(page).forms if "sys_user_has_role" in name and name.endswith("/remove")]
    admin.send(page, remove)
    assert "(by the group Admins)" in admin.open(page_of("sys_user", root)).text
    for kind in ("sys_user_grmember", "sys_group_has_role"):
        page = admin.open(group)
        [remove] = [name for name in forms_of(page).forms if kind in name and name.endswith("/remove")]
        admin.send(page, remove)
        assert REFUSED in admin.open(group).text
    admin.send(admin.open(group), f"{group}/delete")
    assert REFUSED in admin.open(group).text
    with app.app_context():
        assert db.session.query(SysGroupHasRole).count() == 1


def _add_group(app: Flask, admin: Visitor) -> str:
    admin.send(admin.open("/records/sys_user_group/new"), "record", {"name": "Admins"})
    with app.app_context():
        return str(db.session.query(SysUserGroup).filter_by(name="Admins").one().sys_id)
