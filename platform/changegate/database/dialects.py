"""Operations whose statements depend on the database: locks, upserts, random digits, clock, hints, statistics."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    String,
    Table,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from changegate.database.pool import driver_of, pool_of
from changegate.database.prepared import Prepared, parameter
from changegate.database.unit_of_work import connection
from changegate.database.write_queue import PlacedConnection

Columns = Any  # columns as attributes

# The sampled entries of each index, which take milliseconds. SQLite expects no value to be more frequent. With 1,000,
# it expected a hundredth of the active tasks of a million, and read all of them.
SAMPLED_ENTRIES = 20_000
_ADVISORY_LOCK = Prepared(
    select(func.pg_advisory_xact_lock(parameter("number", BigInteger))).execution_options(locks_rows=True)
)
_WRITE_LOCK = Prepared(select(literal(1)).execution_options(locks_rows=True))
_CLOCK = select(func.clock_timestamp(type_=DateTime(timezone=True)))
_IS_READ_ONLY = text("SELECT current_setting('transaction_read_only')::boolean")
_OLDEST_TRANSACTION = text(
    "SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_type = 'client backend'"
)


def lock_number(number: int) -> None:
    """Take the advisory lock of a number until the transaction ends; on SQLite, the only write lock."""
    (_ADVISORY_LOCK if is_postgres(connection()) else _WRITE_LOCK).first({"number": number})


def lock_table(at_work: Connection, table: Table) -> None:
    """Lock a table against other writers, but not against readers, until the transaction ends."""
    # The mode conflicts with itself and with writes, but not with reads. SQLite has no such lock; `locks_rows` makes it
    # take its only write lock.
    mode = text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
    lock = mode if is_postgres(at_work) else select(*table.primary_key)
    at_work.execute(lock.execution_options(locks_rows=True))


def database_time() -> datetime:
    """Return the current time in aware UTC by the clock of the database.

    SQLite has no clock of its own: it is on the same machine as every process that uses it.
    """
    if not is_postgres(connection()):
        return datetime.now(UTC)
    at: datetime = connection().execute(_CLOCK).scalar_one()
    return at.astimezone(UTC)


def age_of_oldest_transaction() -> timedelta:
    """Return the age of the oldest open transaction of PostgreSQL, whose writes are not visible yet.

    On SQLite the age is zero for a caller that writes, because it is the only writer.
    """
    if not is_postgres(connection()):
        return timedelta()
    return timedelta(seconds=float(connection().execute(_OLDEST_TRANSACTION).scalar_one()))


def accepts_writes() -> bool:
    """Return whether the database accepts writes: a standby of PostgreSQL and a file that was replaced do not.

    If PostgreSQL does not, all idle connections and this one are closed, since new ones may lead to a primary.
    """
    at_work = connection()
    driver = driver_of(at_work)
    if isinstance(driver, PlacedConnection):
        return driver.is_in_place()
    if not at_work.execute(_IS_READ_ONLY).scalar_one():
        return True
    at_work.invalidate()
    pool_of(at_work.engine).note_loss()
    return False


def random_digits(count: int) -> ColumnElement[str]:
    """Return an SQL expression for up to 32 hex digits, an even number, that differ from row to row."""
    if not is_postgres(connection()):
        return func.lower(func.hex(func.randomblob(count // 2)))
    return func.right(func.replace(cast(func.gen_random_uuid(), String), "-", ""), count)


def hinted(is_likely: bool, clause: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a clause with a hint for SQLite of how many rows match; PostgreSQL knows how values are distributed."""
    if is_postgres(connection()):
        return clause
    share: ColumnElement[float] = literal_column("0.94" if is_likely else "0.01")
    # As an integer, or SQLAlchemy would compare the result with 1, and SQLite would not see the hint.
    return func.likelihood(clause, share, type_=Integer)


def unestimated(clause: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a clause that checks rows, and never finds them, in a form whose matches PostgreSQL does not estimate.

    To estimate how many rows contain a text or have one of many sys_ids in some columns takes longer than a search.
    """
    return case((clause, true()), else_=false()) if is_postgres(connection()) else clause


def analyze(names: Iterable[str]) -> None:
    """Update the planner's statistics of some tables, in transactions of their own.

    SQLite analyzes each index in its own transaction, since writers wait for it. The caller must not have written yet.
    """
    with connection().engine.connect() as at_work:
        is_sqlite = not is_postgres(at_work)
        if is_sqlite:
            # A sample: SQLite would read whole indexes.
            at_work.execute(text(f"PRAGMA analysis_limit = {SAMPLED_ENTRIES}"))
        for name in names:
            indexes = at_work.execute(text(f"PRAGMA index_list({name})")).all() if is_sqlite else ()
            for target in [row.name for row in indexes] or [name]:
                at_work.commit()
                at_work.execute(text(f"ANALYZE {target}").execution_options(locks_rows=True))
        if is_sqlite:
            # As if the schema had changed: otherwise, open connections would never read the new statistics.
            version = at_work.execute(text("PRAGMA schema_version")).scalar_one()
            at_work.execute(text(f"PRAGMA schema_version = {version + 1}"))
        at_work.commit()


class Upsert:
    """An INSERT that replaces a row of the same key if `may_replace`(old columns, new columns) is true.

    The key is the primary key, or `unique`, the columns of a unique constraint; the row then keeps its primary key.

    It waits for a concurrent transaction that writes the same key.
    """

    def __init__(
        self,
        table: Table,
        may_replace: Callable[[Columns, Columns], ColumnElement[bool]],
        unique: Sequence[Column[Any]] = (),
    ) -> None:
        key = unique or [*table.primary_key]
        self._statements = {
            name: _upsert(table, dialect, may_replace, key)
            for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
        }

    def execute(self, values: Mapping[str, Any]) -> int:
        """Write a row; return 1, or 0 if there is a row that must not be replaced."""
        return self._statements[connection().dialect.name].execute(values)


def _upsert(
    table: Table,
    dialect: Any,
    may_replace: Callable[[Columns, Columns], ColumnElement[bool]],
    key: Sequence[Column[Any]],
) -> Prepared:
    statement = dialect.insert(table)
    new = {column.key: statement.excluded[column.key] for column in table.columns if not column.primary_key}
    # A row that must not be replaced is not updated, so that the count is 0.
    replacing = statement.on_conflict_do_update(
        index_elements=key, set_=new, where=may_replace(table.c, statement.excluded)
    )
    return Prepared(replacing, table.c.keys())


def is_postgres(at_work: Connection) -> bool:
    """Return whether the database is PostgreSQL."""
    return at_work.dialect.name == "postgresql"
