"""The drivers' connections: how they begin to write, how long they may work, and whether they are still alive."""

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
from changegate.database.turns import end_long_turn, end_turn, out_of_turn
from changegate.database.write_line import SharedWrite, line_of, write_together
from changegate.instance_files import open_private

BUSY_TIMEOUT = timedelta(seconds=10)
# Instructions of SQLite's machine, which take some milliseconds together.
STEPS_BETWEEN_LOOKS = 1_000
# One instruction that looks for a text in the largest values takes up to 4 ms, and is one of about four for each value.
SEARCH = "instr("
STEPS_BETWEEN_LOOKS_OF_SEARCHES = 100
_INTERRUPTED = frozenset({"57014", "SQLITE_INTERRUPT"})


class QueuedConnection(sqlite3.Connection):
    """An SQLite connection that queues up before it writes and lets the next one in after commit or rollback."""

    _may_write = False
    _steps = 0

    def __init__(self, database: str | Path, *arguments: Any, **options: Any) -> None:
        _create_private(database)
        super().__init__(database, *arguments, **options)
        self._line = line_of(database)

    def has_to_end(self) -> bool:
        """Tell whether the request has had its time, or has no place to go on; SQLite then interrupts the statement.

        SQLite asks this during every statement that is not short. No other request is to wait for a long one.
        """
        end_long_turn()
        request = find_request_time()
        # A request that has begun to write is not refused a place: it would have to be sent again as a whole.
        return request is not None and request.look(may_refuse=not self.in_transaction) is not None

    def look_during(self, text: str) -> None:
        """Have SQLite ask `has_to_end` during the statement that runs next."""
        steps = STEPS_BETWEEN_LOOKS_OF_SEARCHES if SEARCH in text else STEPS_BETWEEN_LOOKS
        if steps != self._steps:
            self._steps = steps
            self.set_progress_handler(self.has_to_end, steps)

    def fetch_all(self, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Return the rows of a statement; raises SQLite's errors."""
        self.look_during(text)
        with closing(self.execute(text, parameters)) as cursor:
            return cursor.fetchall()

    def run(self, text: str, parameters: Sequence[Any]) -> int:
        """Run a write and return how many rows it touched; raises SQLite's errors."""
        with closing(self.execute(text, parameters)) as cursor:
            return cursor.rowcount

    def begin_write(self) -> None:
        """Open a transaction with the write lock in hand; does nothing when one is open."""
        if self.in_transaction:
            return
        end_turn()
        self._queue_up()
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            self._let_next_write()
            raise

    def write_alone(self, text: str, parameters: Any, *, must_last: bool = True) -> None:
        """Run one write that needs nothing else in its transaction; it is committed when this returns.

        Writes that wait for their turn to write are committed together, since most of a commit is waiting for the disk.
        One that breaks a rule fails alone. Where none of them `must_last`, the commit does not wait for the disk.
        """
        write = SharedWrite(text, parameters, must_last=must_last)
        with out_of_turn():
            self._line.join(write)
            self._queue_up()
            try:
                self._carry_out(write)
            finally:
                self._let_next_write()
        if write.error is not None:
            raise write.error

    def _carry_out(self, write: SharedWrite) -> None:
        if self._may_write:
            # Done already, if somebody else who wrote found it waiting.
            if not write.is_done:
                write_together(self, self._line.take_all())
        elif self._line.withdraw(write):
            # The line stands still; as ever, SQLite then has the last word, and says that it is busy.
            write_together(self, [write])
        else:
            # Somebody has taken it along just now, and is at it.
            self._may_write = self._line.lock.acquire()

    def _queue_up(self) -> None:
        self._may_write = self._line.lock.acquire(timeout=BUSY_TIMEOUT.total_seconds())

    def commit(self) -> None:
        """Commit, then let the next writer in."""
        try:
            super().commit()
        finally:
            self._let_next_write()

    def rollback(self) -> None:
        """Roll back, then let the next writer in."""
        try:
            super().rollback()
        finally:
            self._let_next_write()

    def close(self) -> None:
        """Close, which rolls back what is open, and let the next writer in."""
        may_write, self._may_write = self._may_write, False
        try:
            super().close()
        finally:
            if may_write:
                self._line.lock.release()

    def _let_next_write(self) -> None:
        # A commit that failed as busy keeps its transaction, and so its place, until the rollback.
        if self._may_write and not self.in_transaction:
            self._may_write = False
            self._line.lock.release()


def _create_private(database: str | Path) -> None:
    """Create a database file with mode 0600; SQLite would use the umask, and its other files take over this mode."""
    if str(database) in ("", ":memory:"):
        return
    # A file that exists must not be opened: closing any descriptor of it drops the locks that this process holds on it
    # (fcntl(2)), and two writers would destroy the database.
    with suppress(OSError):  # it exists, or SQLite says better what is wrong
        os.close(open_private(str(database), os.O_RDWR | os.O_CREAT | os.O_EXCL))


@lru_cache(maxsize=16)
def positional(dialect: Dialect) -> Dialect:
    """Return the dialect that compiles statements for a driver's `fetch_all` and `run`: their parameters are a list.

    psycopg takes names, which it looks for in each long text again at every execution; PostgreSQL has numbers.
    """
    make: Any = type(dialect)
    return dialect if dialect.positional else cast("Dialect", make(paramstyle="numeric_dollar", dbapi=dialect.dbapi))


def in_time_zone(zone: str, stored: str | None) -> str | None:
    """Return a stored instant as a time zone shows it; for SQLite, which knows no zones."""
    if stored is None:
        return None
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).isoformat(" ")[:19]


def is_interrupted(problem: Exception) -> bool:
    """Tell whether a database ended a statement because its time was over."""
    code = getattr(problem, "sqlstate", None) or getattr(problem, "sqlite_errorname", None)
    return code in _INTERRUPTED


def is_alive(driver: Any) -> bool:
    """Tell whether the database answers; a file does not go away."""
    try:
        return isinstance(driver, QueuedConnection) or bool(driver.execute("SELECT 1"))
    except psycopg.Error:
        return False
