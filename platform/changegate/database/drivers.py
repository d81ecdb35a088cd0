"""SQLite connections that queue before they write, and functions for both drivers: dialects, interruption, liveness."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Dialect

from changegate.database.request_time import find_request_time
from changegate.database.turns import end_long_turn, end_turn
from changegate.database.write_queue import PlacedConnection, SharedWrite, write_queue_of, write_together
from changegate.instance_files import open_private

BUSY_TIMEOUT = timedelta(seconds=10)
# After this many instructions of its virtual machine, SQLite calls the progress handler. They take about a millisecond.
# SQLite counts those of all runs of a statement: with 1,000, every second creation of a change would stop for a look,
# holding the write lock while it waits for Python's.
STEPS_BETWEEN_LOOKS = 10_000
# A text search needs about four instructions for each value, and one of them takes up to 4 ms in the largest values.
SEARCH = "instr("
STEPS_BETWEEN_LOOKS_OF_SEARCHES = 100
_INTERRUPTED = frozenset({"57014", "SQLITE_INTERRUPT"})


class QueuedConnection(PlacedConnection):
    """An SQLite connection that waits in the write queue before it writes and leaves it after commit or rollback.

    Each connection is used by one thread at a time. `write_queue` shows who waits for whom.
    """

    # True while this connection holds the lock of the write queue.
    _may_write = False
    _steps = 0

    def __init__(self, database: str | Path, *arguments: Any, **options: Any) -> None:
        _create_private(database)
        super().__init__(database, *arguments, **options)
        self._queue = write_queue_of(database)

    def has_to_end(self) -> bool:
        """Return whether the request is out of time or is refused a place; SQLite then interrupts the statement.

        This is the progress handler: SQLite calls it during every statement that is not short. It also ends a long
        turn, so that other requests do not wait for this statement.
        """
        end_long_turn()
        request = find_request_time()
        # A request that has begun to write is never refused a place: the caller would have to send all of it again.
        return request is not None and request.look(may_refuse=not self.in_transaction) is not None

    def look_during(self, text: str) -> None:
        """Set how often SQLite calls `has_to_end` during the next statement."""
        steps = _steps_between_looks(text)
        if steps != self._steps:
            self._steps = steps
            self.set_progress_handler(self.has_to_end, steps)

    def fetch_all(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Return all rows of a statement. Raises SQLite's errors."""
        self.look_during(text)
        with closing(self.execute(text, parameters)) as cursor:
            return cursor.fetchall()

    def run(self, text: str, parameters: Sequence[Any]) -> int:
        """Run a write and return how many rows it changed. Raises SQLite's errors."""
        with closing(self.execute(text, parameters)) as cursor:
            return cursor.rowcount

    def begin_write(self) -> None:
        """Begin a transaction that holds the write lock; does nothing if a transaction is open."""
        if self.in_transaction:
            return
        # It is not taken again before the commit: a thread that waits for its turn while it holds the write lock would
        # stop every other writer.
        end_turn()
        self._queue_up()
        try:
            self.require_in_place()
            # Also without the lock of the queue, after its timeout: SQLite then decides, and reports that it is busy.
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            self._let_next_write()
            raise

    def write_alone(self, text: str, parameters: Any) -> None:
        """Run one write that is its whole transaction; it is committed when this returns.

        All writes that wait in the queue are committed together, because most of a commit is waiting for the disk. A
        write that violates a constraint fails alone. Raises SQLite's errors.
        """
        write = SharedWrite(text, parameters)
        # Not taken again afterwards: waiting for it would delay the response of a request that is nearly done.
        end_turn()
        # First the list, then the lock: the thread that has the lock now may commit this write as well.
        self._queue.join(write)
        self._queue_up()
        try:
            self._carry_out(write)
        finally:
            self._let_next_write()
        if write.error is not None:
            raise write.error

    def _carry_out(self, write: SharedWrite) -> None:
        if self._may_write:
            # If it is done, a thread that had the lock earlier has taken it along.
            if not write.is_done:
                write_together(self, self._queue.take_all())
        elif self._queue.withdraw(write):
            # The queue has not moved until the timeout. SQLite decides as in `begin_write`: it writes or reports busy.
            write_together(self, [write])
        else:
            # Another thread has taken it along and is executing it. It holds the lock until the outcome is known.
            self._may_write = self._queue.lock.acquire()

    def _queue_up(self) -> None:
        self._may_write = self._queue.lock.acquire(timeout=BUSY_TIMEOUT.total_seconds())

    def commit(self) -> None:
        """Commit, then release the write queue."""
        try:
            super().commit()
        finally:
            self._let_next_write()

    def rollback(self) -> None:
        """Roll back, then release the write queue."""
        try:
            super().rollback()
        finally:
            self._let_next_write()

    def close(self) -> None:
        """Close the connection, which rolls back an open transaction, and release the write queue."""
        may_write, self._may_write = self._may_write, False
        try:
            super().close()
        finally:
            if may_write:
                self._queue.lock.release()

    def _let_next_write(self) -> None:
        # A commit that failed because the database was busy keeps its transaction, and so the lock, until the rollback.
        if self._may_write and not self.in_transaction:
            self._may_write = False
            try:
                self._queue.checkpoints.note_commit(self)
            finally:
                self._queue.lock.release()


# Statements of several thousand characters are run again and again.
@lru_cache(maxsize=512)
def _steps_between_looks(text: str) -> int:
    return STEPS_BETWEEN_LOOKS_OF_SEARCHES if SEARCH in text else STEPS_BETWEEN_LOOKS


def _create_private(database: str | Path) -> None:
    """Create a database file with mode 0600, which SQLite copies to its other files; it would itself use the umask."""
    if str(database) in ("", ":memory:"):
        return
    # O_EXCL: an existing file must not be opened. Closing any descriptor of it drops the locks that this process holds
    # on it (fcntl(2)), and two writers would destroy the database.
    with suppress(OSError):  # the file exists, or SQLite will report the problem more precisely
        os.close(open_private(str(database), os.O_RDWR | os.O_CREAT | os.O_EXCL))


@lru_cache(maxsize=16)
def positional(dialect: Dialect) -> Dialect:
    """Return the dialect that compiles statements for `fetch_all` and `run`, whose parameters are a list.

    For psycopg, SQLAlchemy compiles named parameters, which psycopg has to find in the text at every execution.
    PostgreSQL itself uses numbers: $1, $2.
    """
    make: Any = type(dialect)
    return dialect if dialect.positional else cast("Dialect", make(paramstyle="numeric_dollar", dbapi=dialect.dbapi))


def in_time_zone(zone: str, stored: str | None) -> str | None:
    """Return a stored UTC time as local time of a zone; an SQL function for SQLite, which has no time zones."""
    if stored is None:
        return None
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).isoformat(" ")[:19]


def is_interrupted(problem: Exception) -> bool:
    """Return whether a database ended a statement because it was interrupted, canceled, or out of time."""
    code = getattr(problem, "sqlstate", None) or getattr(problem, "sqlite_errorname", None)
    return code in _INTERRUPTED


def kind_of(problem: BaseException) -> str:
    """Return the kind of an error for logs, without its text, which may contain values.

    PostgreSQL's driver has a class for each kind, such as a full disk; SQLite's has codes.
    """
    original = getattr(problem, "orig", None) or problem
    code = getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__} ({code})" if code else type(original).__name__


def is_alive(driver: Any) -> bool:
    """Return whether the database answers; a database file always does."""
    try:
        return isinstance(driver, QueuedConnection) or bool(driver.execute("SELECT 1"))
    except psycopg.Error:
        return False
