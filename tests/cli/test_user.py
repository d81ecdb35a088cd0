"""`changegate user`."""

import json

import pytest

from tests.cli.conftest import Run


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


def test_creates_a_user_with_roles(run: Run) -> None:
    made = run("user", "create", "maria", "--name", "Maria Keller", "--role", "itil", "--role", "approver_user")

    assert (made.code, made.out) == (0, "Created user maria.\n")
    listed = {user["user_name"]: user for user in json.loads(run("user", "list", "--json").out)}
    assert listed["maria"] == {
        "user_name": "maria",
        "name": "Maria Keller",
        "active": True,
        "roles": ["approver_user", "itil"],
    }


def test_create_as_json_is_one_object(run: Run) -> None:
    shown = json.loads(run("user", "create", "maria", "--email", "maria@example.com", "--json").out)

    assert (shown["user_name"], len(shown["sys_id"])) == ("maria", 32)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("admin",), "There is a user admin already."),
        (("ADMIN",), "There is a user ADMIN already."),
        (("maria", "--role", "king"), "There is no role king"),
        (("maria", "--password", "short"), "Use at least 8 characters."),
        (("",), "user_name:"),
        (("  ",), "user_name:"),
        (("a:b",), "user_name: Use at least one character, and no colon."),
        (("x" * 41,), "user_name: Use at most 40 printable characters."),
        (("a\udcffb",), "user_name:"),
        (("maria", "--name", "a\nb"), "name:"),
        (("maria", "--email", "x" * 101), "email:"),
        (("maria", "--time-zone", "Mars/Olympus"), "time_zone: There is no time zone 'Mars/Olympus'."),
    ],
)
def test_create_reports_an_error_in_one_sentence(run: Run, arguments: tuple[str, ...], text: str) -> None:
    run("user", "create", *arguments).assert_refused(text)


def test_sets_a_password(run: Run) -> None:
    assert run("user", "set-password", "ADMIN", "--password", "a new password").out == "The password of ADMIN is set.\n"


def test_set_password_refuses_an_unknown_user_and_a_short_password(run: Run) -> None:
    run("user", "set-password", "nobody", "--password", "a new password").assert_refused("There is no user nobody.")
    run("user", "set-password", "admin", "--password", "short").assert_refused("password: Use at least 8 characters.")


def test_lists_users_for_people(run: Run) -> None:
    assert run("user", "list").out.split() == ["admin", "active", "admin"]


@pytest.mark.parametrize("arguments", [("user",), ("user", "create"), ("user", "set-password", "a", "--pass")])
def test_wrong_usage_is_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_sets_a_time_zone(run: Run) -> None:
    assert run("user", "create", "maria", "--time-zone", "europe/berlin").code == 0
    assert run("user", "set-time-zone", "maria", "us/eastern").out == "The time zone of maria is US/Eastern.\n"
    assert run("user", "set-time-zone", "maria").out == "The time zone of maria is UTC.\n"
    run("user", "set-time-zone", "maria", "CEST+2").assert_refused("time_zone: There is no time zone 'CEST+2'.")
    run("user", "set-time-zone", "nobody", "UTC").assert_refused("There is no user nobody.")


def test_restores_an_administrator(run: Run) -> None:
    run("user", "create", "maria", "--role", "itil")
    shown = run("user", "restore-admin", "MARIA").out
    assert shown == (
        "MARIA is active and unlocked, and has the role admin.\n"
        "MARIA has no password yet; run `changegate user set-password MARIA`.\n"
    )
    listed = {user["user_name"]: user for user in json.loads(run("user", "list", "--json").out)}
    assert (listed["maria"]["active"], listed["maria"]["roles"]) == (True, ["admin", "itil"])
    assert run("user", "restore-admin", "admin").out == "admin is active and unlocked, and has the role admin.\n"
    run("user", "restore-admin", "nobody").assert_refused("There is no user nobody.")
