"""Upgrades of two live nodes under load, and nodes whose version or settings do not fit the others."""

import contextlib
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from changegate import create_app
from changegate.database.schema import newest_migration
from changegate.factory import MIGRATIONS
from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import CHANGES
from tests.support.servers import COMMAND, Process, Running, environment_of, running_changegate, start, stop

prepare = import_module("changegate.cli.prepare")
OLDEST = "0052"
OWN = newest_migration(MIGRATIONS)
NEXT, LAST = (f"{int(OWN) + step:04d}" for step in (1, 2))
# What a later version might add, and then take away.
EXPANSION = f"""
import sqlalchemy as sa
from alembic import op
from changegate.database.schema import create_index_online

revision, down_revision, branch_labels, depends_on = "{NEXT}", "{OWN}", None, None


def upgrade():
    op.add_column("task", sa.Column("later", sa.String(length=40), nullable=True))
    create_index_online("ix_task_later", "task", ["later"])


def downgrade():
    op.drop_index("ix_task_later", "task")
    op.drop_column("task", "later")
"""
CONTRACTION = f"""
from alembic import op

revision, down_revision, branch_labels, depends_on = "{LAST}", "{NEXT}", None, None
breaks_older_versions = True


def upgrade():
    op.execute("SELECT 1")


def downgrade():
    pass
"""
# A migration that freezes its node while it has a lock on a table, and one that takes longer than a node may be silent.
ADDITION = 'op.add_column("task"'
FREEZE = """op.add_column("task", sa.Column("first", sa.Integer()))
    print("frozen", flush=True)
    signal.raise_signal(signal.SIGSTOP)
    """
FREEZING = "import signal\n" + EXPANSION.replace(ADDITION, FREEZE + ADDITION)
LONG = EXPANSION.replace(ADDITION, f'op.execute("SELECT pg_sleep(3)")\n    {ADDITION}')
QUICK_LIMITS = """
from importlib import import_module
import_module("changegate.database.schema").MOST_IDLE_SECONDS = 1
import_module("changegate.cli.prepare").SECONDS_BETWEEN_SIGNS_OF_LIFE = 0.1
"""
SETTINGS = {"admin_password": ADMIN_PASSWORD, "ratelimit_enabled": "0", "secret_key": "s" * 40}
ADDRESS = "https://change.example.com"


@pytest.fixture
def folder_of_later_version(tmp_path: Path) -> Path:
    """Return the migrations of a version that is one expansion ahead."""
    copied = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "versions" / f"{NEXT}_expansion.py").write_text(EXPANSION)
    return copied


def start_later_version(folder: Path, instance: Path, *arguments: str, patches: str = "", **settings: str) -> Process:
    """Start a command, `prepare` by default, of the version that has the migrations of a folder."""
    patches += f"import pathlib, changegate.factory\nchangegate.factory.MIGRATIONS = pathlib.Path({str(folder)!r})"
    environment = environment_of(instance, **SETTINGS | settings)
    return start(arguments or ["prepare"], environment, code=f"{patches}\n{COMMAND}", merges_errors=True)


def run_later_version(folder: Path, instance: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """Run such a command; return its exit code and output."""
    process = start_later_version(folder, instance, *arguments, **settings)
    output, _ = process.communicate(timeout=120)
    assert process.returncode is not None
    return process.returncode, output


@contextlib.contextmanager
def creating(nodes: list[Running]) -> Iterator[list[int]]:
    """Create changes at all nodes while the block runs; give the statuses of the answers."""
    statuses: list[int] = []
    done = threading.Event()

    def create(node: Running) -> None:
        while not done.is_set():
            body = {"short_description": "x"}
            answer = requests.post(node.url + CHANGES, json=body, auth=("admin", ADMIN_PASSWORD), timeout=60)
            statuses.append(answer.status_code)

    with ThreadPoolExecutor() as pool:
        workers = [pool.submit(create, node) for node in nodes]
        try:
            while len(statuses) < 10:
                done.wait(0.01)
            yield statuses
            enough = len(statuses) + 10
            while len(statuses) < enough:
                done.wait(0.01)
        finally:
            done.set()
        for worker in workers:
            worker.result()


def ready(node: Running) -> tuple[int, Any]:
    answer = requests.get(f"{node.url}/readyz", timeout=60)
    return answer.status_code, answer.json()


def test_a_live_pair_is_upgraded_under_load(
    prepared_postgres: str, folder_of_later_version: Path, tmp_path: Path
) -> None:
    later, settings = folder_of_later_version, {"database_url": prepared_postgres}
    serve = [running_changegate(tmp_path / name, **SETTINGS, **settings) for name in ("one", "two")]
    with serve[0] as one, serve[1] as two:
        with creating([one, two]) as statuses:
            assert run_later_version(later, tmp_path / "later", "prepare", **settings)[0] == 0
        assert set(statuses) == {201}
        schema = {"database": NEXT, "oldest": OLDEST, "node": OWN}
        assert ready(one) == ready(two) == (200, {"status": "ready", "jobs": "ok", "schema": schema})

        # The old version still starts, beside a node that goes on.
        stop(two.process)
        with running_changegate(tmp_path / "two", **SETTINGS, **settings) as again:
            assert again.process.stdout is not None
            assert f"schema {NEXT} of a newer version" in again.process.stdout.readline()
            with creating([one, again]) as statuses:
                pass
            assert set(statuses) == {201}

        (later / "versions" / f"{LAST}_contraction.py").write_text(CONTRACTION)
        assert run_later_version(later, tmp_path / "later", "prepare", **settings)[0] == 0
        status, refused = ready(one)
        assert status == 503
        assert "Install the newer version on this node." in refused["error"]["detail"]
        code, output = run_later_version(MIGRATIONS, tmp_path / "one", "prepare", **settings)
    assert code == 1
    assert f"needs schema {LAST} or newer; this node has {OWN}" in output


def test_a_migration_waits_for_a_table_only_briefly_and_then_tries_again(
    prepared_postgres: str, folder_of_later_version: Path, tmp_path: Path
) -> None:
    with psycopg.connect(prepared_postgres.replace("+psycopg", "")) as holder:
        holder.execute("LOCK TABLE task IN ACCESS SHARE MODE")
        process = start_later_version(folder_of_later_version, tmp_path / "later", database_url=prepared_postgres)
        assert process.stdout is not None
        assert "Trying again" in process.stdout.readline()
        # Others still use the table: nothing waits in front of them for longer than an attempt.
        assert holder.execute("SELECT count(*) FROM task").fetchone() == (0,)
        holder.rollback()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        assert holder.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_task_later'::regclass").fetchone()


def test_a_node_that_waits_for_another_one_to_migrate_does_not_stop_the_building_of_an_index(
    prepared_postgres: str, folder_of_later_version: Path, tmp_path: Path
) -> None:
    address = prepared_postgres.replace("+psycopg", "")
    with psycopg.connect(address) as holder, psycopg.connect(address, autocommit=True) as builder:
        holder.execute(b"SELECT pg_advisory_xact_lock(%d)" % prepare.UPGRADE_LOCK)
        process = start_later_version(folder_of_later_version, tmp_path / "later", database_url=prepared_postgres)
        assert process.stdout is not None
        assert "Another node migrates the database" in process.stdout.readline()
        # Otherwise, it would wait as long as the node that waits for the lock: forever, if its builder has the lock.
        builder.execute("SET statement_timeout = '60s'")
        builder.execute("CREATE INDEX CONCURRENTLY ix_beside ON task (sys_mod_count, number)")
        holder.rollback()
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output


def test_a_node_that_is_frozen_while_it_migrates_stops_no_other_node(
    prepared_postgres: str, folder_of_later_version: Path, tmp_path: Path
) -> None:
    options = {"patches": QUICK_LIMITS, "database_url": prepared_postgres}
    migration = folder_of_later_version / "versions" / f"{NEXT}_expansion.py"
    migration.write_text(FREEZING)
    frozen = start_later_version(folder_of_later_version, tmp_path / "frozen", **options)
    try:
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "frozen\n"
        migration.write_text(LONG)
        code, output = run_later_version(folder_of_later_version, tmp_path / "later", **options)
        assert code == 0, output
        frozen.send_signal(signal.SIGCONT)
        output, _ = frozen.communicate(timeout=120)
        assert frozen.returncode == 1
        assert "The database cannot be used" in output
    finally:
        stop(frozen)


def test_nodes_add_the_records_of_the_first_start_one_after_the_other(
    prepared_postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seed(_password: str | None) -> None:
        with psycopg.connect(prepared_postgres.replace("+psycopg", "")) as other:
            attempt = b"SELECT pg_try_advisory_xact_lock(%d)" % prepare.UPGRADE_LOCK
            assert other.execute(attempt).fetchone() == (False,)

    monkeypatch.setattr(prepare, "seed_first_start", seed)
    app = create_app(instance_path=tmp_path / "instance", overrides={"database_url": prepared_postgres})
    assert prepare.prepare_instance(app) is None


def test_an_index_that_was_not_finished_is_built_again(
    prepared_postgres: str, folder_of_later_version: Path, tmp_path: Path
) -> None:
    with psycopg.connect(prepared_postgres.replace("+psycopg", ""), autocommit=True) as beside:
        beside.execute("CREATE INDEX ix_task_later ON task (number)")
        beside.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_task_later'::regclass")
        code, output = run_later_version(
            folder_of_later_version, tmp_path / "later", "prepare", database_url=prepared_postgres
        )
        assert code == 0, output
        [(definition,)] = beside.execute("SELECT pg_get_indexdef('ix_task_later'::regclass)").fetchall()
        assert definition.endswith("(later)")


@pytest.mark.parametrize(("name", "other"), [("secret_key", "o" * 40), ("base_url", "https://other.example.com")])
def test_a_node_whose_settings_differ_does_not_start_until_they_are_accepted(
    prepared_postgres: str, tmp_path: Path, name: str, other: str
) -> None:
    settings = SETTINGS | {"database_url": prepared_postgres, "base_url": ADDRESS}
    differing = settings | {name: other}
    with running_changegate(tmp_path / "one", **settings) as node:
        for arguments in (("serve", "--port", "1"), ("worker",), ("job", "list")):
            code, output = run_with(differing, tmp_path / "two", *arguments)
            assert code == 1
            assert f"CHANGEGATE_{name.upper()} differs from that of the other nodes" in output
            assert (f"({other} instead of {ADDRESS})" in output) == (name == "base_url")
            assert name == "base_url" or other not in output
        assert node.changegate("job", "list").returncode == 0
    code, output = run_with(differing, tmp_path / "two", "cluster", "accept")
    assert (code, output) == (
        0,
        "Recorded CHANGEGATE_SECRET_KEY and CHANGEGATE_BASE_URL. Restart all nodes with the same values.\n",
    )
    assert run_with(differing, tmp_path / "two", "job", "list")[0] == 0
    assert run_with(settings, tmp_path / "one", "job", "list")[0] == 1


def run_with(settings: dict[str, str], instance: Path, *arguments: str) -> tuple[int, str]:
    process = start(arguments, environment_of(instance, **settings), merges_errors=True)
    output, _ = process.communicate(timeout=120)
    assert process.returncode is not None
    return process.returncode, output


def test_a_base_url_that_is_not_set_is_not_compared(prepared_postgres: str, tmp_path: Path) -> None:
    settings = SETTINGS | {"database_url": prepared_postgres}
    with running_changegate(tmp_path / "one", **settings, base_url=ADDRESS):
        with running_changegate(tmp_path / "two", **settings) as other:
            assert ready(other)[0] == 200
            other.process.send_signal(signal.SIGTERM)
            assert other.process.wait(60) == 0
