"""Servers of PostgreSQL that freeze, vanish, or change behind a proxy: no wait for them lasts, and no other is cut."""

import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from changegate import create_app
from changegate.database import commit, connection, driver_of, pool, postgres, request_time, silence
from changegate.database.postgres import DirectConnection
from changegate.extensions import db
from tests.conftest import ADMIN_PASSWORD, basic
from tests.support.faulty_route import FaultyRoute
from tests.support.postgres import running_cluster
from tests.support.servers import wait_until
from tests.support.table_api import CHANGES

# Far more than any bound here, so that a slow machine fails no test, and far less than the hours of a wait without one.
GENEROUS_SECONDS = 100
QUICK = 0.2


@pytest.fixture(autouse=True)
def quick_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten what the watch waits for; the probe itself keeps its time."""
    for name in ("WATCH_SECONDS", "PROBE_AFTER", "MOST_SECONDS_FOR_STANDBY"):
        monkeypatch.setattr(silence, name, QUICK)


def create(app: Flask) -> int:
    """Create a change and return the status of the answer, which is complete."""
    answer = app.test_client().post(CHANGES, json={"short_description": "x"}, headers=basic("admin", ADMIN_PASSWORD))
    if answer.status_code != 201:
        assert answer.status_code == 503
        assert answer.get_json()["status"] == "failure"
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["X-Request-Id"]
    return answer.status_code


def count_changes(app: Flask) -> int:
    with app.app_context():
        return int(connection().execute(text("SELECT count(*) FROM task")).scalar_one())


def lasts(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_a_server_that_freezes_costs_each_request_a_503_and_none_later(routed_app: Flask, route: FaultyRoute) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: create(routed_app), range(8))) == {201}
        route.is_passing = False
        assert set(threads.map(lambda _: create(routed_app), range(8))) == {503}
        route.is_passing = True
        assert set(threads.map(lambda _: create(routed_app), range(8))) == {201}
    assert count_changes(routed_app) == 16


def test_connections_that_were_reset_are_replaced(routed_app: Flask, route: FaultyRoute) -> None:
    assert create(routed_app) == 201
    for _ in range(3):
        route.reset_all()
        statuses = [create(routed_app) for _ in range(3)]
        # The first request may find the loss. All others get new connections.
        assert statuses[1:] == [201, 201]


def error_message(code: bytes, text: bytes) -> bytes:
    """Return a fatal error as PostgreSQL's protocol sends it."""
    fields = b"SFATAL\0VFATAL\0C" + code + b"\0M" + text + b"\0\0"
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@pytest.mark.parametrize("ends", [commit, lambda: connection().execute(text("SELECT 1"))])
def test_a_pooler_that_passes_on_why_its_server_ended_and_hangs_up_is_a_lost_connection(
    routed_app: Flask, route: FaultyRoute, ends: Callable[[], object]
) -> None:
    """PgBouncer during a switchover: for libpq, the errors of server and pooler are two results of one command."""
    with routed_app.app_context():
        driver = driver_of(connection())
        driver.begin_write()
        route.farewell = error_message(b"57P01", b"terminating connection") + error_message(
            b"08P01", b"server conn crashed?"
        )
        with pytest.raises(OperationalError):
            ends()
    route.farewell = b""
    assert driver.closed
    assert create(routed_app) == 201


def test_a_server_that_does_not_answer_a_new_connection_is_a_503(routed_app: Flask, route: FaultyRoute) -> None:
    route.is_passing = False
    assert lasts(lambda: create(routed_app)) < GENEROUS_SECONDS
    assert create(routed_app) == 503
    route.is_passing = True
    assert create(routed_app) == 201


def run_silently(app: Flask, statement: str, found: list[Any]) -> threading.Thread:
    """Run a statement on a thread; `found` gets its connection, then its value or error."""

    def work() -> None:
        with app.app_context():
            driver = driver_of(connection())
            found.append(driver)
            try:
                found.append(driver.fetch_all(statement, []))
            except psycopg.OperationalError as problem:
                found.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: found and found[0].awaiting)
    return thread


def test_a_proxy_that_changed_its_server_is_noticed(
    prepared_postgres: str, routed_app: Flask, route: FaultyRoute
) -> None:
    """New connections lead to a server that does not know the statement; the old one stays open without a byte."""
    found: list[Any] = []
    target = route.target
    thread = run_silently(routed_app, "SELECT 1 FROM pg_sleep(0.5)", found)
    route.leave(target)
    thread.join(GENEROUS_SECONDS)
    assert isinstance(found[1], psycopg.OperationalError)


def test_a_statement_that_takes_long_is_not_cut(routed_app: Flask) -> None:
    found: list[Any] = []
    run_silently(routed_app, "SELECT 1 FROM pg_sleep(3)", found).join(GENEROUS_SECONDS)
    assert found[1] == [(1,)]


def test_a_statement_that_was_just_answered_is_not_cut(routed_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server no longer runs the statement, but the thread reads the answer only when the watch has asked."""
    found: list[Any] = []
    is_asked, may_read, require_success = threading.Event(), threading.Event(), DirectConnection._require_success

    def read_late(driver: DirectConnection, result: Any) -> Any:
        may_read.wait(GENEROUS_SECONDS)
        return require_success(driver, result)

    def is_lost(*_: Any) -> bool:
        is_asked.set()
        return True

    def sleep(seconds: float) -> None:
        if is_asked.is_set():
            may_read.set()
            wait_until(lambda: not found[0].awaiting)
        time.sleep(seconds)

    monkeypatch.setattr(DirectConnection, "_require_success", read_late)
    monkeypatch.setattr(silence, "_is_lost", is_lost)
    monkeypatch.setattr(silence, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    run_silently(routed_app, "SELECT 1", found).join(GENEROUS_SECONDS)
    assert found[1] == [(1,)]
    assert not found[0]._is_cut


def test_a_connection_that_was_cut_after_its_last_answer_is_not_used_again(routed_app: Flask) -> None:
    with routed_app.app_context():
        driver_of(connection()).cut()
    assert create(routed_app) == 201


def test_a_request_out_of_time_is_cut_where_the_server_knows_no_limit(
    routed_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_time, "SECONDS_TO_END", -request_time.MAX_EXECUTION_TIME.total_seconds())
    monkeypatch.setattr(silence, "PROBE_AFTER", GENEROUS_SECONDS)

    @routed_app.get("/api/now/endless")
    def endless() -> str:
        driver_of(connection()).execute("SET statement_timeout = 0")
        return str(connection().execute(text("SELECT pg_sleep(3600)")).scalar_one())

    assert routed_app.test_client().get("/api/now/endless").status_code == 503


@pytest.mark.parametrize(
    ("found", "seconds", "is_lost"),
    [
        (None, 1, True),
        (("active", ""), 1000, False),
        (("idle", "ClientRead"), 1, True),
        (("idle in transaction", "ClientRead"), 1, True),
        (("active", "SyncRep"), 0.1, False),
        (("active", "SyncRep"), 10, True),
        (("disabled", ""), 1000, False),
    ],
)
def test_what_the_server_says_of_a_statement(found: tuple[str, str] | None, seconds: float, is_lost: bool) -> None:
    assert silence._is_lost(found, seconds) == is_lost


@pytest.fixture
def strict_cluster() -> Iterator[None]:
    """Make every commit wait for a standby that does not exist."""
    cluster = running_cluster()
    cluster.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
    cluster.execute("SELECT pg_reload_conf()")
    yield
    cluster.execute("ALTER SYSTEM RESET synchronous_standby_names")
    cluster.execute("SELECT pg_reload_conf()")


def test_a_commit_that_waits_for_a_silent_standby_is_a_503(routed_app: Flask, request: pytest.FixtureRequest) -> None:
    assert create(routed_app) == 201
    request.getfixturevalue("strict_cluster")
    wait_until(lambda: create(routed_app) == 503)
    assert routed_app.test_client().get("/readyz").status_code == 200


def test_a_server_without_room_for_the_probe_is_not_silent(routed_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise psycopg.OperationalError("sorry, too many clients already")

    found: list[Any] = []
    monkeypatch.setattr(silence.psycopg, "connect", refuse)
    run_silently(routed_app, "SELECT 1 FROM pg_sleep(1)", found).join(GENEROUS_SECONDS)
    assert found[1] == [(1,)]


def test_idle_connections_are_dropped_when_one_is_lost(routed_app: Flask) -> None:
    def drivers() -> set[DirectConnection]:
        with routed_app.app_context():
            used = driver_of(connection())
            with db.engine.connect() as beside:
                return {used, driver_of(beside)}

    before = drivers()
    assert drivers() == before
    with routed_app.app_context():
        driver_of(connection()).close()
        with pytest.raises(OperationalError):
            connection().execute(text("SELECT 1"))
    after = drivers()
    assert not after & before
    assert all(driver.closed for driver in before)


def test_only_one_idle_connection_waits_for_a_silent_server(routed_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with routed_app.app_context():
        idle = [driver_of(connection())]
        with routed_app.app_context():
            idle.append(driver_of(connection()))
    asked: list[DirectConnection] = []
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0)
    monkeypatch.setattr(pool, "is_alive", asked.append)
    assert create(routed_app) == 201
    assert len(asked) == 1
    assert all(driver.closed for driver in idle)


def test_a_connection_has_a_maximum_age(routed_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def pids() -> set[int]:
        with routed_app.app_context():
            used = driver_of(connection())
            with db.engine.connect() as beside:
                return {used.pid, driver_of(beside).pid}

    before = pids()
    assert pids() == before
    monkeypatch.setattr(pool, "MOST_SECONDS_OPEN", -1)
    assert not pids() & before


def test_every_connection_has_limits_that_the_url_can_change(prepared_postgres: str, tmp_path: Path) -> None:
    given = {"connect_timeout": "7", "options": "-c statement_timeout=7s -c search_path=public"}
    url = make_url(prepared_postgres).update_query_dict(given)
    overrides = {"database_url": url.render_as_string(hide_password=False)}
    with create_app(instance_path=tmp_path, overrides=overrides).app_context():
        set_to = driver_of(connection()).info.get_parameters()
        names = ("statement_timeout", "search_path", "jit")
        shown = [connection().execute(text(f"SHOW {name}")).scalar_one() for name in names]
        db.session.close()
        db.engine.dispose()
    expected = {name: str(value) for name, value in (postgres.LIMITS | {"connect_timeout": 7}).items()}
    assert {name: set_to[name] for name in expected} == expected
    assert shown == ["7s", "public", "off"]


def test_a_pooler_that_refuses_options_gets_none(
    prepared_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connect, tried = psycopg.Connection.connect.__func__, []  # type: ignore[attr-defined]

    def as_pgbouncer(cls: Any, **options: Any) -> Any:
        tried.append("options" in options)
        if "options" in options:
            raise psycopg.OperationalError("FATAL: unsupported startup parameter: options")
        return connect(cls, **options)

    monkeypatch.setattr(DirectConnection, "connect", classmethod(as_pgbouncer))
    app = create_app(instance_path=tmp_path, overrides={"database_url": prepared_postgres})
    with app.app_context():
        assert connection().execute(text("SELECT 1")).scalar_one() == 1
        with db.engine.connect() as beside:
            assert beside.execute(text("SELECT 1")).scalar_one() == 1
        db.session.close()
        db.engine.dispose()
    # Only the first connection tries.
    assert tried == [True, False, False]
    assert caplog.text.count("the pooler refuses the time limit of statements") == 1


def test_other_refusals_of_a_connection_are_not_repeated(tmp_path: Path, prepared_postgres: str) -> None:
    url = make_url(prepared_postgres).set(password="wrong").render_as_string(hide_password=False)
    with create_app(instance_path=tmp_path, overrides={"database_url": url}).app_context():
        with pytest.raises(OperationalError):
            connection()
