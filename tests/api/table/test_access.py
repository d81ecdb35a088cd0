"""Who may do what at the Table API, and what proves who they are."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.models import SysUserHasRole
from changegate.services.users import accounts, verified_passwords
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.visitor import Visitor
from tests.support.people import ADMIN
from tests.support.table_api import CHANGES, USERS, TableApi, error_of, result_of

PASSWORD = "itil itil itil"
MASK = "********"
PRIVATE = {"employee_number", "failed_attempts", "last_login_time", "locked_out", "web_service_access_only"}
AddUser = Callable[..., str]
As = Callable[..., TableApi]


@pytest.fixture
def acting(app: Flask, add_user: AddUser) -> As:
    """Return a function that adds a user with roles and returns a client for their calls."""

    def act(user_name: str, *roles: str, path: str = CHANGES) -> TableApi:
        add_user(user_name, *roles)
        return TableApi(app.test_client(), basic(user_name, PASSWORD), path)

    return act


@pytest.fixture
def root(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin)


@pytest.fixture
def user_table(client: FlaskClient, admin: dict[str, str]) -> TableApi:
    return TableApi(client, admin, USERS)


@pytest.mark.parametrize(
    ("role", "reads", "writes", "deletes"),
    [
        ("itil", True, True, False),
        ("sn_change_write", True, True, False),
        ("sn_change_read", True, False, False),
        ("change_manager", True, True, True),
        ("admin", True, True, True),
        ("oauth_admin", False, False, False),
        ("approver_user", False, False, False),
    ],
)
def test_roles_say_who_works_on_changes(
    root: TableApi, acting: As, role: str, reads: bool, writes: bool, deletes: bool
) -> None:
    sys_id = root.created(short_description="of the administrator")["sys_id"]
    caller = acting("somebody", role)
    assert len(result_of(caller.page())) == reads
    assert caller.get(sys_id).status_code == (200 if reads else 404)
    assert caller.update(sys_id, {"description": "x"}).status_code == (200 if writes else 403)
    assert caller.create({}).status_code == (201 if writes else 403)
    assert caller.delete(sys_id).status_code == (204 if deletes else 403)


def test_says_which_operation_was_refused(root: TableApi, acting: As) -> None:
    sys_id = root.created()["sys_id"]
    plain = acting("plain")
    refusals = {"Insert": plain.create({}), "Update": plain.update(sys_id, {}), "Delete": plain.delete(sys_id)}
    for verb, response in refusals.items():
        assert response.status_code == 403
        assert error_of(response) == (
            "Operation Failed",
            f"ACL Exception {verb} Failed due to security constraints",
        )


def test_a_plain_user_sees_only_what_they_requested_or_opened(root: TableApi, acting: As) -> None:
    plain = acting("plain")
    requested = root.created(requested_by="plain", short_description="requested")
    root.created(opened_by="plain", short_description="opened")
    other = root.created(assigned_to="plain", short_description="assigned")
    response = plain.page(query="ORDERBYnumber", fields="short_description")
    assert [record["short_description"] for record in result_of(response)] == ["requested", "opened"]
    assert response.headers["X-Total-Count"] == "2"
    assert plain.get(requested["sys_id"]).status_code == 200
    assert plain.get(other["sys_id"]).status_code == 404
    assert plain.found("short_description=assigned^NQactive=true^ORDERBYnumber") == ["requested", "opened"]


def test_refuses_a_locked_or_inactive_user_at_once(root: TableApi, user_table: TableApi, acting: As) -> None:
    ann = acting("ann", "itil")
    [record] = result_of(user_table.page(query="user_name=ann"))
    for field, out, back in (("locked_out", True, False), ("active", False, True)):
        assert ann.page().status_code == 200
        user_table.update(record["sys_id"], {field: out})
        assert ann.page().status_code == 401
        user_table.update(record["sys_id"], {field: back})
    assert ann.page().status_code == 200


def test_a_changed_password_takes_effect_at_once(app: Flask, user_table: TableApi, acting: As) -> None:
    ann = acting("ann", "itil")
    [record] = result_of(user_table.page(query="user_name=ann"))
    assert ann.page().status_code == 200
    assert user_table.update(record["sys_id"], {"user_password": "another password"}).status_code == 200
    assert ann.page().status_code == 401
    again = TableApi(app.test_client(), basic("ANN", "another password"))
    assert again.page().status_code == 200
    user_table.update(record["sys_id"], {"user_password": ""})
    assert again.page().status_code == 401


def test_the_mask_of_a_password_does_not_change_it(app: Flask, user_table: TableApi, acting: As) -> None:
    ann = acting("ann", "itil")
    [record] = result_of(user_table.page(query="user_name=ann", display_value="true"))
    assert record["user_password"] == MASK

    written = user_table.update(record["sys_id"], {"user_password": record["user_password"], "title": "Engineer"})

    assert result_of(written)["title"] == "Engineer"
    assert ann.page().status_code == 200
    user_table.created(user_name="eve", user_password=MASK)
    for name in ("ann", "eve"):
        assert TableApi(app.test_client(), basic(name, MASK)).page().status_code == 401


def test_a_second_request_computes_no_password_hash(root: TableApi, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    check = verified_passwords.check_password_hash

    def counted(stored: str, password: str) -> bool:
        checked.append(password)
        return bool(check(stored, password))

    monkeypatch.setattr(verified_passwords, "check_password_hash", counted)
    monkeypatch.setattr(accounts, "_verified_passwords", verified_passwords.VerifiedPasswords())
    for _ in range(3):
        assert root.page().status_code == 200
    assert checked == [ADMIN_PASSWORD]
    for _ in range(2):
        assert TableApi(root.client, basic("admin", "wrong wrong")).page().status_code == 401
    assert checked == [ADMIN_PASSWORD, "wrong wrong", "wrong wrong"]
    assert root.page().status_code == 200
    assert len(checked) == 3


def test_a_role_taken_away_is_gone_at_the_next_request(app: Flask, root: TableApi, acting: As) -> None:
    ann = acting("ann", "itil")
    assert ann.create({}).status_code == 201
    with app.app_context():
        db.session.execute(SysUserHasRole.__table__.delete())
        db.session.commit()
    assert ann.create({}).status_code == 403


def test_a_password_can_be_set_by_administrators_and_never_read(app: Flask, user_table: TableApi) -> None:
    created = user_table.created(user_name="ann", user_password="secret secret", last_name="Lee")
    assert "user_password" not in created
    assert TableApi(app.test_client(), basic("ann", "secret secret")).page().status_code == 200
    assert all("user_password" not in record for record in result_of(user_table.page()))
    for shape in ("true", "all"):
        response = user_table.page(display_value=shape)
        assert "scrypt" not in response.text
        assert all("********" in str(record["user_password"]) for record in result_of(response))
    for query in ("user_passwordISNOTEMPTY", "user_password=x", "user_passwordLIKEscrypt", "user_passwordSTARTSWITHs"):
        assert len(user_table.found(query, "name")) == 2
    with app.app_context():
        stored = accounts.get_user("ann").user_password
    assert stored is not None
    assert stored.startswith("scrypt:")


def test_private_fields_are_for_administrators(user_table: TableApi, acting: As) -> None:
    assert set(result_of(user_table.get(ADMIN))) >= PRIVATE
    plain = acting("plain", path=USERS)
    record = result_of(plain.get(ADMIN))
    assert record["name"] == "System Administrator"
    assert PRIVATE.isdisjoint(record)
    assert result_of(plain.get(ADMIN, fields="locked_out,name")) == {"name": "System Administrator"}


def test_a_query_on_what_the_caller_may_not_read_is_dropped(user_table: TableApi, acting: As) -> None:
    user_table.update(ADMIN, {"employee_number": "4711"})
    plain = acting("plain", path=USERS)
    assert user_table.found("employee_number=4711", "user_name") == ["admin"]
    assert sorted(plain.found("employee_number=4711", "user_name")) == ["admin", "plain"]
    by_number = plain.found("ORDERBYDESCemployee_number^ORDERBYuser_name", "user_name")
    assert by_number == ["admin", "plain"]


@pytest.mark.parametrize("roles", [(), ("itil",), ("change_manager",), ("oauth_admin",)])
def test_only_an_administrator_writes_users(user_table: TableApi, acting: As, roles: tuple[str, ...]) -> None:
    caller = acting("somebody", *roles, path=USERS)
    assert caller.create({"user_name": "ann"}).status_code == 403
    assert caller.update(ADMIN, {"active": False}).status_code == 403
    assert caller.delete(ADMIN).status_code == 403
    assert user_table.found("", "user_name") == ["admin", "somebody"]


def _fail(app: Flask, user_name: str, address: str = "192.0.2.1") -> Any:
    return _call(app, user_name, "wrong wrong", address)


def _call(app: Flask, user_name: str, password: str, address: str = "192.0.2.1") -> Any:
    environ = {"REMOTE_ADDR": address}
    return app.test_client().get(CHANGES, headers=basic(user_name, password), environ_base=environ)


def test_limits_wrong_passwords_by_address_and_user(app: Flask, add_user: AddUser) -> None:
    add_user("ann")
    assert [_fail(app, "ann").status_code for _ in range(20)] == [401] * 20
    for user_name in ("ann", "ANN"):
        response = _fail(app, user_name)
        assert response.status_code == 429
        assert error_of(response)[0] == "Rate limit exceeded"
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert _call(app, "ann", PASSWORD).status_code == 429
    assert _call(app, "ann", PASSWORD, "192.0.2.2").status_code == 200
    assert _call(app, "admin", ADMIN_PASSWORD).status_code == 200


def test_authenticated_calls_are_never_limited(root: TableApi) -> None:
    assert {root.page(limit=1).status_code for _ in range(60)} == {200}


def test_a_console_session_does_not_authenticate_the_api(client: FlaskClient) -> None:
    Visitor(client).sign_in("admin", ADMIN_PASSWORD)
    assert client.get("/").status_code == 200
    assert client.get_cookie("changegate_session") is not None
    for response in (client.get(CHANGES), client.post(CHANGES, json={}), client.delete(f"{CHANGES}/{'0' * 32}")):
        assert response.status_code == 401


def test_no_answer_of_the_api_sets_a_cookie(client: FlaskClient, root: TableApi) -> None:
    sys_id = root.created()["sys_id"]
    answers = [root.page(), root.get(sys_id), root.update(sys_id, {"state": 0}), root.get("x"), root.delete(sys_id)]
    answers += [client.get(CHANGES), client.put(CHANGES), client.get("/api/now/nonsense"), client.options(CHANGES)]
    for response in answers:
        assert "Set-Cookie" not in response.headers
