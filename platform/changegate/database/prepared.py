"""Prepared statements: Core statements that are compiled once and run directly on the driver's connection.

At every execution, SQLAlchemy looks up the compiled form of a statement and wraps the rows, which costs three times as
much as SQLite needs for a row. Here, the same Core statement, with the same types, is compiled once for each dialect.
Values are passed as positional parameters. Errors are SQLAlchemy's, and the transaction is that of the unit of work
(decision 0006).
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from sqlalchemy import BindParameter, Connection, Dialect, Insert, Select, Update, bindparam
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import TypeEngine

from changegate.database import QueuedConnection, connection, driver_of, positional, unit_of_work, wrapped

# SQLSTATE of PostgreSQL, error name of SQLite.
_BROKEN_REFERENCE = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})
Processor = Callable[[Any], Any]
T = TypeVar("T")
Statement = Select[*tuple[Any, ...]] | Insert | Update


class Prepared:
    """One statement, for any engine; thread-safe.

    `columns` are the columns that an INSERT writes; a column that is missing from `values` gets its default or NULL.
    Other statements contain a `parameter` for each value that is given at each run.
    """

    def __init__(self, statement: Statement, columns: Iterable[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        # By name of the dialect. Two threads may compile the same statement at the same time; both results are equal.
        self._compiled: dict[str, _Compiled] = {}

    def first(self, values: Mapping[str, Any]) -> Any | None:
        """Return the first row, as a named tuple, or None."""
        return next(iter(self.all(values)), None)

    def all(self, values: Mapping[str, Any]) -> list[Any]:
        """Return every row, as named tuples."""
        compiled, rows = self.fetch(values)
        return [compiled.row(row) for row in rows]

    def fetch(self, values: Mapping[str, Any]) -> tuple["_Compiled", Sequence[Sequence[Any]]]:
        """Return the compiled statement, whose `row` makes named tuples, and every row as the driver returns it."""
        at_work = connection()
        compiled = self._compiled_for(at_work.dialect)
        # UPDATE … RETURNING and SELECT … FOR UPDATE return rows and need a transaction as well.
        if compiled.is_write:
            _begin_write(at_work)
        return compiled, fetch_on_driver(at_work, compiled.text, compiled.parameters(values))

    def execute(self, values: Mapping[str, Any]) -> int:
        """Run a write and return how many rows it changed."""
        at_work = connection()
        compiled = self._compiled_for(at_work.dialect)
        _begin_write(at_work)
        return _run_on_driver(at_work, compiled.text, compiled.parameters(values))

    def execute_with_commit(
        self,
        values: Mapping[str, Any],
        *,
        explain: Callable[[IntegrityError], Exception] | None = None,
    ) -> None:
        """Postpone a write until the commit of the unit of work, or until its next statement (decision 0011).

        For a violated constraint, the commit or that statement raises `IntegrityError`, or the exception that `explain`
        returns.
        """

        def write(at_work: Connection, *, is_alone: bool) -> None:
            compiled = self._compiled_for(at_work.dialect)
            try:
                _write_last(at_work, compiled.text, compiled.parameters(values), is_alone=is_alone)
            except IntegrityError as problem:
                if explain is None:
                    raise
                raise explain(problem) from None

        unit_of_work().write_with_commit(write)

    def _compiled_for(self, dialect: Dialect) -> "_Compiled":
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled(self._statement, self._columns, positional(dialect))
        return compiled


class Remembered(Generic[T]):
    """A cache of the objects that `make` builds from the first row of a statement, keyed by the row.

    The row is read from the database every time, so a change takes effect at once; only `make` is saved. The objects
    are shared and must not be modified. Rows are keys as the driver returns them, so no column may be JSON, which
    PostgreSQL's driver returns as lists.
    """

    def __init__(self, statement: Prepared, make: Callable[[Any], T], size: int = 256) -> None:
        self._statement = statement

        @lru_cache(maxsize=size)
        def remembered(compiled: _Compiled, row: Sequence[Any]) -> T:
            return make(compiled.row(row))

        self._remembered = remembered

    def first(self, values: Mapping[str, Any]) -> T | None:
        """Return the object for the first row, or None if there is no row."""
        compiled, rows = self._statement.fetch(values)
        return self._remembered(compiled, rows[0]) if rows else None


def parameter(name: str, type_: Any = None) -> BindParameter[Any]:
    """Return a parameter whose value is given at each run of a prepared statement; without a value it is NULL."""
    return bindparam(name, None, type_=type_)


def fetch_on_driver(at_work: Connection, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Return the rows of a compiled statement as the driver returns them. Raises SQLAlchemy's errors."""
    driver = driver_of(at_work)
    try:
        rows: Sequence[Sequence[Any]] = driver.fetch_all(text, parameters)
    except at_work.dialect.loaded_dbapi.Error as problem:
        raise wrapped(at_work, text, problem) from None
    return rows


def is_broken_reference(problem: IntegrityError) -> bool:
    """Return whether a write violated a foreign key; otherwise it violated a unique key."""
    code = getattr(problem.orig, "sqlstate", None) or getattr(problem.orig, "sqlite_errorname", None)
    return code in _BROKEN_REFERENCE


def _run_on_driver(at_work: Connection, text: str, parameters: Sequence[Any]) -> int:
    driver = driver_of(at_work)
    try:
        touched: int = driver.run(text, parameters)
    except at_work.dialect.loaded_dbapi.Error as problem:
        raise wrapped(at_work, text, problem) from None
    return touched


def _begin_write(at_work: Connection) -> None:
    try:
        driver_of(at_work).begin_write()
    except at_work.dialect.loaded_dbapi.Error as problem:
        raise wrapped(at_work, "BEGIN", problem) from None


def _write_last(at_work: Connection, text: str, parameters: Sequence[Any], *, is_alone: bool) -> None:
    driver = driver_of(at_work)
    # SQLite, and nothing else to commit: one call waits in the write queue, writes, and commits (write_queue.py).
    if isinstance(driver, QueuedConnection) and is_alone and not driver.in_transaction:
        try:
            driver.write_alone(text, parameters)
        except at_work.dialect.loaded_dbapi.Error as problem:
            raise wrapped(at_work, text, problem) from None
        return
    # Outside of a transaction, PostgreSQL commits a statement automatically, so a write that is alone needs no BEGIN.
    if isinstance(driver, QueuedConnection) or not is_alone:
        _begin_write(at_work)
    _run_on_driver(at_work, text, parameters)


class _Compiled:
    """A statement, compiled for the driver of one dialect, with the conversions of its parameters and rows."""

    def __init__(self, statement: Statement, columns: list[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(
            dialect=dialect, column_keys=columns, compile_kwargs={"render_postcompile": columns is None}
        )
        binds = compiled.binds
        # The names in the order in which the driver takes the values; a name may occur several times.
        names = compiled.positiontup or []
        self.text = str(compiled)
        self.is_write = bool(not isinstance(statement, Select) or statement.get_execution_options().get("locks_rows"))
        processors = {name: _implemented(binds[name].type, dialect).bind_processor(dialect) for name in names}
        # (name, conversion, the converted value if none is given): callers set only a few columns of a new record.
        self._parameters = [
            (name, processors[name], _processed(processors[name], _default(binds[name]))) for name in names
        ]
        results = list(statement.exported_columns)
        self._make_row = _row_maker(str(column.key) for column in results)
        conversions = (_implemented(column.type, dialect).result_processor(dialect, None) for column in results)
        self._processors = [(at, processor) for at, processor in enumerate(conversions) if processor is not None]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the values for the driver, in its order. Names that the statement does not have are ignored."""
        return [
            blank if name not in values else values[name] if processor is None else processor(values[name])
            for name, processor, blank in self._parameters
        ]

    def row(self, fetched: Sequence[Any]) -> Any:
        """Return a fetched row with its values in Python's types."""
        row = list(fetched)
        for at, processor in self._processors:
            row[at] = processor(row[at])
        return self._make_row(row)


def _row_maker(names: Iterable[str]) -> Callable[[Iterable[Any]], Any]:
    """Return the maker of a named tuple. A name that Python reserves is replaced by its position, as in `_1`."""
    fields = list(names)
    row_type: Any = namedtuple("Row", fields, rename=True)  # type: ignore[misc]
    maker: Callable[[Iterable[Any]], Any] = row_type._make
    return maker


def _processed(processor: Processor | None, value: Any) -> Any:
    return processor(value) if processor else value


def _default(bind: BindParameter[Any]) -> Any:
    return None if bind.required else bind.value


def _implemented(of_column: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return of_column.dialect_impl(dialect)
