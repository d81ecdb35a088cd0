"""A commit that fails is a 503 on both databases, for APIs, token endpoint and console; its connection is given up.

SQLite cannot write to its log: files have a limit of size for as long as the commit takes. PostgreSQL ends every
session just before.
"""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text, update
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from changegate.database import commit, connection, driver_of, unit_of_work
from changegate.database.drivers import QueuedConnection
from changegate.database.unit_of_work import UnitOfWork
from changegate.database.write_queue import SharedWrite, write_together
from changegate.extensions import db
from changegate.models import SysUser, SysUserGroup
from changegate.services.users.accounts import get_user
from tests.conftest import ADMIN_PASSWORD, basic
from tests.console.visitor import Visitor
from tests.support.table_api import CHANGES, TableApi
from tests.support.token_desk import Integration, TokenDesk

REQUEST_ID = 32
Break = Callable[[], None]


class Saboteur:
    """Lets commits fail while it `is_at_work`."""

    def __init__(self, app: Flask) -> None:
        self.url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
        self.is_at_work = False
        self.failed: list[object] = []

    def commit(self, work: UnitOfWork, original: Callable[[UnitOfWork], None]) -> None:
        if not self.is_at_work:
            original(work)
            return
        if work._core is not None:
            self.failed.append(driver_of(work._core))
        if self.url.get_backend_name() == "postgresql":
            self._end_sessions()
            original(work)
        else:
            self._without_room(lambda: original(work))

    def _end_sessions(self) -> None:
        address = self.url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as beside:
            ended = beside.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [self.url.database]
            ).fetchall()
        assert ended

    def _without_room(self, act: Break) -> None:
        # SQLite counts from the start of its log again after each checkpoint, so the log's size is no limit.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            act()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def saboteur(either_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Saboteur]:
    found, original = Saboteur(either_app), UnitOfWork.commit
    monkeypatch.setattr(UnitOfWork, "commit", lambda work: found.commit(work, original))
    yield found
    found.is_at_work = False


def assert_unavailable(answer: TestResponse) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert len(answer.headers["X-Request-Id"]) == REQUEST_ID


def assert_given_up(app: Flask, saboteur: Saboteur) -> None:
    """No connection whose commit failed is used again; all later work has others."""
    with app.app_context():
        for _ in range(3):
            assert connection().execute(text("SELECT 1")).scalar_one() == 1
            assert driver_of(connection()) not in saboteur.failed
            db.session.close()
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.fixture
def api(either_app: Flask) -> TableApi:
    return TableApi(either_app.test_client(), basic("admin", ADMIN_PASSWORD))


def test_a_change_is_refused_with_503_and_does_not_exist(
    either_app: Flask, api: TableApi, saboteur: Saboteur, caplog: pytest.LogCaptureFixture
) -> None:
    api.created(short_description="before")
    for _ in range(3):
        saboteur.is_at_work = True
        answer = api.create({"short_description": "lost"})
        saboteur.is_at_work = False
        assert_unavailable(answer)
        assert answer.get_json()["status"] == "failure"
    code = "" if saboteur.url.get_backend_name() == "postgresql" else " (SQLITE_IOERR_WRITE)"
    assert f"{answer.headers['X-Request-Id']}: OperationalError{code}\n" in caplog.text
    assert "Traceback" not in caplog.text
    assert_given_up(either_app, saboteur)
    api.created(short_description="after")
    assert api.found("ORDERBYnumber") == ["before", "after"]


@pytest.mark.parametrize("verb", ["update", "delete"])
def test_an_update_and_a_deletion_are_refused_with_503(
    either_app: Flask, api: TableApi, saboteur: Saboteur, verb: str
) -> None:
    change = api.created(short_description="before")
    saboteur.is_at_work = True
    arguments: list[Any] = [{"short_description": "lost"}] if verb == "update" else []
    answer = getattr(api, verb)(change["sys_id"], *arguments)
    saboteur.is_at_work = False
    assert_unavailable(answer)
    assert_given_up(either_app, saboteur)
    assert api.found("") == ["before"]


def test_a_write_through_the_orm_is_refused_with_503(either_app: Flask, api: TableApi, saboteur: Saboteur) -> None:
    scopes = "/api/now/oauth/scopes"
    saboteur.is_at_work = True
    body = {"name": "lost.scope", "rules": []}
    answer = api.client.post(scopes, json=body, headers=api.headers)
    saboteur.is_at_work = False
    assert_unavailable(answer)
    assert_given_up(either_app, saboteur)
    assert api.client.get(f"{scopes}/lost.scope", headers=api.headers).status_code == 404


def test_a_request_in_a_batch_is_refused_with_503_and_the_next_one_is_served(
    either_app: Flask, api: TableApi, saboteur: Saboteur
) -> None:
    requests = [{"id": str(number), "method": "POST", "url": CHANGES} for number in range(2)]
    saboteur.is_at_work = True
    answer = api.client.post("/api/now/batch", json={"rest_requests": requests}, headers=api.headers)
    saboteur.is_at_work = False
    served = answer.get_json()["serviced_requests"]
    assert [part["status_code"] for part in served] == [503, 503]
    assert_given_up(either_app, saboteur)


def test_a_token_is_refused_with_503_and_its_assertion_can_be_used_later(
    either_desk: TokenDesk, saboteur: Saboteur
) -> None:
    integration: Integration = either_desk.register()
    assertion = either_desk.assertion()
    for _ in range(2):
        saboteur.is_at_work = True
        answer = either_desk.exchange(integration, assertion=assertion)
        saboteur.is_at_work = False
        assert_unavailable(answer)
        assert answer.get_json()["error"] == "temporarily_unavailable"
    assert_given_up(either_desk.app, saboteur)
    assert either_desk.exchange(integration, assertion=assertion).status_code == 200


def test_a_form_is_refused_with_503(either_app: Flask, saboteur: Saboteur) -> None:
    admin = Visitor(either_app.test_client())
    admin.sign_in("admin", ADMIN_PASSWORD)
    page = admin.open("/auth-scopes/new")
    typed = {"name": "lost.scope", "rules-0-http_method": "GET", "rules-0-table": "change_request"}
    saboteur.is_at_work = True
    answer = admin.send(page, "auth-scope", typed)
    saboteur.is_at_work = False
    assert_unavailable(answer)
    assert answer.mimetype == "text/html"
    assert answer.headers["X-Request-Id"] in answer.text
    assert_given_up(either_app, saboteur)
    assert admin.send(page, "auth-scope", typed).status_code == 302


def test_a_login_is_refused_with_503(either_app: Flask, saboteur: Saboteur) -> None:
    admin = Visitor(either_app.test_client())
    page = admin.open("/login")
    saboteur.is_at_work = True
    answer = admin.send(page, "/login", {"user_name": "admin", "password": ADMIN_PASSWORD})
    saboteur.is_at_work = False
    assert_unavailable(answer)
    assert admin.open("/").status_code == 302


@pytest.mark.parametrize("is_orm", [True, False])
def test_a_unit_of_work_can_go_on_after_a_commit_that_failed(
    either_app: Flask, saboteur: Saboteur, is_orm: bool
) -> None:
    with either_app.app_context():
        for name in ("lost", "kept"):
            saboteur.is_at_work = name == "lost"
            if is_orm:
                db.session.add(SysUserGroup(name=name))
                db.session.flush()
            else:
                connection().execute(update(SysUser).values(title=name))
            if name == "lost":
                with pytest.raises(OperationalError):
                    commit()
                db.session.rollback()
        commit()
        assert get_user("admin").title == (None if is_orm else "kept")
        assert unit_of_work() is not None


def test_nothing_is_committed_on_another_connection_after_one_was_lost(
    either_desk: TokenDesk, saboteur: Saboteur
) -> None:
    """Half of a unit of work would be written: what went before was lost with the connection."""
    with either_desk.app.app_context():
        connection().execute(update(SysUser).values(title="first half"))
        connection().invalidate()
        with pytest.raises(OperationalError):
            connection().execute(update(SysUser).values(title="second half"))
        with pytest.raises(OperationalError):
            commit()
        db.session.rollback()
        assert get_user("admin").title is None


def test_a_full_database_is_a_503_at_the_statement_too(app: Flask, admin: dict[str, str]) -> None:
    with app.app_context():
        pages = connection().execute(text("PRAGMA page_count")).scalar_one()
        connection().execute(text(f"PRAGMA max_page_count = {pages}"))
        db.session.close()
    client = app.test_client()
    statuses = set()
    for _ in range(200):
        answer = client.post(CHANGES, json={"description": "x" * 4000}, headers=admin)
        statuses.add(answer.status_code)
        if answer.status_code == 503:
            assert_unavailable(answer)
    assert statuses == {201, 503}


def test_no_write_counts_as_committed_when_even_the_rollback_fails(tmp_path: Path) -> None:
    class Broken(QueuedConnection):
        def execute(self, statement: str, *arguments: Any) -> Any:
            if statement in {"COMMIT", "ROLLBACK"}:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(statement, *arguments)

    at_work = sqlite3.connect(tmp_path / "x.db", factory=Broken, isolation_level=None)
    at_work.execute("CREATE TABLE t (x)")
    writes = [SharedWrite("INSERT INTO t VALUES (?)", [number]) for number in range(2)]
    write_together(at_work, writes)
    assert [str(write.error) for write in writes] == ["disk I/O error"] * 2
    assert all(write.is_done for write in writes)
    at_work.close()
