"""The drivers' connections: how they begin to write, how long they may work, and whether they are still alive."""

import math
import sqlite3
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
from flask import has_request_context
from psycopg.pq import TransactionStatus

# One writer at a time is SQLite's own rule. Queuing here is fair and wakes at once, where SQLite's busy
# handler sleeps and lets the unlucky starve; between processes the busy handler still decides.
_writer_queue = threading.Lock()
BUSY_TIMEOUT = timedelta(seconds=10)
# What one request may ask of a database, however many rows and terms it is about.
MAX_EXECUTION_TIME = timedelta(seconds=30)
STEPS_BETWEEN_LOOKS = 1_000_000  # of SQLite's machine; some hundredths of a second
_INTERRUPTED = frozenset({"57014", "SQLITE_INTERRUPT"})


class QueuedConnection(sqlite3.Connection):
    """An SQLite connection that waits its turn before it writes and gives it up after commit or rollback."""

    _has_turn = False
    deadline = math.inf

    def is_late(self) -> bool:
        """Tell whether the unit of work has had its time; SQLite then interrupts the statement."""
        return time.monotonic() > self.deadline

    def begin_write(self) -> None:
        """Open a transaction with the write lock in hand; does nothing when one is open."""
        if self.in_transaction:
            return
        self._has_turn = _writer_queue.acquire(timeout=BUSY_TIMEOUT.total_seconds())
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            self._give_up_turn()
            raise

    def write_alone(self, text: str, parameters: Any) -> None:
        """Run one write as a transaction of its own, in one call to SQLite, which lets other threads go on."""
        self._has_turn = _writer_queue.acquire(timeout=BUSY_TIMEOUT.total_seconds())
        try:
            self.execute(text, parameters).close()
        finally:
            self._give_up_turn()

    def commit(self) -> None:
        """Commit, then let the next writer in."""
        try:
            super().commit()
        finally:
            self._give_up_turn()

    def rollback(self) -> None:
        """Roll back, then let the next writer in."""
        try:
            super().rollback()
        finally:
            self._give_up_turn()

    def close(self) -> None:
        """Close, which rolls back what is open, and let the next writer in."""
        has_turn, self._has_turn = self._has_turn, False
        try:
            super().close()
        finally:
            if has_turn:
                _writer_queue.release()

    def _give_up_turn(self) -> None:
        # A commit that failed as busy keeps its transaction, and so its turn, until the rollback.
        if self._has_turn and not self.in_transaction:
            self._has_turn = False
            _writer_queue.release()


def begin_write(driver: Any) -> None:
    """Open a transaction on a driver's connection, unless one is open."""
    if isinstance(driver, QueuedConnection):
        driver.begin_write()
    elif driver.autocommit and driver.info.transaction_status == TransactionStatus.IDLE:
        driver.execute("BEGIN")


def limit_time(driver: Any) -> None:
    """Let nothing that a request asks for run on for ever; PostgreSQL has a limit for each statement by itself."""
    if isinstance(driver, QueuedConnection):
        limit = MAX_EXECUTION_TIME.total_seconds() if has_request_context() else math.inf
        driver.deadline = time.monotonic() + limit


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
