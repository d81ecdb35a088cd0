"""Records: written through one way for every table.

Writing is Core, not ORM: a record has a hundred columns of which a write touches a few, and the unit of work would
cost more than the database does.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from changegate.errors import OperationFailed, RequestUnreadable
from changegate.extensions import connection
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access import Caller
from changegate.services.prepared import Prepared
from changegate.services.tables.reading import Record, get_row, require_operation, require_row, visibility, visible_rows
from changegate.services.tables.references import resolve_references
from changegate.services.tables.registry import Table, Values
from changegate.services.tables.values import parse_value

_CALLER_CHOSEN_SYS_ID = re.compile("[A-Za-z0-9]{32}")


def create_record(table: Table, caller: Caller, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Insert a record and return its values by field; unknown and read-only fields of `sent` are ignored.

    Raises `AccessRefused`, `RequestUnreadable` for a value that its field cannot hold, `OperationFailed` from the
    table's rules.
    """
    require_operation(table, caller, "create")
    values = _defaults(table)
    values |= {name: value for name, value in _parsed(table, caller, sent).items() if value is not None}
    values |= _stamps(caller)
    values["sys_id"] = _chosen_sys_id(sent) or new_sys_id()
    if table.classes:
        values["sys_class_name"] = table.name
    table.rules.before_create(values, caller)
    with _unique_keys():
        _insert_statement(table).execute(values)
    return {name: values.get(name) for name in table.columns}


def update_record(table: Table, caller: Caller, sys_id: str, sent: Mapping[str, Any]) -> Record:
    """Change the sent fields of a record and return it whole; a write of equal values changes nothing."""
    require_operation(table, caller, "update")
    before = _lock_row(table, caller, sys_id)
    changes = {
        name: value
        for name, value in _parsed(table, caller, sent).items()
        if not _is_same(before, name, value) and _is_clearable(table, name, value)
    }
    table.rules.before_update(before, changes, caller)
    if changes:
        columns = table.source.c
        changes |= {"sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
        counted = {**changes, "sys_mod_count": columns["sys_mod_count"] + 1}
        with _unique_keys():
            connection().execute(update(table.source).where(columns["sys_id"] == sys_id).values(counted))
    return get_row(table, caller, sys_id, table.fields_for(caller))


def delete_record(table: Table, caller: Caller, sys_id: str) -> None:
    """Delete a record; raises `RecordNotFound` when there is none to delete."""
    require_operation(table, caller, "delete")
    _lock_row(table, caller, sys_id)
    try:
        connection().execute(delete(table.source).where(table.source.c["sys_id"] == sys_id))
    except IntegrityError:
        raise OperationFailed("Other records refer to this one and cannot do without it") from None


@lru_cache(maxsize=128)
def _lock_statement(table: Table, is_restricted: bool) -> Prepared:
    # SQLite has no row locks; the option makes it take its write lock before it reads (database.py).
    visible = visible_rows(table, is_restricted=is_restricted)
    statement = select(table.source).where(table.source.c["sys_id"] == bindparam("wanted", None), *visible)
    return Prepared(statement.with_for_update().execution_options(locks_rows=True))


@lru_cache(maxsize=128)
def _insert_statement(table: Table) -> Prepared:
    return Prepared(insert(table.source), table.source.c.keys())


def _lock_row(table: Table, caller: Caller, sys_id: str) -> Values:
    is_restricted, owner = visibility(table, caller)
    row = require_row(_lock_statement(table, is_restricted), {"wanted": sys_id, **owner})
    return dict(zip(row._fields, row, strict=True))


def _parsed(table: Table, caller: Caller, sent: Mapping[str, Any]) -> Values:
    """Return the storable values of the known, writable fields of a request; references are resolved."""
    parsed: Values = {}
    for key, value in sent.items():
        name = key.lower()
        entry = table.entries.get(name)
        if entry is not None and not entry.is_read_only:
            parsed[name] = parse_value(name, entry, value)
    return resolve_references(table, parsed)


@lru_cache(maxsize=128)
def _default_items(table: Table) -> tuple[tuple[str, Any], ...]:
    defaults = ((name, column.default) for name, column in table.columns.items())
    return tuple((name, found.arg) for name, found in defaults if isinstance(found, ScalarElementColumnDefault))


def _defaults(table: Table) -> Values:
    return dict(_default_items(table))


def _stamps(caller: Caller) -> Values:
    now = utc_now()
    return {
        "sys_created_on": now,
        "sys_created_by": caller.user_name,
        "sys_updated_on": now,
        "sys_updated_by": caller.user_name,
        "sys_mod_count": 0,
    }


def _chosen_sys_id(sent: Mapping[str, Any]) -> str | None:
    chosen = sent.get("sys_id")
    if chosen in (None, ""):
        return None
    if not isinstance(chosen, str) or not _CALLER_CHOSEN_SYS_ID.fullmatch(chosen):
        raise RequestUnreadable("Field sys_id: 32 letters and digits are expected")
    return chosen


def _is_same(before: Values, name: str, value: Any) -> bool:
    return bool((before[name] if before[name] != "" else None) == value)


def _is_clearable(table: Table, name: str, value: Any) -> bool:
    """Tell whether a field may become a value: to empty a choice or boolean is not honoured (rest_api.md §1.5)."""
    entry = table.entries[name]
    if value is not None:
        return True
    if entry.choices or entry.kind == "boolean":
        return False
    if table.source.c[name].nullable:
        return True
    raise OperationFailed(f"Data Policy Exception: The following fields are mandatory: {entry.label}")


@contextmanager
def _unique_keys() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise OperationFailed("Unique Key violation detected: a record with this key exists already") from None
