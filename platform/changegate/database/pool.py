"""The connection pool, which keeps connections ready for reuse."""

import math
import sqlite3
import time
from collections import deque
from contextlib import suppress
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from changegate.database.drivers import is_alive

# A connection to PostgreSQL that has been idle for this long is checked before its next use.
IDLE_SECONDS = 5
# No connection is used for longer: after a change of servers, addresses, or certificates, none of them stays in use.
MOST_SECONDS_OPEN = 1800
# When a connection was opened, in its `info`, by the monotonic clock.
OPENED_AT = "opened_at"
DATABASE_ERRORS = (SQLAlchemyError, sqlite3.Error, psycopg.Error)


class LeanPool(QueuePool):
    """A pool that keeps returned `Connection` objects for reuse: checking one in and out of QueuePool costs 30 µs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # (connection, time of its last use). For QueuePool, these connections are still checked out. Any thread appends
        # and pops; each operation of a deque is atomic.
        self._ready: deque[tuple[Connection, float]] = deque()
        self._lost_at = -math.inf

    def take(self) -> Connection | None:
        """Return the most recently used connection whose database still answers, or None if none is ready."""
        while self._ready:
            try:
                connection, used_at = self._ready.pop()
            except IndexError:  # another thread took the last one
                return None
            is_fresh = time.monotonic() - used_at < IDLE_SECONDS
            if not self.is_outdated(connection.info, used_at) and (is_fresh or self.answers(driver_of(connection))):
                return connection
            discard(connection)
        return None

    def give(self, connection: Connection) -> None:
        """Roll a connection back and keep it ready; close it if that fails."""
        try:
            if not connection.closed and not connection.invalidated:
                roll_back(connection)
                self._ready.append((connection, time.monotonic()))
                self._close_unused()
                return
        except DATABASE_ERRORS as problem:
            give_up(connection, problem)
            self.note_loss()
        connection.close()

    def note_loss(self) -> None:
        """Close every idle connection after one was lost: the others went to the same server.

        Those that other threads give back afterwards are not used again either.
        """
        self._lost_at = time.monotonic()
        while self._ready:
            with suppress(IndexError):  # another thread took the last one
                discard(self._ready.pop()[0])

    def answers(self, driver: Any) -> bool:
        """Return whether the database answers on an idle connection; if not, the other idle ones are lost as well."""
        if is_alive(driver):
            return True
        self.note_loss()
        return False

    def is_outdated(self, info: dict[str, Any], used_at: float) -> bool:
        """Return whether a connection must not be used again: it is old, or another was lost since its last use."""
        return used_at <= self._lost_at or time.monotonic() - info[OPENED_AT] > MOST_SECONDS_OPEN

    def _close_unused(self) -> None:
        """Close the connection that has been idle for longest, if that is too long."""
        if time.monotonic() - self._ready[0][1] > MOST_SECONDS_OPEN:
            with suppress(IndexError):  # another thread took it
                discard(self._ready.popleft()[0])

    def checkedout(self) -> int:
        """Return how many connections are in use, without those that are kept ready."""
        return super().checkedout() - len(self._ready)

    def dispose(self) -> None:
        """Close every connection that is not in use."""
        while self._ready:
            self._ready.pop()[0].close()
        super().dispose()


def discard(connection: Connection) -> None:
    """Close a connection, so that the pool does not use it again."""
    connection.invalidate()
    connection.close()


def pool_of(engine: Engine) -> LeanPool:
    """Return the pool of an engine that was made with `engine_options`."""
    if not isinstance(engine.pool, LeanPool):
        raise TypeError("the engine was made without engine_options()")
    return engine.pool


def driver_of(connection: Connection) -> Any:
    """Return the driver's own connection."""
    return connection.connection.dbapi_connection


def roll_back(connection: Connection) -> None:
    """Roll back the transaction, including one that only the driver knows of because it ran prepared statements."""
    (connection if connection.in_transaction() else driver_of(connection)).rollback()


def give_up(connection: Connection, problem: BaseException) -> None:
    """Close a connection that is in an unknown state, so that nothing uses it again."""
    # Invalidating alone is not enough: at the next statement, SQLAlchemy would reconnect within the unit of work.
    if not connection.closed:
        connection.invalidate(problem)
        connection.close()


def wrapped(connection: Connection, statement: str, problem: Any) -> DBAPIError:
    """Return SQLAlchemy's error for an error of the driver, without parameters; invalidate a lost connection."""
    dialect = connection.dialect
    if not connection.closed and dialect.is_disconnect(problem, connection.connection.dbapi_connection, None):
        connection.invalidate(problem)
        pool_of(connection.engine).note_loss()
    error = DBAPIError.instance(statement, None, problem, dialect.loaded_dbapi.Error, hide_parameters=True)
    return cast("DBAPIError", error)
