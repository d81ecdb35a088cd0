"""The statements that lock, insert, update, and delete one row of any table, each prepared once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.database.prepared import Prepared, is_broken_reference, parameter
from changegate.errors import OperationFailed
from changegate.services.access.caller import Caller
from changegate.services.tables.reading.records import require_row
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values
from changegate.services.tables.visibility import Restriction, visibility, visible_rows

KEY_EXISTS = "Unique Key violation detected: a record with this key exists already"


def lock_row(table: Table, caller: Caller, sys_id: str, *, is_to_go: bool = False) -> Values:
    """Lock and return a row that the caller may see. Raises `RecordNotFound`.

    No other transaction can write the row until this one ends. With `is_to_go`, none can insert a reference to it.
    """
    restriction, who = visibility(table, caller)
    row = require_row(_lock_statement(table, restriction, is_to_go), {"sys_id": sys_id, **who})
    return dict(zip(table.source.c.keys(), row, strict=True))


def insert_row(table: Table, values: Mapping[str, Any], caller: Caller) -> None:
    """Postpone the insertion of a row until the commit or the next statement, which raises `OperationFailed`."""
    if table.observer is not None:
        table.observer.created(values, caller)
    # Most columns of a new record are NULL, for which SQLite's driver needs longer than for values.
    names = frozenset([name for name, value in values.items() if value is not None])
    _insert_statement(table, names).execute_with_commit(values, explain=_explain)


def update_row(table: Table, sys_id: str, values: Mapping[str, Any]) -> None:
    """Update a row. Raises `OperationFailed`."""
    with _explained():
        # Sorted, so that the same fields in another order share one prepared statement. `new_` keeps the new values
        # apart from the parameter `sys_id`, which selects the row.
        statement = _update_statement(table, tuple(sorted(values)))
        statement.execute({"sys_id": sys_id, **{f"new_{name}": value for name, value in values.items()}})


def delete_row(table: Table, sys_id: str) -> None:
    """Delete a row. Raises `OperationFailed` if other records must refer to it."""
    try:
        connection().execute(delete(table.source).where(table.source.c["sys_id"] == sys_id))
    except IntegrityError:
        raise OperationFailed("Other records refer to this one and require it. Change or delete them first") from None


@lru_cache(maxsize=128)
def _lock_statement(table: Table, restriction: Restriction, is_to_go: bool) -> Prepared:
    # SQLite has no row locks. `locks_rows` makes it take its write lock before it reads (database/engine.py).
    visible = visible_rows(table, restriction)
    statement = select(table.source).where(table.source.c["sys_id"] == parameter("sys_id"), *visible)
    # Other transactions may refer to a row that stays (FOR NO KEY UPDATE). If they had to wait, two updates that refer
    # to each other's rows would deadlock.
    locked = statement.with_for_update(key_share=not is_to_go)
    return Prepared(locked.execution_options(locks_rows=True))


@lru_cache(maxsize=512)
def _insert_statement(table: Table, names: frozenset[str]) -> Prepared:
    return Prepared(insert(table.source), sorted(names))


@lru_cache(maxsize=512)
def _update_statement(table: Table, names: tuple[str, ...]) -> Prepared:
    columns = table.source.c
    new = {name: parameter(f"new_{name}", type_=columns[name].type) for name in names}
    return Prepared(update(table.source).where(columns["sys_id"] == parameter("sys_id")).values(new))


@contextmanager
def _explained() -> Iterator[None]:
    """Translate a violated constraint into `OperationFailed`."""
    try:
        yield
    except IntegrityError as problem:
        raise _explain(problem) from None


def _explain(problem: IntegrityError) -> OperationFailed:
    if is_broken_reference(problem):
        return OperationFailed("A record that this one refers to has just been deleted")
    return OperationFailed(KEY_EXISTS)
