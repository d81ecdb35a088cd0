"""`changegate prepare`, and instances that are not ready."""

import fcntl
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import flask_migrate
import pytest
from sqlalchemy.exc import OperationalError

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.database import connection
from tests.cli.conftest import Run
from tests.support.postgres import running_cluster
from tests.support.servers import environment_of, free_port, start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


def test_prepares_a_new_instance_and_shows_the_password_once(run: Run, folder: Path) -> None:
    first, second = run("prepare"), run("prepare")

    assert (first.code, second.code) == (0, 0)
    assert "the password" in first.out and "(shown only once)" in first.out
    assert second.out == f"{folder} is ready.\n"


def test_a_second_process_shows_that_it_waits(folder: Path) -> None:
    folder.mkdir()
    with (folder / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(["prepare"], environment_of(folder), merges_errors=True)
        assert process.stdout is not None
        assert process.stdout.readline() == ("Another process prepares this instance. Waiting until it has finished.\n")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def test_a_folder_that_is_not_writable_is_named_with_a_remedy(run: Run, folder: Path) -> None:
    # Not even root can write a file there.
    (folder / "prepare.lock").mkdir(parents=True)
    refused = run("prepare")
    assert (refused.code, f"{folder} must be writable" in refused.err, "Give this user" in refused.err) == (
        1,
        True,
        True,
    )


def test_preparing_again_changes_nothing(run: Run, folder: Path) -> None:
    run("prepare")
    before = _dump(folder)
    run("prepare")

    assert _dump(folder) == before


def _dump(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "changegate.db")) as database:
        # The index of texts cannot be read as a table, but what it consists of can.
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'task_text'"
        names = database.execute(tables).fetchall()
        rows = [f"{name}: {row}" for (name,) in names for row in database.execute(f'SELECT * FROM "{name}"')]
        return [*rows, *map(str, database.execute("SELECT * FROM sqlite_master"))]


def test_a_given_password_is_not_shown(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEGATE_ADMIN_PASSWORD", "correct horse battery")

    assert run("prepare").out == f"{folder} is ready.\n"


def test_the_secret_key_is_for_its_owner_only(run: Run, folder: Path) -> None:
    run("prepare")

    assert os.stat(folder / "secret_key").st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "arguments", [("user", "list"), ("integration", "list"), ("integration", "disable", "x"), ("user", "create", "x")]
)
def test_other_commands_ask_for_it(run: Run, arguments: tuple[str, ...]) -> None:
    run(*arguments).assert_refused("run `changegate prepare` first")


@pytest.mark.parametrize("arguments", [("purge", "--dry-run"), ("worker",), ("token-key", "list")])
def test_other_commands_ask_for_it_after_an_upgrade(run: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    run("prepare")
    with closing(sqlite3.connect(folder / "changegate.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0065'")

    run(*arguments).assert_refused("The database has schema 0065, this node needs")


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("RATELIMIT_ENABLED", "maybe", "CHANGEGATE_RATELIMIT_ENABLED cannot be 'maybe'"),
        ("JWKS_REFETCH_COOLDOWN", "-1", "CHANGEGATE_JWKS_REFETCH_COOLDOWN"),
        ("JWKS_STALE_IF_ERROR", "86401", "CHANGEGATE_JWKS_STALE_IF_ERROR"),
        ("BASE_URL", "change.example.com", "CHANGEGATE_BASE_URL"),
        ("SECRET_KEY", "s3cret", "CHANGEGATE_SECRET_KEY"),
        ("JWKS_ALLOWED_NETWORKS", "10.0.0.0/33", "CHANGEGATE_JWKS_ALLOWED_NETWORKS"),
        ("DATABASE_URL", "nonsense", "CHANGEGATE_DATABASE_URL"),
        ("DATABASE_URL", "postgresql+psycopg://changegate:s3cret@127.0.0.1:1/x", "database cannot be used"),
        ("DATABASE_URL", "sqlite:////proc/nowhere/x.db", "database cannot be used"),
    ],
)
@pytest.mark.parametrize("command", [("prepare",), ("serve", "--port", str(free_port()))], ids=["prepare", "serve"])
def test_a_bad_setting_stops_the_start_with_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv(f"CHANGEGATE_{name}", value)

    refused = run(*command)

    refused.assert_refused(text)
    assert "s3cret" not in refused.err


def test_an_instance_folder_that_cannot_be_created_is_refused_with_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANGEGATE_INSTANCE_PATH", "/proc/nowhere")

    run("prepare").assert_refused("/proc/nowhere")


def test_an_invalid_database_is_refused_with_a_sentence(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "changegate.db").write_bytes(b"this is no database" * 100)

    run("prepare").assert_refused("database cannot be used")


def test_a_migration_for_which_the_disk_is_too_small_is_refused_with_the_reason(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("prepare")

    def upgrade() -> None:
        # As Alembic rebuilds a table. SQLite rolls back the transaction of a statement that found no space.
        connection().exec_driver_sql("BEGIN IMMEDIATE")
        connection().exec_driver_sql("CREATE TABLE rebuilt (value)")
        pages = connection().exec_driver_sql("PRAGMA page_count").scalar_one()
        connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        try:
            connection().exec_driver_sql("INSERT INTO rebuilt VALUES (zeroblob(1000000))")
        finally:
            connection().exec_driver_sql("DROP TABLE rebuilt")

    monkeypatch.setattr(flask_migrate, "upgrade", upgrade)
    run("prepare").assert_refused("The database cannot be used: database or disk is full")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_store_every_text_is_refused_with_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    cluster, name = running_cluster(), f"in_{encoding.lower()}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'")
    monkeypatch.setenv("CHANGEGATE_DATABASE_URL", cluster.url(name))
    try:
        run("prepare").assert_refused(f"its encoding is {encoding}. Create it with ENCODING 'UTF8'.")
    finally:
        cluster.drop_database(name)


def test_only_nodes_that_share_postgresql_accept_settings(run: Run) -> None:
    run("prepare")

    run("cluster", "accept").assert_refused("This instance uses SQLite")


def test_a_migration_that_was_locked_out_is_tried_again(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    class Locked(Exception):
        def __init__(self, sqlstate: str) -> None:
            self.sqlstate = sqlstate

    upgrade, problems = flask_migrate.upgrade, [Locked("55P03"), Locked("40P01")]

    def attempt() -> None:
        if problems:
            raise OperationalError("ALTER TABLE task", None, problems.pop())
        upgrade()

    monkeypatch.setattr(flask_migrate, "upgrade", attempt)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert prepare_instance(create_app(instance_path=folder))
    assert not problems
    problems.append(Locked("53300"))  # too many connections
    with pytest.raises(OperationalError):
        prepare_instance(create_app(instance_path=folder))
