"""Sessions end on the server: copies of a cookie stop working with them, in every process, on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from changegate import create_app
from changegate.cli.instance import working_on
from changegate.extensions import db
from changegate.failure_limit import Guess
from changegate.models import SysUserSession
from changegate.services.oauth import events
from changegate.services.users import accounts
from changegate.services.users.accounts import create_user, get_user, set_password, try_password
from changegate.services.users.sessions import MOST_SESSIONS
from tests.conftest import BASE_URL, Clock, basic
from tests.console.conftest import PASSWORD
from tests.console.visitor import Visitor, forms_of
from tests.support.jobs import run_due_jobs

COOKIE = "changegate_session"
USERS = "/api/now/table/sys_user"


class Desk:
    """An application, another one on its database, and a user with a session in both."""

    def __init__(self, app: Flask) -> None:
        overrides = {"database_url": app.config["SQLALCHEMY_DATABASE_URI"], "base_url": BASE_URL}
        self.app = app
        self.other = create_app(instance_path=app.instance_path, overrides=overrides)
        with working_on(app):
            self.user = create_user(user_name="tom", password=PASSWORD, email=None, name=None, roles=["itil"]).sys_id
            db.session.commit()
        self.tom = self.sign_in()

    def sign_in(self) -> Visitor:
        visitor = Visitor(self.app.test_client())
        assert visitor.sign_in("tom", PASSWORD).status_code == 302
        return visitor

    def copy(self, visitor: Visitor) -> Visitor:
        """Return a thief at the other server with a copy of a visitor's cookie."""
        cookie = visitor.client.get_cookie(COOKIE)
        assert cookie is not None
        thief = Visitor(self.other.test_client())
        thief.client.set_cookie(COOKIE, cookie.value, secure=True)
        return thief

    def change(self, **fields: str) -> None:
        answer = self.app.test_client().patch(f"{USERS}/{self.user}", json=fields, headers=basic("admin", PASSWORD))
        assert answer.status_code == 200, answer.text

    def rows(self) -> int:
        with working_on(self.app):
            return db.session.execute(select(func.count()).select_from(SysUserSession)).scalar_one()


@pytest.fixture
def desk(either_app: Flask) -> Iterator[Desk]:
    desk = Desk(either_app)
    yield desk
    with desk.other.app_context():
        db.engine.dispose()


def is_in(visitor: Visitor) -> bool:
    answer = visitor.open("/")
    assert answer.status_code in {200, 302}
    return answer.status_code == 200


def test_a_copy_of_a_cookie_stops_working_with_the_logout(desk: Desk) -> None:
    thief, elsewhere = desk.copy(desk.tom), desk.sign_in()
    assert is_in(thief)
    desk.tom.send(desk.tom.open("/"), "/logout")
    assert not is_in(thief)
    assert is_in(elsewhere)


def test_signing_out_everywhere_ends_every_session_of_the_user_alone(desk: Desk) -> None:
    elsewhere, thief = desk.sign_in(), desk.copy(desk.tom)
    admin = Visitor(desk.other.test_client())
    admin.sign_in("admin", PASSWORD)
    answer = desk.tom.send(desk.tom.open("/"), "/logout/everywhere")
    assert answer.location == "/login"
    assert [is_in(visitor) for visitor in (desk.tom, elsewhere, thief, admin)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("stopping", "undoing"),
    [
        ({"active": "false"}, {"active": "true"}),
        ({"locked_out": "true"}, {"locked_out": "false"}),
        ({"web_service_access_only": "true"}, {"web_service_access_only": "false"}),
    ],
    ids=str,
)
def test_a_session_that_a_lock_ended_does_not_come_back(
    desk: Desk, stopping: dict[str, str], undoing: dict[str, str]
) -> None:
    thief = desk.copy(desk.tom)
    desk.change(**stopping)
    assert not is_in(thief)
    desk.change(**undoing)
    assert not is_in(thief)
    assert is_in(desk.sign_in())


def test_a_new_password_ends_every_session(desk: Desk) -> None:
    thief = desk.copy(desk.tom)
    desk.change(user_password="another long password")
    assert not is_in(thief)
    assert desk.rows() == 0
    desk.change(user_password=PASSWORD)
    thief = desk.copy(desk.sign_in())
    assert is_in(thief)
    with working_on(desk.app):
        set_password(get_user("tom"), PASSWORD)
        db.session.commit()
    assert not is_in(thief)
    assert desk.rows() == 0


@pytest.mark.parametrize("fields", [{"user_password": "another long password"}, {"locked_out": "true"}, {}])
def test_no_session_begins_with_a_user_who_is_changed_or_deleted_during_the_login(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str]
) -> None:
    def change_meanwhile(guess: Guess, password: str) -> Any:
        proven = try_password(guess, password)
        if guess.name == "tom":
            method = "PATCH" if fields else "DELETE"
            client, path = desk.other.test_client(), f"{USERS}/{desk.user}"
            assert client.open(path, method=method, json=fields, headers=basic("admin", PASSWORD)).status_code < 300
        return proven

    def write_elsewhere(*_: object) -> None:
        with db.engine.begin() as at_work:
            at_work.execute(delete(SysUserSession).where(SysUserSession.user == "nobody"))

    monkeypatch.setattr(accounts, "try_password", change_meanwhile)
    monkeypatch.setattr(events, "write_counts", write_elsewhere)
    answer = Visitor(desk.app.test_client()).sign_in("tom", PASSWORD)
    assert (answer.status_code, desk.rows()) == (403, 0)


def test_other_changes_to_a_user_end_no_session(desk: Desk) -> None:
    desk.change(title="Engineer", user_password="********")
    assert is_in(desk.tom)


def test_signing_in_again_ends_the_session_that_the_browser_had(desk: Desk) -> None:
    thief = desk.copy(desk.tom)
    token = forms_of(desk.tom.open("/")).forms["/logout"]["csrf_token"]
    form = {"csrf_token": token, "user_name": "tom", "password": PASSWORD}
    assert desk.tom.client.post("/login", data=form).location == "/"
    assert is_in(desk.tom)
    assert not is_in(thief)


def test_a_deleted_user_leaves_no_session(desk: Desk) -> None:
    thief = desk.copy(desk.tom)
    answer = desk.app.test_client().delete(f"{USERS}/{desk.user}", headers=basic("admin", PASSWORD))
    assert answer.status_code == 204
    assert not is_in(thief)
    assert desk.rows() == 0


def test_a_copied_cookie_ends_after_half_a_day(desk: Desk) -> None:
    thief = desk.copy(desk.tom)
    clock = Clock()
    clock.advance(hours=12, seconds=1)
    desk.other.config["CLOCK"] = clock
    assert not is_in(thief)


def test_a_user_has_only_so_many_sessions_and_expired_ones_go(desk: Desk) -> None:
    first = desk.tom
    for _ in range(MOST_SESSIONS):
        last = desk.sign_in()
    assert desk.rows() == MOST_SESSIONS
    assert not is_in(first)
    assert is_in(last)
    clock = Clock()
    clock.advance(hours=13)
    desk.app.config["CLOCK"] = clock
    desk.sign_in()
    run_due_jobs(desk.app, "users.purge_sessions")
    assert desk.rows() == 1


def test_the_database_holds_no_token_of_a_session(desk: Desk) -> None:
    with desk.tom.client.session_transaction() as session:
        token = session["session_token"]
    with working_on(desk.app):
        [stored] = db.session.execute(select(SysUserSession.token_hash)).scalars()
    assert token not in stored
    assert len(stored) == 64


@pytest.mark.parametrize("sent", [{}, {"session_token": "x"}, {"session_token": ""}], ids=str)
def test_a_signed_cookie_without_a_session_in_the_database_opens_no_page(desk: Desk, sent: dict[str, str]) -> None:
    forged = Visitor(desk.app.test_client())
    forged.open("/login")
    with forged.client.session_transaction() as session:
        session["_user_id"] = desk.user
        session.update(sent)
    assert not is_in(forged)
