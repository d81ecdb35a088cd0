"""The session: Core statements that do without the unit of work, and the last write, which goes with the commit."""

from typing import Any, Protocol

from flask_sqlalchemy.session import Session
from sqlalchemy import Connection

from changegate.database.drivers import limit_time
from changegate.database.pool import driver_of, pool_of, roll_back


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
            self._core = pool_of(engine).take() or engine.connect()
            limit_time(self._core.connection.dbapi_connection)
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
            (self._core if self._core.in_transaction() else driver_of(self._core)).commit()

    def rollback(self) -> None:
        """Take back what has been done since the last commit."""
        self._last_write = None
        super().rollback()
        if self._core is not None:
            roll_back(self._core)

    def close(self) -> None:
        """Forget everything and give the connection back."""
        self._last_write = None
        if self._is_used_by_orm():
            super().close()
        core, self._core = self._core, None
        if core is not None:
            pool_of(core.engine).give(core)

    def _is_used_by_orm(self) -> bool:
        return bool(self.in_transaction() or self.new or len(self.identity_map))
