"""Statements that go to PostgreSQL without a cursor: the same values, rows and errors, and prepared in time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import column, func, select, table, true

from changegate.database import connection, driver_of, postgres
from changegate.database.dialects import unestimated
from changegate.database.listed import is_among
from changegate.database.postgres import DirectConnection
from changegate.database.prepared import Prepared
from changegate.models import Task
from tests.support.servers import wait_until

INSTANT = datetime(2026, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
EVERYTHING = "SELECT $1::varchar, $2::int, $3::boolean, $4::timestamptz, $5::bytea, $6::json, $7::varchar"
VALUES: list[Any] = ["ä\N{SNOWMAN}", 40_000, True, INSTANT, b"\0\xff", '{"a": [1]}', None]
PREPARED = "SELECT statement FROM pg_prepared_statements WHERE name LIKE 'changegate%' ORDER BY name"
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def driver(postgres_app: Flask) -> Iterator[DirectConnection]:
    """Return the connection of a unit of work."""
    with postgres_app.app_context():
        found = driver_of(connection())
        assert isinstance(found, DirectConnection)
        yield found


def prepared(driver: DirectConnection) -> list[str]:
    return [text for (text,) in driver.execute(PREPARED)]


def test_values_come_back_as_a_cursor_gives_them_before_and_after_preparation(driver: DirectConnection) -> None:
    expected = psycopg.RawCursor(driver).execute(EVERYTHING, VALUES).fetchall()
    assert expected == [(VALUES[0], 40_000, True, INSTANT, b"\0\xff", {"a": [1]}, None)]
    for _ in range(10):
        assert driver.fetch_all(EVERYTHING, VALUES) == expected
    assert prepared(driver) == [EVERYTHING]


def test_a_statement_is_prepared_once_it_has_been_run_often_enough(driver: DirectConnection) -> None:
    driver.prepare_after = 2
    for _ in range(2):
        driver.fetch_all("SELECT $1::int", [1])
    assert prepared(driver) == []
    driver.fetch_all("SELECT $1::int", [1])
    assert prepared(driver) == ["SELECT $1::int"]


def test_a_statement_that_splits_a_list_is_never_prepared(driver: DirectConnection) -> None:
    driver.prepare_after = 0
    named = Prepared(select(func.count()).where(is_among(Task.__table__.c.opened_by, ["a" * 32, "b" * 32]).build()))
    assert named.first({}) == (0,)
    assert prepared(driver) == []


def test_the_matches_of_a_condition_are_not_estimated(driver: DirectConnection) -> None:
    # More rows than any other table has in the tests.
    attributes = table("pg_attribute", column("attnum"))

    def count_expected(condition: Any) -> int:
        text = select(attributes).where(condition).compile(connection().engine, compile_kwargs={"literal_binds": True})
        [[[plan]]] = driver.execute(f"EXPLAIN (FORMAT JSON) {text}").fetchall()
        return int(plan["Plan"]["Plan Rows"])

    estimated, unknown, every = (attributes.c.attnum == 999, unestimated(attributes.c.attnum == 999), true())
    assert count_expected(estimated) < count_expected(unknown) < count_expected(every) < 3 * count_expected(unknown)


def test_values_of_another_type_are_another_statement(driver: DirectConnection) -> None:
    driver.prepare_after = 0
    for number in (1, 100_000, 10**12):
        assert driver.fetch_all("SELECT $1::bigint", [number]) == [(number,)]
    assert len(prepared(driver)) == 3


def test_prepared_statements_survive_the_use_of_cursors(driver: DirectConnection) -> None:
    driver.prepare_after = 0
    driver.fetch_all("SELECT 1", [])
    for _ in range(10):
        driver.execute("SELECT count(*) FROM sys_user")
    for ending in ("ROLLBACK", "DROP TABLE beside", "ALTER TABLE sys_user ALTER COLUMN title SET STATISTICS 100"):
        driver.execute("CREATE TEMPORARY TABLE IF NOT EXISTS beside (x int)")
        driver.begin_write()
        driver.execute(ending)
        driver.rollback()
        assert driver.fetch_all("SELECT 1", []) == [(1,)]


def test_a_dropped_statement_is_prepared_again(driver: DirectConnection) -> None:
    driver.prepare_after = 0
    driver.fetch_all("SELECT 1", [])
    driver.execute("DEALLOCATE ALL")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        driver.fetch_all("SELECT 1", [])
    assert driver.fetch_all("SELECT 1", []) == [(1,)]


def test_the_least_recently_used_statement_is_dropped(
    driver: DirectConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "MOST_STATEMENTS", 2)
    driver.prepare_after = 0
    for text in ("SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3", "SELECT 1"):
        driver.fetch_all(text, [])
    assert prepared(driver) == ["SELECT 1", "SELECT 3"]
    driver.prepare_after = 5
    driver.fetch_all("SELECT 4", [])
    driver.fetch_all("SELECT 5", [])
    assert prepared(driver) == []


@pytest.mark.parametrize("has_close", [True, False], ids=["Close", "DEALLOCATE"])
def test_to_forget_a_statement_ends_no_transaction(
    driver: DirectConnection, monkeypatch: pytest.MonkeyPatch, has_close: bool
) -> None:
    monkeypatch.setattr(postgres, "MOST_STATEMENTS", 1)
    monkeypatch.setattr(postgres.capabilities, "has_send_close_prepared", lambda: has_close)
    driver.prepare_after = 0
    driver.fetch_all("SELECT 1", [])
    # As a pooler that keeps statements under names of its own.
    driver.execute("DEALLOCATE ALL")
    driver.begin_write()
    for text in ("SELECT 2", "SELECT 3"):
        assert driver.fetch_all(text, []) == [(int(text[-1]),)]
    assert driver.pgconn.transaction_status == TransactionStatus.INTRANS
    driver.commit()
    assert driver.fetch_all("SELECT 4", []) == [(4,)]
    assert prepared(driver) == ["SELECT 4"]


def test_a_write_returns_the_number_of_changed_rows(driver: DirectConnection) -> None:
    assert driver.run("UPDATE sys_user SET title = $1 WHERE user_name = $2", ["x", "admin"]) == 1
    assert driver.run("UPDATE sys_user SET title = $1 WHERE user_name = $2", ["x", "nobody"]) == 0
    assert driver.run("CREATE TEMPORARY TABLE beside (x int)", []) == 0


@pytest.mark.parametrize("runs_before", [0, 100])
@pytest.mark.parametrize(
    ("text", "parameters", "kind"),
    [
        ("INSERT INTO sys_user_role (sys_id, name) VALUES ($1, NULL)", ["x"], psycopg.errors.NotNullViolation),
        ("SELECT $1::int", ["secret"], psycopg.errors.InvalidTextRepresentation),
        ("SELECT $1::varchar", ["a\0b"], psycopg.DataError),
        ("SELECT x FROM nowhere", [], psycopg.errors.UndefinedTable),
        ("SELEC", [], psycopg.errors.SyntaxError),
    ],
)
def test_errors_are_psycopg_s(
    driver: DirectConnection, runs_before: int, text: str, parameters: list[Any], kind: type[Exception]
) -> None:
    driver.prepare_after = runs_before
    for run in (driver.fetch_all, driver.run):
        with pytest.raises(kind):
            run(text, parameters)
    assert driver.fetch_all("SELECT 1", []) == [(1,)]


def test_what_is_not_open_is_ended_without_waiting(driver: DirectConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[object] = []
    monkeypatch.setattr(driver, "wait", waits.append)
    driver.commit()
    driver.rollback()
    assert not waits


def test_a_transaction_is_opened_once_and_ended_once(driver: DirectConnection) -> None:
    driver.commit()
    driver.rollback()
    driver.begin_write()
    driver.begin_write()
    driver.run("UPDATE sys_user SET title = 'x'", [])
    driver.rollback()
    assert driver.pgconn.transaction_status == TransactionStatus.IDLE
    assert driver.fetch_all("SELECT title FROM sys_user WHERE user_name = 'admin'", []) == [(None,)]
    driver.begin_write()
    driver.run("UPDATE sys_user SET title = 'x'", [])
    driver.commit()
    driver.rollback()
    assert driver.fetch_all("SELECT title FROM sys_user WHERE user_name = 'admin'", []) == [("x",)]


def test_without_autocommit_every_statement_opens_a_transaction_anyway(driver: DirectConnection) -> None:
    driver.set_autocommit(False)
    driver.begin_write()
    assert driver.pgconn.transaction_status == TransactionStatus.IDLE


def test_a_lost_connection_is_an_operational_error(driver: DirectConnection) -> None:
    with psycopg.connect(driver.info.dsn, password=driver.info.password, autocommit=True) as beside:
        beside.execute("SELECT pg_terminate_backend(%s)", [driver.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            driver.fetch_all("SELECT 1", [])
    assert driver.broken


def test_others_work_while_the_server_does(driver: DirectConnection) -> None:
    # Without this, a thread that kept the others from working would wait for the lock forever.
    driver.execute("SET statement_timeout = '60s'")
    with psycopg.connect(driver.info.dsn, password=driver.info.password, autocommit=True) as beside:
        beside.execute("SELECT pg_advisory_lock(1)")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(driver.fetch_all, "SELECT 1 FROM pg_advisory_lock(1)", [])
            wait_until(lambda: driver.awaiting and beside.execute(WAITING).fetchone())
            beside.execute("SELECT pg_advisory_unlock(1)")
            assert waiting.result() == [(1,)]


@pytest.mark.parametrize("is_direct", [True, False])
def test_a_server_that_became_a_standby_is_a_lost_connection(driver: DirectConnection, is_direct: bool) -> None:
    driver.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(psycopg.OperationalError):
        driver.run("DELETE FROM task", []) if is_direct else driver.execute("DELETE FROM task")
    assert driver.closed
