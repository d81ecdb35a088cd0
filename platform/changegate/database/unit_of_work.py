"""The unit of work of an application context: its connection, its transaction, and its last write.

    commit() ── actions before the commit? ──> run now, in the order in which they were added
             ├── a write is postponed? ──> executed now: alone in one call (it may wait in the write queue), or
             │                            within the open transaction
             ├── the session holds objects or the only connection? ──> flush, then its commit
             └── a Core connection? ──> its commit

    a failure of the database in any step ──> the connection is closed and never used again

Only the thread of the context uses its unit of work. See decisions 0006 and 0011.
"""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Protocol

from flask import Flask
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from changegate.database.drivers import QueuedConnection
from changegate.database.pool import DATABASE_ERRORS, driver_of, give_up, pool_of, roll_back, wrapped
from changegate.unproxied import application_context

if TYPE_CHECKING:
    from changegate.database.session import LeanSession

_KEPT_AS = "_unit_of_work"


class LastWrite(Protocol):
    """A write that is postponed until the commit."""

    def __call__(self, at_work: Connection, *, is_alone: bool) -> None:
        """Execute the write. With `is_alone`, it may commit itself, provided that no transaction is open."""


class UnitOfWork:
    """Core statements on a plain connection, without the cost of an ORM session.

    If the ORM is used too, its session works on the same connection and in the same transaction, so that one commit or
    rollback covers both. See decision 0006.
    """

    __slots__ = ("_before_commit", "_core", "_engine", "_last_write", "_session")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # None until the first Core statement, and as long as Core statements use the session's connection.
        self._core: Connection | None = None
        self._last_write: LastWrite | None = None
        self._session: LeanSession | None = None
        self._before_commit: dict[Hashable, Callable[[], None]] = {}

    def join(self, session: "LeanSession") -> None:
        """Add the ORM session of this context."""
        self._session = session

    def do_before_commit(self, key: Hashable, action: Callable[[], None]) -> None:
        """Run an action at the beginning of the commit, once for each key; a rollback drops it.

        For what depends on all writes of the transaction together.
        """
        self._before_commit.setdefault(key, action)

    def write_with_commit(self, write: LastWrite) -> None:
        """Postpone a write until the commit, or until the next statement of this unit of work.

        If it is the only write of its transaction, SQLite executes and commits it in one call. With several calls, the
        thread would wait for the interpreter in between, and every other writer for the thread. See decision 0011.
        """
        # Only one write is postponed at a time: writes keep their order.
        self._carry_out_last_write()
        self._last_write = write

    def connection(self) -> Connection:
        """Return the connection for Core statements."""
        if self._last_write is not None:
            self._carry_out_last_write()
        return self._connect() if self._core is None else self._living(self._core)

    def connection_of_session(self) -> Connection | None:
        """Return the connection that the session must share, or None if it may open its own."""
        if self._last_write is not None:
            self._carry_out_last_write()
        return self._core

    def commit(self) -> None:
        """Execute the postponed write, flush the objects of the ORM, and commit.

        Raises SQLAlchemy's errors, and those that the postponed write makes of them. After a failure of the database,
        nothing uses the connection again: it is unknown whether it still has a transaction, and with which writes.
        """
        try:
            self._commit()
        except (OperationalError, InterfaceError) as problem:
            # Not for a violated constraint: that leaves the connection usable, and the caller rolls back.
            self._give_up(problem)
            raise

    def _commit(self) -> None:
        while self._before_commit:
            self._before_commit.pop(next(iter(self._before_commit)))()
        session = self._session
        is_with_objects = session is not None and session.holds_objects()
        if is_with_objects:
            # The flush that follows belongs to the same transaction, so the write must not commit itself.
            self._carry_out_last_write()
        # Cleared before it is executed: a write that has failed must not be repeated by the next commit.
        write, self._last_write = self._last_write, None
        if write is not None:
            # Not `connection()`, which would execute the write as a part of a transaction.
            write(self._core or self._connect(), is_alone=True)
        # Without a Core connection, all statements ran on the session's, which only the session can commit.
        if session is not None and (self._core is None or is_with_objects):
            session.commit_objects()
        if self._core is not None:
            self._commit_core(self._living(self._core))

    def _commit_core(self, core: Connection) -> None:
        if core.in_transaction():
            core.commit()
            return
        # Prepared statements run on the driver's connection: SQLAlchemy does not know of their transaction.
        try:
            driver_of(core).commit()
        except core.dialect.loaded_dbapi.Error as problem:
            raise wrapped(core, "COMMIT", problem) from None

    def rollback(self) -> None:
        """Roll back everything since the last commit, and drop the postponed write.

        If the rollback fails, the connection is closed, which has the same effect.
        """
        self._last_write = None
        self._before_commit.clear()
        try:
            if self._session is not None:
                self._session.rollback_objects()
            if self._core is not None:
                roll_back(self._living(self._core))
        except DATABASE_ERRORS as problem:
            self._give_up(problem)

    def close(self) -> None:
        """Roll back and return the connection to the pool."""
        self._last_write = None
        self._before_commit.clear()
        try:
            if self._session is not None and self._session.holds_objects():
                self._session.close_objects()
        except DATABASE_ERRORS as problem:
            self._give_up(problem)
        core, self._core = self._core, None
        if core is not None:
            pool_of(core.engine).give(core)

    def _give_up(self, problem: BaseException) -> None:
        """Close the connection and discard all state, so that nothing uses either again."""
        # Connections in the pool may have been lost together with this one: each is checked before its next use.
        pool_of(self._engine).note_loss()
        if self._session is not None:
            self._session.invalidate()
        core, self._core = self._core, None
        if core is not None:
            give_up(core, problem)

    def _living(self, core: Connection) -> Connection:
        """Return the connection. Raises `OperationalError` if it was lost.

        SQLAlchemy would silently replace it with one that lacks the earlier writes of this unit of work.
        """
        if core.invalidated:
            raise OperationalError("COMMIT", None, ConnectionError("the connection was lost"), hide_parameters=True)
        return core

    def _carry_out_last_write(self) -> None:
        write, self._last_write = self._last_write, None
        if write is not None:
            write(self._core or self._connect(), is_alone=False)

    def _connect(self) -> Connection:
        if self._session is not None and self._session.in_transaction():
            # The session already has a connection and commits it. A second connection would be a second transaction: it
            # would not see the first one's writes, and could wait for its locks forever.
            return self._session.connection()
        self._core = pool_of(self._engine).take() or self._engine.connect()
        return self._core


def unit_of_work() -> UnitOfWork:
    """Return the unit of work of the application context."""
    context = application_context()
    work: UnitOfWork | None = context.g.get(_KEPT_AS)
    if work is None:
        work = UnitOfWork(context.app.extensions["sqlalchemy"].engine)
        setattr(context.g, _KEPT_AS, work)
    return work


def connection() -> Connection:
    """Return the database connection of the unit of work, for Core statements."""
    return unit_of_work().connection()


def commit() -> None:
    """Commit the unit of work: the writes of Core statements and of the ORM."""
    unit_of_work().commit()


def rollback() -> None:
    """Roll back the writes of the unit of work since the last commit."""
    unit_of_work().rollback()


def holds_write_lock() -> bool:
    """Return whether the unit of work holds SQLite's write lock, for which a second transaction would wait in vain."""
    # Only SQLite has one lock for all writers. With PostgreSQL, a second transaction waits for the same rows only.
    driver = driver_of(connection())
    return isinstance(driver, QueuedConnection) and driver.in_transaction


def end_units_of_work(app: Flask) -> None:
    """Close the unit of work of every application context of `app` when the context ends."""

    @app.teardown_appcontext
    def end(_problem: BaseException | None) -> None:
        work: UnitOfWork | None = application_context().g.pop(_KEPT_AS, None)
        if work is not None:
            work.close()
