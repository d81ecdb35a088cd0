"""The extensions, unbound, and what must hold for every connection they open."""

import math
import sqlite3
import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Flask, current_app
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from limits import RateLimitItemPerMinute
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import Connection, Engine, MetaData, Table, event
from sqlalchemy.orm import DeclarativeBase, Session

from changegate.config import SettingInvalid, Settings
from changegate.errors import RateLimited

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


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
csrf = CSRFProtect()
login = LoginManager()
bootstrap = Bootstrap5()


FAILURES_PER_MINUTE = RateLimitItemPerMinute(20)


class FailureLimit:
    """Counts failed attempts by address and client, so that guessing ends and nobody locks another out.

    Honest traffic is never counted and so has no limit. Counters live in memory, or in the Valkey or Redis that
    several nodes share.
    """

    def init_app(self, app: Flask, found: Settings) -> None:
        """Give an application its counters."""
        try:
            storage = storage_from_string(found.ratelimit_storage_url)
        except ConfigurationError:
            raise SettingInvalid(
                "The store of CHANGEGATE_RATELIMIT_STORAGE_URL needs a package; see limits' documentation."
            ) from None
        app.extensions["failure_limit"] = MovingWindowRateLimiter(storage) if found.ratelimit_enabled else None

    def require_room(self, address: str, client: str) -> None:
        """Refuse a caller that has failed too often; raises `RateLimited`."""
        limiter = current_app.extensions["failure_limit"]
        if limiter is not None and not limiter.test(FAILURES_PER_MINUTE, address, client):
            reset_at = limiter.get_window_stats(FAILURES_PER_MINUTE, address, client).reset_time
            raise RateLimited(retry_after=max(1, math.ceil(reset_at - time.time())))

    def count(self, address: str, client: str) -> None:
        """Count one failure."""
        limiter = current_app.extensions["failure_limit"]
        if limiter is not None:
            limiter.hit(FAILURES_PER_MINUTE, address, client)


limiter = FailureLimit()


def settings() -> Settings:
    """Return the settings of the application at work."""
    found: Settings = current_app.config["SETTINGS"]
    return found


def now() -> datetime:
    """Return the present instant, aware UTC, by the application's clock; tests set it, nothing else does."""
    instant: datetime = current_app.config["CLOCK"]()
    return instant


def connection() -> Connection:
    """Return the request's database connection, for Core statements in the session's transaction."""
    session = db.session()
    known: Connection | None = session.info.get(CONNECTION)
    return known if known is not None else session.connection()


# The session works out its connection anew at each call, which costs a third of a small statement.
CONNECTION = "connection"


@event.listens_for(Session, "after_begin")
def _remember_connection(session: Session, _transaction: Any, found: Connection) -> None:
    session.info[CONNECTION] = found


@event.listens_for(Session, "after_transaction_end")
def _forget_connection(session: Session, _transaction: Any) -> None:
    session.info.pop(CONNECTION, None)


# One writer at a time is SQLite's own rule. Queuing here is fair and wakes at once, where SQLite's busy
# handler sleeps and lets the unlucky starve; between processes the busy handler still decides.
_writer_queue = threading.Lock()
BUSY_TIMEOUT = timedelta(seconds=10)
CHECKPOINT_PAGES = 8000  # 32 MB of write-ahead log


class QueuedConnection(sqlite3.Connection):
    """An SQLite connection that waits its turn before it writes and gives it up after commit or rollback."""

    _has_turn = False

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
    common: dict[str, Any] = {"hide_parameters": True, "pool_use_lifo": True}
    if database_url.startswith("sqlite"):
        # To open a file costs more than a request does, so none is closed for being one too many.
        return {**common, "pool_size": 0, "connect_args": {"factory": QueuedConnection, "check_same_thread": False}}
    return {**common, "pool_size": 20, "max_overflow": 40, "pool_pre_ping": True}


def guard_sqlite(engine: Engine) -> None:
    """Make an SQLite engine durable, and its transactions behave like PostgreSQL's READ COMMITTED.

    Reads run in autocommit and see the latest commit; the first write of a unit of work opens a transaction with
    the write lock in hand, so that no read snapshot ever has to be upgraded. See decision 0003.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "before_cursor_execute", _begin_before_write)


def _configure_sqlite(dbapi_connection: QueuedConnection, _record: Any) -> None:
    dbapi_connection.isolation_level = None
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
    _conn: Connection, cursor: sqlite3.Cursor, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    if context is None:
        return
    is_write = context.isinsert or context.isupdate or context.isdelete or context.isddl
    if is_write or context.execution_options.get("locks_rows"):
        writer = cursor.connection
        if isinstance(writer, QueuedConnection):
            writer.begin_write()
