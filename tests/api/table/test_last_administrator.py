"""The last active administrator cannot be removed: by no caller, on no path, and by no concurrent requests."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import SysUser, SysUserHasRole, SysUserRole
from changegate.services.users.accounts import caller_of, get_user, set_password
from changegate.services.users.roles import restore_administrator
from tests.conftest import basic
from tests.support.token_desk import TokenDesk

TABLES = "/api/now/table"
PASSWORD = "one of the two"
REFUSAL = (
    "This would leave the instance without an active administrator who can sign in with a password. "
    "Give another active user the role admin first"
)


@dataclass
class Instance:
    """A server whose administrators are known."""

    desk: TokenDesk

    def send(self, method: str, path: str, body: Any = None, who: str = "admin") -> TestResponse:
        """Send a request from any thread."""
        client = self.desk.app.test_client()
        return client.open(f"{TABLES}/{path}", method=method, json=body, headers=basic(who, PASSWORD))

    def create(self, table: str, **values: str) -> str:
        answer = self.send("POST", table, values)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["result"]["sys_id"])

    def sys_id(self, model: Any, **values: str) -> str:
        with self.desk.app.app_context():
            found: str = db.session.execute(select(model.sys_id).filter_by(**values)).scalar_one()
            return found

    def add(self, user_name: str, *roles: str) -> str:
        """Add a user with a password."""
        sys_id = self.desk.add_user(user_name, *roles)
        with self.desk.app.app_context():
            set_password(get_user(user_name), PASSWORD)
            db.session.commit()
        return sys_id

    def roles(self, user_name: str) -> set[str]:
        with self.desk.app.app_context():
            return set(caller_of(get_user(user_name)).roles)

    @property
    def admin(self) -> str:
        return self.sys_id(SysUser, user_name="admin")

    @property
    def role(self) -> str:
        return self.sys_id(SysUserRole, name="admin")

    @property
    def assignment(self) -> str:
        return self.sys_id(SysUserHasRole, user=self.admin, role=self.role)


@pytest.fixture
def instance(either_desk: TokenDesk) -> Iterator[Instance]:
    with either_desk.app.app_context():
        set_password(get_user("admin"), PASSWORD)
        db.session.commit()
    yield Instance(either_desk)


def assert_refused(answer: TestResponse) -> None:
    assert answer.status_code == 403, answer.text
    assert answer.get_json()["error"] == {"message": "Operation Failed", "detail": REFUSAL}


WAYS = {
    "deactivated": lambda at: ("PATCH", f"sys_user/{at.admin}", {"active": "false"}),
    "locked": lambda at: ("PATCH", f"sys_user/{at.admin}", {"locked_out": "true"}),
    "limited to web services": lambda at: ("PATCH", f"sys_user/{at.admin}", {"web_service_access_only": "true"}),
    "without a password": lambda at: ("PATCH", f"sys_user/{at.admin}", {"user_password": ""}),
    "deleted": lambda at: ("DELETE", f"sys_user/{at.admin}", None),
    "role taken": lambda at: ("DELETE", f"sys_user_has_role/{at.assignment}", None),
    "role passed on": lambda at: (
        *("PATCH", f"sys_user_has_role/{at.assignment}"),
        {"user": at.sys_id(SysUser, user_name="release.bot")},
    ),
    "role changed": lambda at: (
        *("PATCH", f"sys_user_has_role/{at.assignment}"),
        {"role": at.sys_id(SysUserRole, name="itil")},
    ),
    "role renamed": lambda at: ("PATCH", f"sys_user_role/{at.role}", {"name": "former"}),
    "role deleted": lambda at: ("DELETE", f"sys_user_role/{at.role}", None),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_last_administrator_cannot_be_removed(instance: Instance, way: Any) -> None:
    # None of these could take over.
    for name, columns in (("former", {"active": False}), ("locked", {"locked_out": True}), ("robot", {})):
        instance.desk.add_user(name, "admin", **columns)
    instance.send("PATCH", f"sys_user/{instance.add('service', 'admin')}", {"web_service_access_only": "true"})
    assert_refused(instance.send(*way(instance)))
    assert instance.send("GET", "sys_user").status_code == 200
    assert "admin" in instance.roles("admin")


@pytest.mark.parametrize("way", [WAYS[name] for name in ("deactivated", "locked", "deleted", "role taken")])
def test_one_of_two_administrators_can_be_removed(instance: Instance, way: Any) -> None:
    instance.add("second", "admin")
    assert instance.send(*way(instance), who="second").status_code in {200, 204}


@pytest.mark.parametrize("change", [{"active": "false"}, {"locked_out": "true"}])
def test_no_token_puts_out_the_last_administrator(instance: Instance, change: dict[str, str]) -> None:
    desk = instance.desk
    token = desk.token(desk.register(scopes=["useraccount"], run_as="admin"))
    assert_refused(desk.call(token, "PATCH", f"{TABLES}/sys_user/{instance.admin}", json=change))


@pytest.mark.parametrize("round_", range(3))
def test_two_administrators_cannot_both_remove_each_other(instance: Instance, round_: int) -> None:
    second = instance.add("second", "admin")
    first, start = instance.admin, Barrier(2)
    tries = [("admin", f"sys_user/{second}"), ("second", f"sys_user/{first}")]
    if round_ == 1:
        assignments = [instance.sys_id(SysUserHasRole, user=user) for user in (second, first)]
        tries = [(who, f"sys_user_has_role/{one}") for (who, _), one in zip(tries, assignments, strict=True)]

    def remove(who: str, path: str) -> int:
        start.wait()
        if round_ == 0:
            return instance.send("PATCH", path, {"active": "false"}, who=who).status_code
        return instance.send("DELETE", path, who=who).status_code

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(lambda one: remove(*one), tries))
    # The other one is refused, or is no longer who may ask.
    assert answers[0] in {200, 204} and answers[1] in {401, 403}, answers
    with instance.desk.app.app_context():
        people = [user for user in db.session.execute(select(SysUser)).scalars() if user.is_active]
        assert [user.user_name for user in people if "admin" in caller_of(user).roles] in (["admin"], ["second"])


def grouped(instance: Instance) -> dict[str, str]:
    """Make `second` the only administrator, as a member of a group."""
    second = instance.add("second")
    group = instance.create("sys_user_group", name="Administrators")
    role = instance.create("sys_group_has_role", group=group, role=instance.role)
    member = instance.create("sys_user_grmember", group=group, user=second)
    assert instance.roles("second") == {"admin"}
    assert instance.send("DELETE", f"sys_user_has_role/{instance.assignment}", who="second").status_code == 204
    return {"sys_user_group": group, "sys_group_has_role": role, "sys_user_grmember": member, "sys_user": second}


@pytest.mark.parametrize("table", ["sys_user_group", "sys_group_has_role", "sys_user_grmember", "sys_user"])
def test_an_administrator_by_group_counts_and_cannot_be_removed(instance: Instance, table: str) -> None:
    made = grouped(instance)
    assert_refused(instance.send("DELETE", f"{table}/{made[table]}", who="second"))
    assert instance.roles("second") == {"admin"}


def test_members_of_a_group_hold_its_roles_at_the_next_call(instance: Instance) -> None:
    member = instance.add("ann")
    group = instance.create("sys_user_group", name="Network")
    assert instance.send("POST", "change_request", {}, who="ann").status_code == 403
    role = instance.create("sys_group_has_role", group=group, role=instance.sys_id(SysUserRole, name="change_manager"))
    instance.create("sys_user_grmember", group=group, user=member)
    assert instance.send("POST", "change_request", {}, who="ann").status_code == 201
    assert instance.roles("ann") == {"change_manager", "itil", "sn_change_write"}
    assert len(instance.send("GET", "sys_group_has_role", who="ann").get_json()["result"]) == 1
    assert instance.send("GET", "sys_group_has_role", who="release.bot").status_code == 401
    instance.send("DELETE", f"sys_group_has_role/{role}")
    assert instance.send("POST", "change_request", {}, who="ann").status_code == 403


def test_roles_of_groups_are_shown_to_members_only(instance: Instance) -> None:
    instance.add("ann", "itil")
    group = instance.create("sys_user_group", name="Network")
    instance.create("sys_group_has_role", group=group, role=instance.role)
    assert instance.send("GET", "sys_group_has_role", who="ann").get_json()["result"] == []


def test_no_token_gives_or_takes_a_role_by_a_group(instance: Instance) -> None:
    desk, made = instance.desk, grouped(instance)
    token = desk.token(desk.register(scopes=["useraccount"], run_as="second"))
    robot = instance.sys_id(SysUser, user_name="release.bot")
    group = made["sys_user_group"]
    with desk.app.app_context():
        other = desk.client.post(f"{TABLES}/sys_user_group", json={"name": "x"}, headers=basic("second", PASSWORD))
    empty = other.get_json()["result"]["sys_id"]
    refused: list[tuple[str, str, Any]] = [
        ("POST", "sys_user_grmember", {"user": robot, "group": group}),
        ("POST", "sys_group_has_role", {"group": empty, "role": instance.role}),
        ("PATCH", f"sys_group_has_role/{made['sys_group_has_role']}", {"group": empty}),
        ("DELETE", f"sys_group_has_role/{made['sys_group_has_role']}", None),
        ("PATCH", f"sys_user_grmember/{made['sys_user_grmember']}", {"user": robot}),
        ("DELETE", f"sys_user_grmember/{made['sys_user_grmember']}", None),
        ("DELETE", f"sys_user_group/{group}", None),
    ]
    for method, path, body in refused:
        answer = desk.call(token, method, f"{TABLES}/{path}", **({} if body is None else {"json": body}))
        assert answer.status_code == 403 and "roles" in answer.get_json()["error"]["detail"], (path, answer.text)
    kept = desk.call(token, "POST", f"{TABLES}/sys_user_grmember", json={"user": robot, "group": empty})
    assert kept.status_code == 201
    moved = f"{TABLES}/sys_user_grmember/{kept.get_json()['result']['sys_id']}"
    assert desk.call(token, "PATCH", moved, json={"group": group}).status_code == 403
    assert instance.roles("release.bot") == {"itil"}


def test_an_instance_without_an_administrator_is_repaired(instance: Instance) -> None:
    with instance.desk.app.app_context():
        db.session.execute(update(SysUser).values(active=False, locked_out=True))
        db.session.execute(update(SysUserRole).where(SysUserRole.name == "admin").values(name="former"))
        restore_administrator(get_user("admin"))
        db.session.commit()
    assert instance.send("GET", "sys_user").status_code == 200
    assert instance.roles("admin") == {"admin", "former"}
