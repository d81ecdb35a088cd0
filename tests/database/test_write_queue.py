"""Writes that wait for each other are committed together, and each caller gets the outcome of its own write."""

import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from changegate.database import QueuedConnection, drivers
from changegate.database.write_queue import MOVED, SharedWrite, write_queue_of, write_together

TIMEOUT = 10.0
INSERT = "INSERT INTO t VALUES (?)"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "queue.db")
    with closing(sqlite3.connect(path)) as made:
        made.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER PRIMARY KEY)")
    return path


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def opened(file: str) -> QueuedConnection:
    connection = sqlite3.connect(file, factory=QueuedConnection, check_same_thread=False, timeout=0.1)
    connection.isolation_level = None
    return connection


def write(file: str, value: Any) -> None:
    with closing(opened(file)) as connection:
        connection.write_alone(INSERT, [value])


def values(file: str) -> list[int]:
    with closing(sqlite3.connect(file)) as reader:
        return [value for (value,) in reader.execute("SELECT x FROM t ORDER BY x")]


def write_behind(file: str, pool: ThreadPoolExecutor, *wanted: Any) -> list[Future[None]]:
    """Let writes wait until all of them do, then let them go on."""
    queue = write_queue_of(file)
    with queue.lock:
        futures = [pool.submit(write, file, value) for value in wanted]
        while len(queue._waiting) < len(wanted):
            threading.Event().wait(0.01)
    return futures


def frames(file: str) -> int:
    """Return how many commits the write-ahead log holds: frames that say how large the database is after them."""
    log = Path(f"{file}-wal").read_bytes()
    page = int.from_bytes(log[8:12])
    sizes = [int.from_bytes(log[at + 4 : at + 8]) for at in range(32, len(log), page + 24)]
    return sum(1 for size in sizes if size)


def test_writes_that_wait_share_one_commit(file: str, pool: ThreadPoolExecutor) -> None:
    with closing(sqlite3.connect(file)) as keeps_the_log:
        keeps_the_log.execute("SELECT x FROM t").fetchall()
        for future in write_behind(file, pool, 1, 2, 3, 4, 5):
            future.result(TIMEOUT)
        assert values(file) == [1, 2, 3, 4, 5]
        assert frames(file) == 1


def test_a_write_that_violates_a_constraint_fails_alone(file: str, pool: ThreadPoolExecutor) -> None:
    write(file, 3)
    good, taken, other = write_behind(file, pool, 1, 3, 5)
    good.result(TIMEOUT)
    other.result(TIMEOUT)
    with pytest.raises(sqlite3.IntegrityError):
        taken.result(TIMEOUT)
    assert values(file) == [1, 3, 5]


@pytest.mark.parametrize("value", ["\ud800", 2**70, object()])
def test_a_write_with_invalid_parameters_fails_alone(file: str, pool: ThreadPoolExecutor, value: Any) -> None:
    good, bad = write_behind(file, pool, 1, value)
    good.result(TIMEOUT)
    with pytest.raises((ValueError, OverflowError, sqlite3.Error)):
        bad.result(TIMEOUT)
    assert values(file) == [1]


def test_of_two_equal_writes_the_first_succeeds(file: str, pool: ThreadPoolExecutor) -> None:
    outcomes = [future.exception(TIMEOUT) for future in write_behind(file, pool, 7, 7, 7)]
    assert [type(outcome) for outcome in outcomes].count(type(None)) == 1
    assert values(file) == [7]


def test_a_failed_commit_is_the_failure_of_each_of_its_writes(file: str) -> None:
    with closing(opened(file)) as connection, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = [SharedWrite(INSERT, [value]) for value in (1, 2)]
        write_together(connection, writes)
        assert all(isinstance(each.error, sqlite3.OperationalError) and each.is_done for each in writes)
        assert not connection.in_transaction
    assert values(file) == []


def test_no_write_is_reported_as_committed_if_it_was_not(file: str) -> None:
    class Broken(SharedWrite):
        def run(self, _at_work: sqlite3.Connection) -> None:
            raise MemoryError

    with closing(opened(file)) as connection:
        writes = [SharedWrite(INSERT, [1]), Broken(INSERT, [2]), SharedWrite(INSERT, [3])]
        write_together(connection, writes)
        assert all(isinstance(each.error, MemoryError) for each in writes)
    assert values(file) == []


def test_a_write_that_waited_too_long_reports_a_busy_database(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "BUSY_TIMEOUT", drivers.BUSY_TIMEOUT / 100)
    queue = write_queue_of(file)
    with queue.lock, closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write(file, 1)
    assert queue.take_all() == []


def test_a_write_taken_along_at_the_last_moment_waits_for_its_commit(
    file: str, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "BUSY_TIMEOUT", drivers.BUSY_TIMEOUT / 10)
    queue = write_queue_of(file)
    with queue.lock, closing(opened(file)) as leader:
        waiting = pool.submit(write, file, 1)
        while not queue._waiting:
            threading.Event().wait(0.01)
        taken = queue.take_all()
        threading.Event().wait(1.5)
        assert not waiting.done()
        write_together(leader, taken)
    waiting.result(TIMEOUT)
    assert values(file) == [1]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_nothing_is_written_to_a_file_that_was_moved(file: str, tmp_path: Path, *, is_replaced: bool) -> None:
    with closing(opened(file)) as connection:
        connection.write_alone(INSERT, [1])
        moved = Path(file).rename(tmp_path / "moved.db")
        if is_replaced:
            shutil.copy(moved, file)
        with pytest.raises(sqlite3.OperationalError, match=MOVED):
            connection.write_alone(INSERT, [2])
        with pytest.raises(sqlite3.OperationalError, match=MOVED):
            connection.begin_write()
        # Others wait for no lock, and the file is used again once it is back.
        moved.rename(file)
        connection.write_alone(INSERT, [3])
    assert values(file) == [1, 3]


def test_each_database_has_its_own_write_queue(tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_queue_of("queue.db") is write_queue_of(file)
    assert write_queue_of(file) is not write_queue_of(str(tmp_path / "other.db"))
    assert write_queue_of(":memory:") is not write_queue_of(":memory:")


OTHER_WRITER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], timeout=0)
try:
    other.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as problem:
    print(problem)
"""


def test_another_connection_takes_no_lock_from_the_first(tmp_path: Path) -> None:
    # Without WAL, the locks are on the file itself.
    path = str(tmp_path / "locked.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as first:
        first.execute("BEGIN IMMEDIATE")
        opened(path).close()
        command = [sys.executable, "-c", OTHER_WRITER, path]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "database is locked\n"
