"""The engine: its options and the settings of each of its connections."""

import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from changegate.database.drivers import BUSY_TIMEOUT, QueuedConnection, in_time_zone
from changegate.database.pool import IDLE_SECONDS, OPENED_AT, LeanPool, pool_of
from changegate.database.postgres import ENCODING, Connector
from changegate.database.request_time import MAX_EXECUTION_TIME

LAST_USED = "last_used"
# The execution option of statements that a transaction cannot contain.
IS_ONLINE = "is_online"
# Pages are read from memory that all connections share, without a system call for each; 2 GB is SQLite's limit.
MAPPED_BYTES = 2**31 - 2**16
# Of PostgreSQL; times in milliseconds, those of keepalives in seconds.
SESSION_SETTINGS = {
    "statement_timeout": MAX_EXECUTION_TIME // timedelta(milliseconds=1),
    # Longer than a frozen node keeps its locks. A caller who waits for a lock must not be told to ask for less.
    "lock_timeout": 2 * BUSY_TIMEOUT // timedelta(milliseconds=1),
    # A node that is frozen within a transaction, or whose host is lost, must not keep its locks. On SQLite, others wait
    # as long for it.
    "idle_in_transaction_session_timeout": BUSY_TIMEOUT // timedelta(milliseconds=1),
    # Nor while PostgreSQL sends it a result, which no time limit of statements ends.
    "tcp_user_timeout": BUSY_TIMEOUT // timedelta(milliseconds=1),
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    # Compiling a statement takes PostgreSQL seconds, and its guess when this pays is far off for recursive statements.
    "jit": "off",
    # A role or database may have other defaults. A rule that is checked under a lock must see the latest commits.
    "default_transaction_isolation": r"read\ committed",
    "datestyle": "ISO",
}


def engine_options(database_url: str) -> dict[str, Any]:
    """Return the engine's options for a database URL."""
    # hide_parameters: errors are logged, and parameters hold secrets. LIFO: the connection that was used last has its
    # pages and statements cached.
    common: dict[str, Any] = {"hide_parameters": True, "pool_use_lifo": True, "poolclass": LeanPool}
    if database_url.startswith("sqlite"):
        # pool_size 0 means no limit: opening a file costs more than a request, so idle connections are kept.
        return {**common, "pool_size": 0, "connect_args": {"factory": QueuedConnection, "check_same_thread": False}}
    # The number of threads limits connections, so the pool must not. A thread that waits for a key set may hold two
    # connections; if it also had to wait for those of another thread, both could wait forever.
    own = [f"-c {name}={value}" for name, value in SESSION_SETTINGS.items()]
    # Of a setting that is given twice, the second value counts.
    options = " ".join([*own, *make_url(database_url).normalized_query.get("options", ())])
    settings = {"options": options, "client_encoding": ENCODING}
    return {**common, "pool_size": 20, "max_overflow": 492, "isolation_level": "AUTOCOMMIT", "connect_args": settings}


def guard_engine(engine: Engine) -> None:
    """Make units of work behave the same on both databases, and make SQLite durable.

    Reads run in autocommit and see the latest commit; the first write of a unit of work opens a transaction. On
    SQLite, that transaction begins with the write lock, so no read snapshot ever has to be upgraded. On PostgreSQL,
    each statement has its own snapshot anyway, and reads save the two round trips of a transaction. See decision 0003.
    """
    event.listen(engine, "before_cursor_execute", _begin_before_write)
    event.listen(engine, "connect", _note_opening)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    else:
        connector = Connector()
        event.listen(engine, "do_connect", lambda _dialect, _record, _arguments, options: connector.connect(options))
        event.listen(engine, "checkin", _note_last_use)
        event.listen(engine, "checkout", lambda *checked: _require_alive(pool_of(engine), *checked))


def _note_opening(_driver: Any, record: ConnectionPoolEntry) -> None:
    record.info[OPENED_AT] = time.monotonic()


def _note_last_use(_driver: Any, record: ConnectionPoolEntry) -> None:
    record.info[LAST_USED] = time.monotonic()


def _require_alive(pool: LeanPool, driver: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Check a connection that has been idle for a while; on `DisconnectionError`, the pool opens another one."""
    used_at = record.info.get(LAST_USED)
    if used_at is None:  # it has just been opened
        return
    was_used = time.monotonic() - used_at < IDLE_SECONDS
    if pool.is_outdated(record.info, used_at) or not (was_used or pool.answers(driver)):
        raise DisconnectionError


def _configure_sqlite(dbapi_connection: QueuedConnection, _record: Any) -> None:
    # The driver must not begin transactions: it would begin them without the write lock.
    dbapi_connection.isolation_level = None
    dbapi_connection.create_function("in_time_zone", 2, in_time_zone, deterministic=True)
    dbapi_connection.look_during("")
    busy_ms = BUSY_TIMEOUT // timedelta(milliseconds=1)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "wal_autocheckpoint = 0",  # see checkpoints.py
        f"busy_timeout = {busy_ms}",
        f"mmap_size = {MAPPED_BYTES}",
    ):
        dbapi_connection.execute(f"PRAGMA {pragma}")


def _begin_before_write(
    _conn: Connection, cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    if isinstance(cursor.connection, QueuedConnection):
        cursor.connection.look_during(statement)
    if context is None or context.execution_options.get(IS_ONLINE):
        return
    # A SELECT … FOR UPDATE locks rows only until the end of its transaction, so it needs one too.
    is_write = context.isinsert or context.isupdate or context.isdelete or context.isddl
    if is_write or context.execution_options.get("locks_rows"):
        cursor.connection.begin_write()
