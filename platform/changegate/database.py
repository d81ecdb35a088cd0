"""The database: the base of models, a session that costs little, and what must hold for every connection."""

import math
import sqlite3
import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import psycopg
from flask import has_request_context
from flask_sqlalchemy.session import Session
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, MetaData, Table, event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every model; constraints have names so that migrations can speak of them."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    if TYPE_CHECKING:
        __table__: ClassVar[Table]


class LeanPool(QueuePool):
    """A pool that keeps what it hands out ready to be used again: to check a connection in and out costs 30 µs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ready: deque[tuple[Connection, float]] = deque()

    def take(self) -> Connection | None:
        """Return the connection that was used last, if the database is still at the other end; None when none is."""
        while self._ready:
            try:
                found, used_at = self._ready.pop()
            except IndexError:  # another thread was quicker
                return None
            if time.monotonic() - used_at < IDLE_SECONDS or _is_alive(_driver_of(found)):
                return found
            found.invalidate()
            found.close()
        return None

    def give(self, connection: Connection) -> None:
        """Take a connection back; what it has not committed is undone."""
        try:
            if not connection.closed and not connection.invalidated:
                _roll_back(connection)
                self._ready.append((connection, time.monotonic()))
                return
        except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as problem:
            connection.invalidate(problem)
        connection.close()

    def checkedout(self) -> int:
        """Return how many connections are in use; those kept ready are in nobody's."""
        return super().checkedout() - len(self._ready)

    def dispose(self) -> None:
        """Close every connection that nobody uses."""
        while self._ready:
            self._ready.pop()[0].close()
        super().dispose()


def _pool_of(engine: Engine) -> LeanPool:
    if not isinstance(engine.pool, LeanPool):
        raise TypeError("the engine was made without engine_options()")
    return engine.pool


def _driver_of(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _roll_back(connection: Connection) -> None:
    (connection if connection.in_transaction() else _driver_of(connection)).rollback()


def _limit_time(driver: Any) -> None:
    """Let nothing that a request asks for run on for ever; PostgreSQL has a limit for each statement by itself."""
    if isinstance(driver, QueuedConnection):
        limit = MAX_EXECUTION_TIME.total_seconds() if has_request_context() else math.inf
        driver.deadline = time.monotonic() + limit


class LastWrite(Protocol):
    """A write that waits for the commit."""

    def __call__(self, at_work: Connection, *, is_alone: bool) -> None:
        """Carry it out; `is_alone` allows it to be a transaction of its own, where nothing else has been written."""


class LeanSession(Session):
    """A session whose Core statements do not pay for the unit of work.

    A request that runs Core statements alone has a plain connection. Should the ORM join in, it works on that same
    connection and in its transaction, so that one commit or rollback is for both. See decision 0006.
    """

    _core: Connection | None = None
    _last_write: LastWrite | None = None

    def write_with_commit(self, write: LastWrite) -> None:
        """Keep a write for the commit, which carries it out; any other statement before that does too.

        Where it is the only write of its transaction, SQLite is given both in one call: a thread that waits in between
        for its turn in Python would keep every other writer waiting.
        """
        self._carry_out_last_write()
        self._last_write = write

    def core_connection(self) -> Connection:
        """Return the connection of the unit of work."""
        self._carry_out_last_write()
        return self._plain_connection()

    def _carry_out_last_write(self) -> None:
        write, self._last_write = self._last_write, None
        if write is not None:
            write(self._plain_connection(), is_alone=False)

    def _plain_connection(self) -> Connection:
        if self._core is None:
            if self.in_transaction():
                return self.connection()
            engine = self.get_bind()
            self._core = _pool_of(engine).take() or engine.connect()
            _limit_time(self._core.connection.dbapi_connection)
        return self._core

    def get_bind(self, *arguments: Any, **options: Any) -> Any:
        """Return what the ORM works on: the plain connection where there is one."""
        if self._last_write is not None:
            self._carry_out_last_write()
        return super().get_bind(*arguments, **options) if self._core is None else self._core

    def commit(self) -> None:
        """Carry out the last write, flush what the ORM holds and commit."""
        if self._is_used_by_orm():
            self._carry_out_last_write()
        write, self._last_write = self._last_write, None
        if write is not None:
            write(self._plain_connection(), is_alone=True)
        if self._core is None or self._is_used_by_orm():
            super().commit()
        if self._core is not None:
            # What only the driver knows of, SQLAlchemy does not commit.
            (self._core if self._core.in_transaction() else _driver_of(self._core)).commit()

    def rollback(self) -> None:
        """Take back what has been done since the last commit."""
        self._last_write = None
        super().rollback()
        if self._core is not None:
            _roll_back(self._core)

    def close(self) -> None:
        """Forget everything and give the connection back."""
        self._last_write = None
        if self._is_used_by_orm():
            super().close()
        core, self._core = self._core, None
        if core is not None:
            _pool_of(core.engine).give(core)

    def _is_used_by_orm(self) -> bool:
        return bool(self.in_transaction() or self.new or len(self.identity_map))


# One writer at a time is SQLite's own rule. Queuing here is fair and wakes at once, where SQLite's busy
# handler sleeps and lets the unlucky starve; between processes the busy handler still decides.
_writer_queue = threading.Lock()
BUSY_TIMEOUT = timedelta(seconds=10)
# A connection to PostgreSQL that has not been used for so long is asked whether it is still one.
IDLE_SECONDS = 5
# What one request may ask of a database, however many rows and terms it is about.
MAX_EXECUTION_TIME = timedelta(seconds=30)
STEPS_BETWEEN_LOOKS = 1_000_000  # of SQLite's machine; some hundredths of a second
_INTERRUPTED = frozenset({"57014", "SQLITE_INTERRUPT"})
CHECKPOINT_PAGES = 8000  # 32 MB of write-ahead log


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


def engine_options(database_url: str) -> dict[str, Any]:
    """Return the engine's options for a database URL; no error text ever holds a statement's parameters."""
    # Last in, first out: the connection that has just been used has its pages and statements at hand.
    common: dict[str, Any] = {"hide_parameters": True, "pool_use_lifo": True, "poolclass": LeanPool}
    if database_url.startswith("sqlite"):
        # To open a file costs more than a request does, so none is closed for being one too many.
        return {**common, "pool_size": 0, "connect_args": {"factory": QueuedConnection, "check_same_thread": False}}
    # Threads are the limit: one that waits for a key set may hold two connections, and must never wait for a third's.
    limit = {"options": f"-c statement_timeout={MAX_EXECUTION_TIME // timedelta(milliseconds=1)}"}
    return {**common, "pool_size": 20, "max_overflow": 492, "isolation_level": "AUTOCOMMIT", "connect_args": limit}


def guard_engine(engine: Engine) -> None:
    """Let units of work behave alike on both databases, and make SQLite durable.

    Reads run in autocommit and see the latest commit; the first write of a unit of work opens a transaction. On
    SQLite it has the write lock in hand, so that no read snapshot ever has to be upgraded; on PostgreSQL, where each
    statement has a snapshot of its own anyway, reads do without two round trips. See decision 0003.
    """
    event.listen(engine, "before_cursor_execute", _begin_before_write)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    else:
        event.listen(engine, "checkin", _note_last_use)
        event.listen(engine, "checkout", _require_alive)


def is_interrupted(problem: Exception) -> bool:
    """Tell whether a database ended a statement because its time was over."""
    code = getattr(problem, "sqlstate", None) or getattr(problem, "sqlite_errorname", None)
    return code in _INTERRUPTED


def begin_write(driver: Any) -> None:
    """Open a transaction on a driver's connection, unless one is open."""
    if isinstance(driver, QueuedConnection):
        driver.begin_write()
    elif driver.autocommit and driver.info.transaction_status == TransactionStatus.IDLE:
        driver.execute("BEGIN")


def _note_last_use(_driver: Any, record: ConnectionPoolEntry) -> None:
    record.info["last_used"] = time.monotonic()


def _require_alive(driver: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ask a connection that has been idle for a while whether its server is still there; the pool makes another."""
    was_used = time.monotonic() - record.info.get("last_used", math.inf) < IDLE_SECONDS
    if not was_used and not _is_alive(driver):
        raise DisconnectionError


def _is_alive(driver: Any) -> bool:
    """Tell whether the database answers; a file does not go away."""
    try:
        return isinstance(driver, QueuedConnection) or bool(driver.execute("SELECT 1"))
    except psycopg.Error:
        return False


def _configure_sqlite(dbapi_connection: QueuedConnection, _record: Any) -> None:
    dbapi_connection.isolation_level = None
    dbapi_connection.set_progress_handler(dbapi_connection.is_late, STEPS_BETWEEN_LOOKS)
    busy_ms = BUSY_TIMEOUT // timedelta(milliseconds=1)
    # A page written a hundred times between two checkpoints is copied into the database once.
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"busy_timeout = {busy_ms}",
    ):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_before_write(
    _conn: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    if context is None:
        return
    is_write = context.isinsert or context.isupdate or context.isdelete or context.isddl
    if is_write or context.execution_options.get("locks_rows"):
        begin_write(cursor.connection)
