"""What holds for every connection: durable, strict, and one writer at a time on SQLite."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError, StatementError

from changegate import create_app
from changegate.database import QueuedConnection, commit, connection, pool, request_time
from changegate.extensions import db
from changegate.models import SysUser
from tests.database.write_locks import has_room, may_write_to
from tests.support.postgres import binary

WAIT_SECONDS = 60
SMALL = "small.db"
COUNTING = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT max(i) FROM n"


@pytest.fixture
def at_work(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


@pytest.fixture
def queued(tmp_path: Path) -> Iterator[QueuedConnection]:
    """Return a connection of its own to a small database, set up as the engine's are."""
    opened = sqlite3.connect(tmp_path / SMALL, factory=QueuedConnection, check_same_thread=False)
    opened.isolation_level = None
    opened.execute("CREATE TABLE t (x)")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        *(("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)),
        ("wal_autocheckpoint", 0),
    ],
)
def test_every_sqlite_connection_is_durable_and_strict(at_work: Flask, pragma: str, value: object) -> None:
    for engine_connection in (db.engine.connect(), db.engine.connect()):
        with engine_connection:
            assert engine_connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == value


def test_a_read_skips_the_write_queue_and_a_write_holds_it_until_commit(at_work: Flask) -> None:
    db.session.execute(select(SysUser.name)).all()
    assert has_room(db.engine)
    db.session.execute(update(SysUser).values(title="x"))
    assert not has_room(db.engine)
    db.session.commit()
    assert has_room(db.engine)


def test_a_rollback_releases_the_write_queue(at_work: Flask) -> None:
    db.session.execute(update(SysUser).values(title="x"))
    db.session.rollback()
    assert has_room(db.engine)
    assert db.session.execute(select(SysUser.title)).scalars().all() == [None]


def test_the_end_of_a_request_releases_the_write_queue(app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(SysUser).values(title="x"))
    with app.app_context():
        assert has_room(db.engine)


def test_a_failed_statement_holds_the_write_queue_until_the_rollback(at_work: Flask) -> None:
    with pytest.raises(StatementError):
        db.session.execute(update(SysUser).values(user_name=None))
    db.session.rollback()
    assert has_room(db.engine)


def test_a_lock_that_is_not_available_releases_the_write_queue(queued: QueuedConnection, tmp_path: Path) -> None:
    queued.execute("PRAGMA busy_timeout = 20")
    other = sqlite3.connect(tmp_path / SMALL, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        queued.begin_write()
    assert may_write_to(str(tmp_path / SMALL))
    other.rollback()
    other.close()
    queued.begin_write()
    assert not may_write_to(str(tmp_path / SMALL))
    queued.commit()
    assert may_write_to(str(tmp_path / SMALL))


def test_closing_an_open_transaction_releases_the_write_queue_and_writes_nothing(
    queued: QueuedConnection, tmp_path: Path
) -> None:
    queued.begin_write()
    queued.execute("INSERT INTO t VALUES (1)")
    queued.close()
    assert may_write_to(str(tmp_path / SMALL))
    queued.close()
    other = sqlite3.connect(tmp_path / SMALL)
    assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    other.close()


def test_beginning_twice_enters_the_write_queue_once(queued: QueuedConnection, tmp_path: Path) -> None:
    queued.begin_write()
    queued.begin_write()
    queued.rollback()
    assert may_write_to(str(tmp_path / SMALL))
    queued.rollback()
    assert may_write_to(str(tmp_path / SMALL))


def test_a_second_writer_waits_and_then_sees_what_the_first_wrote(app: Flask) -> None:
    begun, done = threading.Event(), threading.Event()

    def second() -> str | None:
        with app.app_context():
            begun.set()
            db.session.execute(update(SysUser).values(email="second"))
            assert done.is_set()
            title = db.session.execute(select(SysUser.title)).scalar_one()
            db.session.rollback()
            return title

    with app.app_context(), ThreadPoolExecutor(1) as pool:
        db.session.execute(update(SysUser).values(title="first"))
        waiting = pool.submit(second)
        assert begun.wait(WAIT_SECONDS)
        done.set()
        db.session.commit()
        assert waiting.result(WAIT_SECONDS) == "first"


def test_a_reader_is_not_kept_by_a_writer(app: Flask) -> None:
    def read() -> str | None:
        with app.app_context():
            return db.session.execute(select(SysUser.title)).scalar_one()

    with app.app_context(), ThreadPoolExecutor(1) as pool:
        db.session.execute(update(SysUser).values(title="unseen"))
        assert pool.submit(read).result(WAIT_SECONDS) is None
        db.session.rollback()


def test_no_error_text_holds_a_parameter(at_work: Flask) -> None:
    with pytest.raises(StatementError) as problem:
        db.session.execute(text("SELECT nonsense FROM sys_user WHERE name = :name"), {"name": "4711"})
    assert "4711" not in str(problem.value)


@pytest.fixture
def on_postgres(postgres_app: Flask) -> Iterator[Flask]:
    with postgres_app.app_context():
        yield postgres_app


def _driver() -> psycopg.Connection[Any]:
    driver = connection().connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def test_a_read_of_postgresql_opens_no_transaction_and_a_write_does(on_postgres: Flask) -> None:
    db.session.execute(select(SysUser.name)).all()
    assert _driver().info.transaction_status == TransactionStatus.IDLE
    db.session.execute(update(SysUser).values(title="x"))
    assert _driver().info.transaction_status == TransactionStatus.INTRANS
    db.session.rollback()
    assert db.session.execute(select(SysUser.title)).scalars().first() is None


def test_a_lock_on_postgresql_holds_until_the_transaction_ends(on_postgres: Flask) -> None:
    locking = select(SysUser.sys_id).with_for_update().execution_options(locks_rows=True)
    connection().execute(locking).all()
    with pytest.raises(OperationalError), db.engine.connect() as beside:
        beside.execute(select(SysUser.sys_id).with_for_update(nowait=True)).all()
    db.session.rollback()


def test_a_connection_that_died_in_its_sleep_is_replaced(on_postgres: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = _driver().info.backend_pid
    db.session.close()
    with db.engine.connect() as beside, db.engine.connect() as other:
        # The pool gives what was used last; the other one is asked to end it.
        killer = other if beside.connection.dbapi_connection.info.backend_pid == pid else beside
        killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    # Some seconds later; what the pool notes meanwhile is noted then too.
    later = time.monotonic() + 2 * pool.IDLE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)

    for _ in range(2):
        assert connection().execute(text("SELECT 1")).scalar_one() == 1
        assert _driver().info.backend_pid != pid
        db.session.close()


def test_a_database_that_is_away_is_a_503_without_a_trace(tmp_path: Path) -> None:
    url = "postgresql+psycopg://nobody:hidden@127.0.0.1:1/none"
    app = create_app(instance_path=tmp_path, overrides={"database_url": url})
    response = app.test_client().get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["error"]["message"] == "Service unavailable"
    assert "hidden" not in response.text
    with app.app_context(), pytest.raises(OperationalError) as problem:
        db.session.execute(text("SELECT 1"))
    assert "hidden" not in str(problem.value)


def test_a_machine_without_postgresql_fails_and_says_what_to_install() -> None:
    with pytest.raises(pytest.fail.Exception, match="apt-get install postgresql"):
        binary("no-such-program")


def _endless() -> Any:
    """Return a statement that a database would be at for hours."""
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT max(i) FROM n"
    )
    return text(numbers)


@pytest.mark.parametrize("database_name", ["sqlite", "postgresql"])
def test_a_request_that_asks_too_much_is_ended(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, database_name: str
) -> None:
    app = request.getfixturevalue("app" if database_name == "sqlite" else "postgres_app")
    monkeypatch.setattr(request_time, "MAX_EXECUTION_TIME", timedelta(milliseconds=50))

    @app.get("/api/now/endless")
    def endless() -> str:
        if database_name == "postgresql":
            connection().execute(text("SET statement_timeout = 50"))
        return str(connection().execute(_endless()).scalar_one())

    answer = app.test_client().get("/api/now/endless")

    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"] == "Transaction cancelled: maximum execution time exceeded"
    assert app.test_client().get("/readyz").status_code == 200


def test_every_statement_of_postgresql_has_its_time(on_postgres: Flask) -> None:
    assert db.session.execute(text("SHOW statement_timeout")).scalar_one() == "30s"
    # The compiler of PostgreSQL would take seconds for statements that take milliseconds.
    assert db.session.execute(text("SHOW jit")).scalar_one() == "off"


def test_defaults_of_a_database_do_not_count(on_postgres: Flask) -> None:
    own = {"default_transaction_isolation": "read committed", "DateStyle": "ISO, MDY", "client_encoding": "UTF8"}
    isolation = "default_transaction_isolation = 'repeatable read'"
    others = (isolation, "datestyle = 'German, MDY'", "client_encoding = 'LATIN1'")
    name = db.engine.url.database
    for other in others:
        connection().execute(text(f"ALTER DATABASE {name} SET {other}"))
    try:
        with db.engine.connect() as beside:
            assert {setting: beside.execute(text(f"SHOW {setting}")).scalar_one() for setting in own} == own
    finally:
        connection().execute(text(f"ALTER DATABASE {name} RESET ALL"))


def test_a_caller_who_waits_for_a_lock_is_asked_to_try_again(on_postgres: Flask, prepared_postgres: str) -> None:
    assert connection().execute(text("SHOW lock_timeout")).scalar_one() == "20s"

    @on_postgres.get("/api/now/waiting")
    def wait_for_lock() -> str:
        connection().execute(text("SET lock_timeout = 50"))
        return str(connection().execute(select(SysUser.name)).scalars().first())

    with psycopg.connect(prepared_postgres.replace("+psycopg", "")) as other:
        # As VACUUM FULL does.
        other.execute("LOCK TABLE sys_user")
        refused = on_postgres.test_client().get("/api/now/waiting")
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)


def test_a_node_that_is_frozen_within_a_transaction_does_not_keep_its_locks(
    on_postgres: Flask, prepared_postgres: str
) -> None:
    limits = {"idle_in_transaction_session_timeout": "10s", "tcp_keepalives_idle": "10", "tcp_keepalives_count": "3"}
    assert {name: connection().execute(text(f"SHOW {name}")).scalar_one() for name in limits} == limits
    connection().execute(update(SysUser).values(title="is not stored"))
    connection().execute(text("SET LOCAL idle_in_transaction_session_timeout = 50"))
    with psycopg.connect(prepared_postgres.replace("+psycopg", "")) as other:
        assert other.execute("SELECT title FROM sys_user FOR UPDATE").fetchall() == [(None,)]
    with pytest.raises(OperationalError):
        commit()


def test_a_node_that_is_frozen_during_a_long_result_does_not_keep_its_locks(
    on_postgres: Flask, prepared_postgres: str
) -> None:
    assert connection().execute(text("SHOW tcp_user_timeout")).scalar_one() == "10000"
    connection().execute(text("SET tcp_user_timeout = 500"))
    connection().execute(update(SysUser).values(title="is not stored"))
    # More than all buffers hold, and it is not read.
    _driver().pgconn.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    with psycopg.connect(prepared_postgres.replace("+psycopg", "")) as other:
        other.execute(f"SET statement_timeout = '{WAIT_SECONDS}s'")
        assert other.execute("SELECT title FROM sys_user FOR UPDATE").fetchall() == [(None,)]
    _driver().close()


def test_a_request_gets_the_connection_that_the_last_one_used(at_work: Flask) -> None:
    first = connection()
    db.session.close()

    assert connection() is first


def test_what_a_request_left_uncommitted_is_undone_for_the_next(at_work: Flask) -> None:
    connection().execute(update(SysUser).values(title="x"))
    db.session.close()

    assert has_room(db.engine)
    assert connection().execute(select(SysUser.title)).scalars().first() is None


def test_a_connection_that_broke_is_not_used_again(on_postgres: Flask) -> None:
    first, pid = connection(), _driver().info.backend_pid
    with db.engine.connect() as beside:
        beside.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    with pytest.raises(OperationalError):
        connection().execute(select(SysUser.name))
    db.session.close()

    assert connection() is not first
    assert connection().execute(select(SysUser.user_name)).scalars().first() == "admin"


def test_a_connection_that_breaks_between_two_statements_of_the_driver_is_not_used_again(on_postgres: Flask) -> None:
    first = connection()
    _driver().close()
    db.session.close()

    assert connection() is not first
    assert connection().execute(select(SysUser.user_name)).scalars().first() == "admin"


def test_short_statements_of_sqlite_run_without_a_look(
    queued: QueuedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    monkeypatch.setattr(QueuedConnection, "has_to_end", lambda _: bool(looks.append(None)))
    queued.look_during("instr(")  # so that the next statement sets the handler again
    for numbers in [10] * 20:
        queued.fetch_all(COUNTING, [numbers])
    assert looks == []
    queued.fetch_all(COUNTING, [10_000])
    assert looks
