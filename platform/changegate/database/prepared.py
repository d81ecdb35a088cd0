"""Prepared statements: Core statements that hot paths compile once and give to the driver's connection.

SQLAlchemy finds a statement's compiled form anew at every execution and wraps what comes back, which costs three
times what SQLite takes for a row. Here the same Core statement, with the same types, is compiled once for each
dialect. Values travel as parameters, by position. Errors are SQLAlchemy's, and the transaction is that of the unit of
work (decision 0006).
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """One statement; thread-safe, and good for any engine.

    `columns` are the columns that an INSERT writes; one that is missing from `values` is NULL. Other statements have
    each `parameter` where a value comes at each run.
    """

    def __init__(self, statement: Statement, columns: Iterable[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)
        self._compiled: dict[str, _Compiled] = {}

    def first(self, values: Mapping[str, Any]) -> Any | None:
        """Return the first row, as a named tuple, or None."""
        return next(iter(self.all(values)), None)

    def all(self, values: Mapping[str, Any]) -> list[Any]:
        """Return every row, as named tuples."""
        compiled, rows = self.fetch(values)
        return [compiled.row(row) for row in rows]

    def fetch(self, values: Mapping[str, Any]) -> tuple["_Compiled", Sequence[Sequence[Any]]]:
        """Return every row as the driver gives it, with what makes a named tuple of it."""
        at_work = connection()
        compiled = self._compiled_for(at_work.dialect)
        if compiled.is_write:
            _begin_write(at_work)
        return compiled, fetch_on_driver(at_work, compiled.text, compiled.parameters(values))

    def execute(self, values: Mapping[str, Any]) -> int:
        """Run a write and return how many rows it touched."""
        at_work = connection()
        compiled = self._compiled_for(at_work.dialect)
        _begin_write(at_work)
        return _run_on_driver(at_work, compiled.text, compiled.parameters(values))

    def execute_with_commit(
        self, values: Mapping[str, Any], *, explain: Callable[[IntegrityError], Exception], must_last: bool = True
    ) -> None:
        """Run a write with the commit of the unit of work, or before its next statement (decision 0011).

        Either raises what `explain` makes of a broken rule of the database. What need not last is seen at once like
        everything else, but a machine that loses power may forget it.
        """

        def write(at_work: Connection, *, is_alone: bool) -> None:
            compiled = self._compiled_for(at_work.dialect)
            try:
                _write_last(at_work, compiled.text, compiled.parameters(values), is_alone=is_alone, must_last=must_last)
            except IntegrityError as problem:
                raise explain(problem) from None

        unit_of_work().write_with_commit(write)

    def _compiled_for(self, dialect: Dialect) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement, self._columns, positional(dialect))
        return found


class Remembered(Generic[T]):
    """What is made of the first row of a statement, remembered as long as the row says the same.

    The row itself is read every time, so that a change counts at once. What is made is shared: it must not be changed.
    Rows are told apart as the driver gives them, so no column may be JSON, of which PostgreSQL's makes lists.
    """

    def __init__(self, statement: Prepared, make: Callable[[Any], T], size: int = 256) -> None:
        self._statement = statement
        self._make = make
        self._size = size
        self._known: dict[Sequence[Any], T] = {}

    def __len__(self) -> int:
        return len(self._known)

    def first(self, values: Mapping[str, Any]) -> T | None:
        """Return what is made of the first row, or None."""
        compiled, rows = self._statement.fetch(values)
        if not rows:
            return None
        row = rows[0]
        found = self._known.get(row)
        return self._keep(row, self._make(compiled.row(row))) if found is None else found

    def _keep(self, row: Sequence[Any], made: T) -> T:
        if len(self._known) >= self._size:
            self._known.clear()
        self._known[row] = made
        return made


def parameter(name: str, type_: Any = None) -> BindParameter[Any]:
    """Return a parameter that gets its value at each run of a prepared statement; without a value it is NULL."""
    return bindparam(name, None, type_=type_)


def fetch_on_driver(at_work: Connection, text: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Return the rows of a compiled statement as the driver gives them."""
    driver = driver_of(at_work)
    try:
        found: Sequence[Sequence[Any]] = driver.fetch_all(text, parameters)
    except at_work.dialect.loaded_dbapi.Error as problem:
        raise wrapped(at_work, text, problem) from None
    return found


def is_broken_reference(problem: IntegrityError) -> bool:
    """Tell whether a write referred to what is not there; else it repeated a key."""
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


def _write_last(at_work: Connection, text: str, parameters: Sequence[Any], *, is_alone: bool, must_last: bool) -> None:
    driver = driver_of(at_work)
    if isinstance(driver, QueuedConnection) and is_alone and not driver.in_transaction:
        try:
            driver.write_alone(text, parameters, must_last=must_last)
        except at_work.dialect.loaded_dbapi.Error as problem:
            raise wrapped(at_work, text, problem) from None
        return
    # Outside of a transaction PostgreSQL commits a statement by itself.
    if isinstance(driver, QueuedConnection) or not is_alone:
        _begin_write(at_work)
    _run_on_driver(at_work, text, parameters)


class _Compiled:
    """A statement as one dialect's driver takes it."""

    def __init__(self, statement: Statement, columns: list[str] | None, dialect: Dialect) -> None:
        compiled = statement.compile(
            dialect=dialect, column_keys=columns, compile_kwargs={"render_postcompile": columns is None}
        )
        binds = compiled.binds
        names = compiled.positiontup or []
        self.text = str(compiled)
        self.is_write = bool(not isinstance(statement, Select) or statement.get_execution_options().get("locks_rows"))
        processed = {name: _implemented(binds[name].type, dialect).bind_processor(dialect) for name in names}
        # What a value that is not given is; most columns of a new record are none of the caller's.
        self._blank = [_processed(processed[name], _default(binds[name])) for name in names]
        self._places = {
            name: ([place for place, of in enumerate(names) if of == name], processed[name]) for name in names
        }
        self._nullable = frozenset(name for name in names if _default(binds[name]) is None)
        outcome = list(statement.exported_columns)
        self._make_row = _row_maker(str(column.key) for column in outcome)
        processors = (_implemented(column.type, dialect).result_processor(dialect, None) for column in outcome)
        self._processors = [(at, found) for at, found in enumerate(processors) if found is not None]

    def parameters(self, values: Mapping[str, Any]) -> list[Any]:
        """Return what the driver is given."""
        parameters = self._blank.copy()
        for name, value in values.items():
            if name in self._places and not (value is None and name in self._nullable):
                places, processor = self._places[name]
                bound = processor(value) if processor else value
                for place in places:
                    parameters[place] = bound
        return parameters

    def row(self, fetched: Sequence[Any]) -> Any:
        """Return a fetched row with its values in Python's types."""
        row = list(fetched)
        for at, processor in self._processors:
            row[at] = processor(row[at])
        return self._make_row(row)


def _row_maker(names: Iterable[str]) -> Callable[[Iterable[Any]], Any]:
    """Return the maker of a named tuple; a name that Python keeps for itself becomes a position."""
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
