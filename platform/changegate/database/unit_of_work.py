"""The unit of work of an application context: what it reads and writes, and commits at once."""

from typing import TYPE_CHECKING, Protocol

from flask import Flask
from flask.globals import app_ctx
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from changegate.database.drivers import QueuedConnection
from changegate.database.pool import DATABASE_ERRORS, driver_of, give_up, pool_of, roll_back, wrapped
from changegate.unproxied import behind

if TYPE_CHECKING:
    from changegate.database.session import LeanSession

_KEPT_AS = "_unit_of_work"
_context = behind(app_ctx)


class LastWrite(Protocol):
    """A write that waits for the commit."""

    def __call__(self, at_work: Connection, *, is_alone: bool) -> None:
        """Carry it out; `is_alone` allows it to be a transaction of its own, where nothing else has been written."""


class UnitOfWork:
    """Core statements on a plain connection; they pay for no session.

    Should the ORM join in, its session works on that same connection and in its transaction, so that one commit or
    rollback is for both. See decision 0006.
    """

    __slots__ = ("_core", "_engine", "_last_write", "_session")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._core: Connection | None = None
        self._last_write: LastWrite | None = None
        self._session: LeanSession | None = None

    def join(self, session: "LeanSession") -> None:
        """Take in the ORM's session."""
        self._session = session

    def write_with_commit(self, write: LastWrite) -> None:
        """Keep a write for the commit, which carries it out; any other statement before that does too.

        Where it is the only write of its transaction, SQLite is given both in one call: a thread that waits in between
        for its turn in Python would keep every other writer waiting. See decision 0011.
        """
        self._carry_out_last_write()
        self._last_write = write

    def connection(self) -> Connection:
        """Return the connection for Core statements."""
        if self._last_write is not None:
            self._carry_out_last_write()
        return self._connect() if self._core is None else self._living(self._core)

    def connection_of_session(self) -> Connection | None:
        """Return the connection that the ORM has to share; None where it may have one of its own."""
        if self._last_write is not None:
            self._carry_out_last_write()
        return self._core

    def commit(self) -> None:
        """Carry out the last write, flush what the ORM holds and commit.

        Raises SQLAlchemy's errors. After a failure of the database, nothing uses the connection again: whether it still
        has a transaction, and what would be part of it, cannot be known.
        """
        try:
            self._commit()
        except (OperationalError, InterfaceError) as problem:
            self._give_up(problem)
            raise

    def _commit(self) -> None:
        session = self._session
        is_with_objects = session is not None and session.holds_objects()
        if is_with_objects:
            self._carry_out_last_write()
        write, self._last_write = self._last_write, None
        if write is not None:
            write(self._core or self._connect(), is_alone=True)
        if session is not None and (self._core is None or is_with_objects):
            session.commit_objects()
        if self._core is not None:
            self._commit_core(self._living(self._core))

    def _commit_core(self, core: Connection) -> None:
        if core.in_transaction():
            core.commit()
            return
        # What only the driver knows of, SQLAlchemy does not commit.
        try:
            driver_of(core).commit()
        except core.dialect.loaded_dbapi.Error as problem:
            raise wrapped(core, "COMMIT", problem) from None

    def rollback(self) -> None:
        """Take back what has been done since the last commit.

        A connection that cannot even do that is given up, with the same effect.
        """
        self._last_write = None
        try:
            if self._session is not None:
                self._session.rollback_objects()
            if self._core is not None:
                roll_back(self._living(self._core))
        except DATABASE_ERRORS as problem:
            self._give_up(problem)

    def close(self) -> None:
        """Forget everything and give the connection back."""
        self._last_write = None
        try:
            if self._session is not None and self._session.holds_objects():
                self._session.close_objects()
        except DATABASE_ERRORS as problem:
            self._give_up(problem)
        core, self._core = self._core, None
        if core is not None:
            pool_of(core.engine).give(core)

    def _give_up(self, problem: BaseException) -> None:
        """Forget everything, and close the connection for good."""
        pool_of(self._engine).note_loss()
        if self._session is not None:
            self._session.invalidate()
        core, self._core = self._core, None
        if core is not None:
            give_up(core, problem)

    def _living(self, core: Connection) -> Connection:
        """Return the connection; raises `OperationalError` if it was lost, for another one has not done its work."""
        if core.invalidated:
            raise OperationalError("COMMIT", None, ConnectionError("the connection was lost"), hide_parameters=True)
        return core

    def _carry_out_last_write(self) -> None:
        write, self._last_write = self._last_write, None
        if write is not None:
            write(self._core or self._connect(), is_alone=False)

    def _connect(self) -> Connection:
        if self._session is not None and self._session.in_transaction():
            return self._session.connection()
        self._core = pool_of(self._engine).take() or self._engine.connect()
        return self._core


def unit_of_work() -> UnitOfWork:
    """Return the unit of work of the application context."""
    context = _context()
    found: UnitOfWork | None = context.g.get(_KEPT_AS)
    if found is None:
        found = UnitOfWork(context.app.extensions["sqlalchemy"].engine)
        setattr(context.g, _KEPT_AS, found)
    return found


def connection() -> Connection:
    """Return the database connection of the unit of work, for Core statements."""
    return unit_of_work().connection()


def commit() -> None:
    """Commit the unit of work: what Core statements and the ORM have written."""
    unit_of_work().commit()


def rollback() -> None:
    """Take back what the unit of work has written since the last commit."""
    unit_of_work().rollback()


def holds_write_lock() -> bool:
    """Tell whether the unit of work holds SQLite's write lock, for which a second transaction would wait in vain."""
    driver = driver_of(connection())
    return isinstance(driver, QueuedConnection) and driver.in_transaction


def end_units_of_work(app: Flask) -> None:
    """Let every application context of an application end its unit of work with itself."""

    @app.teardown_appcontext
    def end(_problem: BaseException | None) -> None:
        found: UnitOfWork | None = _context().g.pop(_KEPT_AS, None)
        if found is not None:
            found.close()
