"""The log of an SQLite database is copied into its file while nobody can write, and the log stays small."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from changegate.database import QueuedConnection, checkpoints
from changegate.database.write_queue import write_queue_of

INSERT = "INSERT INTO t (x) VALUES (zeroblob(?))"
PAGE = 4096
PAGES = 200
# A write of ten pages.
SOME = 10 * PAGE


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", PAGES)
    path = str(tmp_path / "log.db")
    with closing(connected(path)) as made:
        made.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
    return path


@pytest.fixture
def writer(file: str) -> Iterator[QueuedConnection]:
    with closing(sqlite3.connect(file, factory=QueuedConnection, isolation_level=None)) as opened:
        opened.execute("PRAGMA wal_autocheckpoint = 0")
        yield opened


def connected(file: str) -> sqlite3.Connection:
    opened = sqlite3.connect(file, timeout=0, isolation_level=None)
    opened.execute("PRAGMA wal_autocheckpoint = 0")
    return opened


def try_to_write(file: str) -> str:
    with closing(connected(file)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            return str(problem)
    return "it wrote"


def test_nobody_can_write_while_the_log_is_copied(file: str, writer: QueuedConnection) -> None:
    attempts: list[str] = []
    writer.set_trace_callback(lambda text: attempts.append(try_to_write(file)) if "wal_checkpoint" in text else None)
    for _ in range(2 * PAGES // 10):
        writer.write_alone(INSERT, [SOME])
    assert attempts
    assert set(attempts) == {"database is locked"}
    assert try_to_write(file) == "it wrote"


def test_the_log_stays_small(file: str, writer: QueuedConnection) -> None:
    for _ in range(20):
        for size in (SOME, 0, 3 * SOME):
            for _ in range(10):
                writer.begin_write()
                writer.execute(INSERT, [size])
                writer.commit()
    assert writer.execute("SELECT count(*) FROM t").fetchone() == (600,)
    assert os.stat(f"{file}-wal").st_size < 2 * PAGES * PAGE


def test_the_log_is_copied_only_when_it_is_long(file: str, writer: QueuedConnection) -> None:
    copies: list[str] = []
    writer.set_trace_callback(lambda text: copies.append(text) if "wal_checkpoint" in text else None)
    for _ in range(3):
        writer.write_alone(INSERT, [PAGES * PAGE])
        assert len(copies) == 1
        copies.clear()
        for _ in range(PAGES // 4):
            writer.write_alone(INSERT, [0])
        assert not copies


def test_a_checkpoint_waits_for_the_writer_of_another_process(file: str, writer: QueuedConnection) -> None:
    log = write_queue_of(file).checkpoints
    with closing(connected(file)) as other:
        other.execute(INSERT, [2 * PAGES * PAGE])
        before = os.stat(file).st_size
        other.execute("BEGIN IMMEDIATE")
        log.note_commit(writer)
        assert os.stat(file).st_size == before
        other.execute("ROLLBACK")
        log.note_commit(writer)
    assert os.stat(file).st_size > 2 * PAGES * PAGE


def test_a_database_in_memory_has_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(":memory:", factory=QueuedConnection, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
        for _ in range(2):
            writer.write_alone(INSERT, [0])
    assert not list(tmp_path.iterdir())
