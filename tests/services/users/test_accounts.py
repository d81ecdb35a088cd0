"""Users and their passwords, on both databases."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.security import generate_password_hash

from changegate.errors import InputInvalid, NotAuthenticated, RecordNotFound
from changegate.extensions import db
from changegate.failure_limit import Guess
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users import accounts, verified_passwords
from changegate.services.users.accounts import (
    authenticate_user,
    caller_of,
    create_user,
    get_user,
    set_password,
)
from changegate.services.users.verified_passwords import VerifiedPasswords
from tests.support.people import ROOT

PASSWORD = "pässword pässword"
GUESS = Guess("192.0.2.1", "ann")
# Read before the tests replace it by a cheap one.
NOBODYS_HASH = accounts._NOBODYS_HASH
NOT_TEXT = ["\0", "a\0b", "\ud800"]


def made(user_name: str = "ann", *roles: str, **changes: Any) -> accounts.SysUser:
    values = {"password": PASSWORD, "email": None, "name": None} | changes
    return create_user(user_name=user_name, roles=list(roles), **values)


def authenticated(user_name: str, password: str) -> Caller | None:
    """Return who is proven, or None."""
    try:
        return authenticate_user(user_name, password, "192.0.2.1")
    except NotAuthenticated:
        return None


def counted_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that every password hashed from now on is written to."""
    hashed: list[str] = []
    check = verified_passwords.check_password_hash

    def counted(stored: str, password: str) -> bool:
        hashed.append(password)
        return bool(check(stored, password))

    monkeypatch.setattr(verified_passwords, "check_password_hash", counted)
    monkeypatch.setattr(accounts, "_verified_passwords", VerifiedPasswords())
    return hashed


def test_name_and_password_authenticate_a_user_with_all_roles(at_work: Flask) -> None:
    user = made("ann", "itil", "change_manager")
    found = authenticated("ann", PASSWORD)
    assert found == caller_of(user)
    assert found is not None
    assert found.roles == {"itil", "change_manager", "sn_change_write"}
    assert found.grant is None


@pytest.mark.parametrize("name", ["ann", "ANN", "aNn"])
def test_names_are_compared_without_case(at_work: Flask, name: str) -> None:
    made()
    assert authenticated(name, PASSWORD) is not None
    assert get_user(name).user_name == "ann"


@pytest.mark.parametrize("name", ["Ärger", "ÉCOLE", "Ünal", "名前"])
def test_names_beyond_ascii_sign_in_as_they_are_written(at_work: Flask, name: str) -> None:
    made(name)
    assert authenticated(name, PASSWORD) is not None
    assert get_user(name).user_name == name


@pytest.mark.parametrize(
    ("name", "password"), [("ann", ""), ("ann", "x"), ("ann", PASSWORD.upper()), ("", PASSWORD), ("bob", PASSWORD)]
)
def test_anything_else_proves_nothing(at_work: Flask, name: str, password: str) -> None:
    made()
    assert authenticated(name, password) is None


@pytest.mark.parametrize("text", NOT_TEXT)
def test_text_that_cannot_be_stored_proves_nothing(at_work: Flask, text: str) -> None:
    made()
    assert authenticated(text, PASSWORD) is None
    assert authenticated("ann", text) is None


def test_a_user_without_a_password_cannot_sign_in(at_work: Flask) -> None:
    made(password=None)
    for password in ("", PASSWORD):
        assert authenticated("ann", password) is None


def test_a_cached_password_is_refused_once_the_user_is_locked_or_inactive(at_work: Flask) -> None:
    user = made()
    for field, out, back in (("locked_out", True, False), ("active", False, True)):
        assert authenticated("ann", PASSWORD) is not None
        setattr(user, field, out)
        db.session.flush()
        assert authenticated("ann", PASSWORD) is None
        setattr(user, field, back)
        db.session.flush()


def test_a_new_password_replaces_the_cached_one(at_work: Flask) -> None:
    user = made()
    assert authenticated("ann", PASSWORD) is not None
    set_password(user, "another password")
    assert authenticated("ann", PASSWORD) is None
    assert authenticated("ann", "another password") is not None


def test_a_right_password_is_hashed_once_and_a_wrong_one_every_time(
    at_work: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    hashed = counted_checks(monkeypatch)
    for password in (PASSWORD, PASSWORD, "wrong", "wrong", PASSWORD):
        authenticated("ann", password)
    assert hashed == [PASSWORD, "wrong", "wrong"]


def test_an_unknown_user_costs_a_hash_too(at_work: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = counted_checks(monkeypatch)
    authenticated("nobody", PASSWORD)
    assert hashed == [PASSWORD]


def test_the_memory_forgets_the_oldest_first_and_keeps_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = VerifiedPasswords(size=2)
    stored = [generate_password_hash(PASSWORD, "pbkdf2:sha256:1") for _ in range(3)]
    assert all(memory.is_right(GUESS, one, PASSWORD) for one in stored)
    assert not memory.is_right(GUESS, stored[2], "wrong")
    hashed: list[str] = []
    monkeypatch.setattr(verified_passwords, "check_password_hash", lambda *given: hashed.append(given[0]) or True)
    assert all(memory.is_right(GUESS, one, PASSWORD) for one in reversed(stored))
    assert hashed == [stored[0]]
    assert PASSWORD not in repr(vars(memory))


def test_two_processes_remember_with_different_keys() -> None:
    stored = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
    one, other = VerifiedPasswords(), VerifiedPasswords()
    assert one.is_right(GUESS, stored, PASSWORD)
    assert other.is_right(GUESS, stored, PASSWORD)
    assert vars(one)["_seen"] != vars(other)["_seen"]


def test_a_user_is_stored_with_a_hash_and_a_name(at_work: Flask) -> None:
    user = made(name="Ann Lee", email="ann@example.com")
    assert (user.name, user.email) == ("Ann Lee", "ann@example.com")
    assert str(user.user_password).startswith("scrypt:")
    assert made("bob").name == "bob"


def test_a_hash_is_of_full_strength_where_nothing_makes_it_cheap(
    at_work: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "generate_password_hash", generate_password_hash)
    user = made()
    assert str(user.user_password).startswith("scrypt:32768:8:1$")
    assert authenticated("ann", PASSWORD) == caller_of(user)


def test_the_hash_for_unknown_names_costs_as_much_as_any_other() -> None:
    method, salt, digest = NOBODYS_HASH.split("$")
    stored = generate_password_hash(PASSWORD).split("$")
    assert [method, len(salt), len(digest)] == [stored[0], *map(len, stored[1:])]
    int(digest, 16)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"user_name": "ADMIN"}, "user_name: There is a user ADMIN already."),
        ({"user_name": ""}, "user_name: A user needs a user ID."),
        ({"user_name": "x" * 41}, "user_name: Field user_name: 41 characters are more than the 40 it holds"),
        ({"user_name": "a\0b"}, "user_name: Field user_name: control characters"),
        ({"email": "x" * 101}, "email: Field email: 101 characters are more than the 100 it holds"),
        ({"name": "\ud800"}, "name: Field name: control characters"),
        ({"roles": ["nonsense"]}, "roles: There is no role nonsense; roles are admin, "),
    ],
)
def test_a_user_that_cannot_be_is_refused_with_a_sentence(
    at_work: Flask, values: dict[str, Any], sentence: str
) -> None:
    usual: dict[str, Any] = {"user_name": "ann", "password": PASSWORD, "email": None, "name": None, "roles": []}
    with pytest.raises(InputInvalid) as refused:
        create_user(**usual | values)
    assert refused.value.message.startswith(sentence)


def test_nobody_gets_the_former_user_id_of_another_user(at_work: Flask) -> None:
    ann, bob = made(), made("bob")
    users = get_table("sys_user")
    update_record(users, ROOT, ann.sys_id, {"user_name": "ann.lee"})

    for take in (
        lambda: made("ANN"),
        lambda: create_record(users, ROOT, {"user_name": "Ann"}),
        lambda: update_record(users, ROOT, bob.sys_id, {"user_name": "ann"}),
    ):
        with pytest.raises(InputInvalid, match="Another user had this user ID"):
            take()
    update_record(users, ROOT, ann.sys_id, {"user_name": "ann"})
    assert get_user("ann").sys_id == ann.sys_id


def test_a_role_given_twice_is_held_once(at_work: Flask) -> None:
    assert caller_of(made("ann", "itil", "itil")).roles == {"itil"}


def test_a_missing_user_is_not_found(at_work: Flask) -> None:
    with pytest.raises(RecordNotFound):
        get_user("nobody")
