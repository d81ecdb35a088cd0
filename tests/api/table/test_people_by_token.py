"""A token cannot create a user who can manage integrations: it sets no password or role, and unlocks no user."""

import json
from base64 import b64encode
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysUser, SysUserHasRole, SysUserRole
from changegate.services.users.accounts import set_password
from tests.conftest import basic
from tests.support.id_token_desk import register_id_token
from tests.support.token_desk import ROBOT, TokenDesk

USERS, ROLES = "/api/now/table/sys_user", "/api/now/table/sys_user_role"
HAS_ROLE = "/api/now/table/sys_user_has_role"
OVERVIEW = "/api/now/oauth/overview"
KNOWN = "known to the thief"
VERSIONS = ("/api/now", "/api/now/v1", "/api/now/v2")
XML = "application/xml"


ALL_OF_ADMIN: dict[str, Any] = {"scopes": ["useraccount"], "run_as": "admin"}


@pytest.fixture
def token(desk: TokenDesk) -> str:
    """Steal a token that acts as an administrator and has all their permissions."""
    return desk.token(desk.register(**ALL_OF_ADMIN))


def sys_id_of(desk: TokenDesk, model: Any, name: str, field: str = "user_name") -> str:
    """Return the sys_id of a user or role."""
    with desk.app.app_context():
        found: str = db.session.execute(select(model.sys_id).filter_by(**{field: name})).scalar_one()
        return found


def assignment_of(desk: TokenDesk, user: str) -> str:
    """Return the sys_id of the one assignment of a role to a user."""
    with desk.app.app_context():
        found = select(SysUserHasRole.sys_id).where(SysUserHasRole.user == user)
        assignment: str = db.session.execute(found).scalar_one()
        return assignment


def password_of(desk: TokenDesk, user_name: str) -> str | None:
    """Return what is stored of a user's password."""
    with desk.app.app_context():
        return db.session.execute(select(SysUser.user_password).filter_by(user_name=user_name)).scalar_one_or_none()


def person(desk: TokenDesk, user_name: str, *roles: str, **columns: Any) -> str:
    """Add a user whose password the thief knows; answers the sys_id."""
    sys_id = desk.add_user(user_name, *roles, **columns)
    with desk.app.app_context():
        user = db.session.get(SysUser, sys_id)
        assert user is not None
        set_password(user, KNOWN)
        db.session.commit()
    return sys_id


def manages_integrations(desk: TokenDesk, user_name: str, password: str = KNOWN) -> bool:
    """Return whether a name and password open the admin API."""
    with desk.app.app_context():
        return desk.client.get(OVERVIEW, headers=basic(user_name, password)).status_code == 200


def assert_refused(answer: TestResponse, says: str) -> None:
    assert answer.status_code == 403, answer.text
    error = answer.get_json()["error"]
    assert error["message"] == "Operation Failed" and says in error["detail"]


def test_no_kind_of_token_sets_a_password(desk: TokenDesk) -> None:
    register_id_token(desk, **ALL_OF_ADMIN)
    issued = [desk.token(desk.register(name, **ALL_OF_ADMIN, token_format=name)) for name in ("opaque", "jwt")]
    admin = f"{USERS}/{sys_id_of(desk, SysUser, 'admin')}"
    for token in (*issued, desk.assertion()):
        assert_refused(desk.call(token, "PATCH", admin, json={"user_password": KNOWN}), "password")
    assert not manages_integrations(desk, "admin")


@pytest.mark.parametrize("prefix", VERSIONS)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_token_sets_no_password(desk: TokenDesk, token: str, prefix: str, method: str) -> None:
    admin = f"{prefix}/table/sys_user/{sys_id_of(desk, SysUser, 'admin')}"
    assert_refused(desk.call(token, method, admin, json={"title": "x", "User_Password": KNOWN}), "password")
    assert not manages_integrations(desk, "admin")


def test_a_token_takes_no_password_away(desk: TokenDesk, token: str) -> None:
    before = password_of(desk, "admin")
    admin = f"{USERS}/{sys_id_of(desk, SysUser, 'admin')}"
    assert_refused(desk.call(token, "PATCH", admin, json={"user_password": ""}), "password")
    assert password_of(desk, "admin") == before is not None


@pytest.mark.parametrize("prefix", VERSIONS)
def test_a_token_cannot_create_a_user_with_a_password(desk: TokenDesk, token: str, prefix: str) -> None:
    path = f"{prefix}/table/sys_user"
    wanted = {"user_name": "eve", "user_password": KNOWN}
    assert_refused(desk.call(token, "POST", path, json=wanted), "password")
    assert_refused(desk.call(token, "POST", f"{path}?sysparm_input_display_value=true", json=wanted), "password")
    assert_refused(desk.call(token, "POST", path, json={"user_name": "eve"}), "identities")
    assert password_of(desk, "eve") is None


def test_neither_in_xml_nor_by_another_method_s_name_nor_by_a_key(desk: TokenDesk, token: str) -> None:
    wanted = {"user_name": "eve", "user_password": KNOWN}
    record = ElementTree.Element("sys_user")
    for name, text in wanted.items():
        ElementTree.SubElement(record, name).text = text
    bearer = {"Authorization": f"Bearer {token}"}
    admin = f"{USERS}/{sys_id_of(desk, SysUser, 'admin')}"
    tries: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        (USERS, {"data": ElementTree.tostring(record), "content_type": XML}, {}),
        (USERS, {"json": wanted}, {"Idempotency-Key": "one"}),
        (admin, {"json": {"user_password": KNOWN}}, {"X-HTTP-Method-Override": "PATCH"}),
    ]
    for path, sent, more in tries:
        answer = desk.client.post(path, headers=bearer | more, **sent)
        assert answer.status_code == 403, (path, answer.text)
    assert password_of(desk, "eve") is None and not manages_integrations(desk, "admin")


def test_not_in_a_batch_either(desk: TokenDesk, token: str) -> None:
    body = b64encode(json.dumps({"user_name": "eve", "user_password": KNOWN}).encode()).decode()
    request = {
        "id": "1",
        "method": "POST",
        "url": USERS,
        "headers": [{"name": "Content-Type", "value": "application/json"}],
    }
    batch = {"batch_request_id": "b", "rest_requests": [request | {"body": body}]}
    served = desk.call(token, "POST", "/api/now/v1/batch", json=batch).get_json()["serviced_requests"]
    assert [one["status_code"] for one in served] == [403]
    assert password_of(desk, "eve") is None


def test_a_record_that_is_written_back_keeps_the_password(desk: TokenDesk, token: str) -> None:
    before = password_of(desk, "admin")
    admin = f"{USERS}/{sys_id_of(desk, SysUser, 'admin')}"
    answer = desk.call(token, "PATCH", admin, json={"user_password": "********", "title": "x", "active": "true"})
    assert (answer.status_code, answer.get_json()["result"]["title"]) == (200, "x")
    assert password_of(desk, "admin") == before


def test_a_token_gives_no_role(desk: TokenDesk, token: str) -> None:
    person(desk, "thief")
    role = sys_id_of(desk, SysUserRole, "oauth_admin", "name")
    for user in ("thief", ROBOT):
        wanted = {"user": sys_id_of(desk, SysUser, user), "role": role}
        assert_refused(desk.call(token, "POST", HAS_ROLE, json=wanted), "roles")
    assert not manages_integrations(desk, "thief")


def test_a_token_passes_no_role_on(desk: TokenDesk, token: str) -> None:
    thief = person(desk, "thief", "itil")
    admins = f"{HAS_ROLE}/{assignment_of(desk, sys_id_of(desk, SysUser, 'admin'))}"
    own = f"{HAS_ROLE}/{assignment_of(desk, thief)}"
    assert_refused(desk.call(token, "PATCH", admins, json={"user": thief}), "roles")
    admin_role = sys_id_of(desk, SysUserRole, "admin", "name")
    assert_refused(desk.call(token, "PATCH", own, json={"role": admin_role}), "roles")
    assert not manages_integrations(desk, "thief")


def test_a_token_takes_no_role_away(desk: TokenDesk, token: str) -> None:
    admin = sys_id_of(desk, SysUser, "admin")
    assert_refused(desk.call(token, "DELETE", f"{HAS_ROLE}/{assignment_of(desk, admin)}"), "roles")
    assert_refused(desk.call(token, "DELETE", f"{USERS}/{admin}"), "roles")
    assert assignment_of(desk, admin)


def test_a_token_renames_no_role_into_another(desk: TokenDesk, token: str) -> None:
    person(desk, "thief", "itil")
    for held, name in (("oauth_admin", "former"), ("itil", "oauth_admin")):
        role = sys_id_of(desk, SysUserRole, held, "name")
        assert_refused(desk.call(token, "PATCH", f"{ROLES}/{role}", json={"name": name}), "roles")
    assert_refused(desk.call(token, "POST", ROLES, json={"name": "new"}), "roles")
    assert_refused(desk.call(token, "DELETE", f"{ROLES}/{sys_id_of(desk, SysUserRole, 'itil', 'name')}"), "roles")
    assert not manages_integrations(desk, "thief")


@pytest.mark.parametrize(
    ("kept", "back"), [({"active": False}, {"active": "true"}), ({"locked_out": True}, {"locked_out": "false"})]
)
def test_a_token_cannot_activate_or_unlock_a_user(
    desk: TokenDesk, token: str, kept: dict[str, bool], back: dict[str, str]
) -> None:
    former = person(desk, "former", "admin", **kept)
    assert_refused(desk.call(token, "PATCH", f"{USERS}/{former}", json=back), "cannot activate or unlock a user")
    assert not manages_integrations(desk, "former")


@pytest.mark.parametrize("change", [{"active": "false"}, {"locked_out": "true"}, {"title": "Engineer"}])
def test_a_token_may_still_keep_people_s_records_and_put_them_out(
    desk: TokenDesk, token: str, change: dict[str, str]
) -> None:
    leaver = person(desk, "leaver", "itil")
    assert desk.call(token, "PATCH", f"{USERS}/{leaver}", json=change).status_code == 200


@pytest.mark.parametrize("table", ["oauth_entity", "sys_auth_scope", "jwt_verifier_map", "sys_certificate"])
def test_tables_of_integrations_cannot_be_written(desk: TokenDesk, token: str, table: str) -> None:
    path = f"/api/now/table/{table}"
    assert desk.call(token, "POST", path, json={"name": "x"}).status_code == 403


def test_administrators_do_all_of_it_with_their_password(
    desk: TokenDesk, client: FlaskClient, admin: dict[str, str]
) -> None:
    made = client.post(USERS, json={"user_name": "ann", "user_password": KNOWN}, headers=admin)
    ann = made.get_json()["result"]["sys_id"]
    role = sys_id_of(desk, SysUserRole, "oauth_admin", "name")
    given = client.post(HAS_ROLE, json={"user": ann, "role": role}, headers=admin)
    assert (made.status_code, given.status_code) == (201, 201)
    assert manages_integrations(desk, "ann")
    for active in ("false", "true"):
        client.patch(f"{USERS}/{ann}", json={"active": active}, headers=admin)
        assert manages_integrations(desk, "ann") is (active == "true")
