"""Loading of millions of rows by the fastest method of each driver, stored as the product would store them."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import Column, Engine, inspect, text

Row = Mapping[str, Any]
Tuples = Iterable[Sequence[Any]]
DEFINITION = text("SELECT indexdef FROM pg_indexes WHERE indexname = :name")
# A crash loses only the benchmark. The cache has room for all pages of an index of random keys.
FAST_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000")


def load_rows(engine: Engine, model: type[Any], rows: Iterable[Row]) -> None:
    """Insert rows that all have the same keys; a column that is missing from them gets its default, computed once."""
    columns = inspect(model).columns
    rows = iter(rows)
    first = next(rows)
    given = [column for column in columns if column.name in first]
    others = [column for column in columns if column.name not in first]
    constants = {column: default for column in others if (default := _default(column)) is not None}
    names = [column.name for column in (*constants, *given)]
    fixed = [_storing(engine, column)(default) for column, default in constants.items()]
    storing = [(column.name, _storing(engine, column)) for column in given]
    tuples = ([*fixed, *[store(row[name]) for name, store in storing]] for row in chain([first], rows))
    _load(engine, model.__tablename__, names, tuples)


@contextmanager
def without_indexes(engine: Engine, model: type[Any]) -> Iterator[None]:
    """Drop the indexes of a table while its rows are loaded: sorting all entries at once takes a tenth of the time."""
    indexes = [*model.__table__.indexes]
    # The index of texts on PostgreSQL, which no model describes.
    name = f"{model.__tablename__}_text"
    has_texts = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        texts = connection.execute(DEFINITION, {"name": name}).scalars().all() if has_texts else []
        for index in indexes:
            index.drop(connection)
        for _ in texts:
            connection.exec_driver_sql(f"DROP INDEX {name}")
    yield
    with engine.begin() as connection:
        for index in indexes:
            index.create(connection)
        for definition in texts:
            connection.exec_driver_sql(definition.replace("%", "%%"))


def _default(column: Column[Any]) -> Any:
    default: Any = column.default
    if default is None or default.is_sequence:
        return None
    return default.arg(None) if default.is_callable else default.arg


def _storing(engine: Engine, column: Column[Any]) -> Callable[[Any], Any]:
    """Return the function that converts a value of a column for the driver."""
    return column.type.dialect_impl(engine.dialect).bind_processor(engine.dialect) or (lambda value: value)


def _load(engine: Engine, table: str, names: list[str], tuples: Tuples) -> None:
    pooled = engine.raw_connection()
    driver = pooled.driver_connection
    # The pool must not reuse it: it has the settings of the load.
    pooled.detach()
    try:
        if isinstance(driver, sqlite3.Connection):
            _insert(driver, table, names, tuples)
        elif isinstance(driver, psycopg.Connection):
            _copy(driver, table, names, tuples)
    finally:
        pooled.close()


def _insert(driver: sqlite3.Connection, table: str, names: list[str], tuples: Tuples) -> None:
    driver.isolation_level = None
    for pragma in FAST_PRAGMAS:
        driver.execute(f"PRAGMA {pragma}")
    columns = ", ".join(f'"{name}"' for name in names)
    driver.execute("BEGIN")
    driver.executemany(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(names))})", tuples)
    driver.execute("COMMIT")
    driver.execute("PRAGMA journal_mode = WAL")


def _copy(driver: psycopg.Connection, table: str, names: list[str], tuples: Tuples) -> None:
    # Without the triggers of foreign keys, six for each row: all rows that are referenced were loaded before.
    driver.execute("SET session_replication_role = replica")
    columns = SQL(", ").join(map(Identifier, names))
    copy_all = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), columns)
    with driver.cursor() as cursor, cursor.copy(copy_all) as copy:
        for row in tuples:
            copy.write_row(row)
    driver.commit()
    driver.autocommit = True
    # As autovacuum does some minutes after rows came in.
    driver.execute(SQL("VACUUM ANALYZE {}").format(Identifier(table)))
