"""Records: read and written through one way for every table.

Reading and writing is Core, not ORM: a record has a hundred columns of which a write touches a few, and the unit
of work would cost more than the database does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    RowMapping,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from changegate.errors import OperationFailed, RecordNotFound, RequestUnreadable
from changegate.extensions import connection
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access import Caller
from changegate.services.tables.clauses import order_clauses, where_clause
from changegate.services.tables.encoded_query import EncodedQuery
from changegate.services.tables.references import resolve_references
from changegate.services.tables.registry import Table, Values
from changegate.services.tables.values import parse_value

Row = Mapping[str, Any]
_CALLER_CHOSEN_SYS_ID = re.compile("[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a query and how many rows match in all."""

    rows: list[RowMapping]
    total: int


def list_records(table: Table, caller: Caller, query: EncodedQuery, *, limit: int, offset: int) -> Page:
    """Return a page of the records that match and that the caller may see."""
    _require(table, caller, "read")
    fields = table.fields_for(caller)
    clauses = _visible(table, caller)
    matching = where_clause(table, fields, query)
    if matching is not None:
        clauses.append(matching)
    total = connection().execute(select(func.count()).select_from(table.source).where(*clauses)).scalar_one()
    statement = _select(table, fields).where(*clauses).order_by(*order_clauses(table, fields, query.orders))
    rows = (
        connection().execute(statement.limit(limit).offset(offset)).mappings().all() if total > offset else []
    )
    return Page(list(rows), total)


def get_record(table: Table, caller: Caller, sys_id: str) -> RowMapping:
    """Return one record; raises `RecordNotFound` when it is missing or not the caller's to see."""
    _require(table, caller, "read")
    return _find_row(table, caller, sys_id, _get_statement(table, table.fields_for(caller)))


def create_record(table: Table, caller: Caller, sent: Mapping[str, Any]) -> Row:
    """Insert a record and return it whole; unknown and read-only fields of `sent` are ignored.

    Raises `AccessRefused`, `RequestUnreadable` for a value that its field cannot hold, `OperationFailed` from the
    table's rules.
    """
    _require(table, caller, "create")
    values = _defaults(table)
    values |= {name: value for name, value in _parsed(table, caller, sent).items() if value is not None}
    values |= _stamps(caller)
    values["sys_id"] = _chosen_sys_id(sent) or new_sys_id()
    if table.classes:
        values["sys_class_name"] = table.name
    table.rules.before_create(values, caller)
    _execute_write(insert(table.source), values)
    return {name: values.get(name) for name in table.columns}


def update_record(table: Table, caller: Caller, sys_id: str, sent: Mapping[str, Any]) -> Row:
    """Change the sent fields of a record and return it whole; a write of equal values changes nothing."""
    _require(table, caller, "update")
    before = _find_row(table, caller, sys_id, _lock_statement(table))
    changes = {
        name: value
        for name, value in _parsed(table, caller, sent).items()
        if not _is_same(before, name, value)
    }
    table.rules.before_update(before, changes, caller)
    if changes:
        columns = table.source.c
        changes |= {"sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
        counted = {**changes, "sys_mod_count": columns["sys_mod_count"] + 1}
        _execute_write(update(table.source).where(columns["sys_id"] == sys_id).values(counted))
    return _find_row(table, caller, sys_id, _get_statement(table, table.fields_for(caller)))


def delete_record(table: Table, caller: Caller, sys_id: str) -> None:
    """Delete a record; raises `RecordNotFound` when there is none to delete."""
    _require(table, caller, "delete")
    _find_row(table, caller, sys_id, _lock_statement(table))
    _execute_write(delete(table.source).where(table.source.c["sys_id"] == sys_id))


def _require(table: Table, caller: Caller, operation: str) -> None:
    roles = getattr(table.access, operation)
    if roles:
        detail = f"ACL Exception {operation.capitalize().replace('Create', 'Insert')} Failed due to security constraints"
        caller.require_role(roles, detail)


def _visible(table: Table, caller: Caller) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if table.classes:
        clauses.append(table.source.c["sys_class_name"].in_(table.classes))
    if table.row_filter and (own := table.row_filter(table, caller)) is not None:
        clauses.append(own)
    return clauses


@lru_cache(maxsize=128)
def _select(table: Table, fields: tuple[str, ...]) -> Select[Any]:
    return select(*(table.columns[name] for name in fields))


@lru_cache(maxsize=128)
def _get_statement(table: Table, fields: tuple[str, ...]) -> Select[Any]:
    return _select(table, fields).where(table.columns["sys_id"] == bindparam("wanted"))


@lru_cache(maxsize=128)
def _lock_statement(table: Table) -> Select[Any]:
    # SQLite has no row locks; the option makes it take its write lock before it reads (extensions.py).
    statement = select(table.source).where(table.source.c["sys_id"] == bindparam("wanted"))
    return statement.with_for_update().execution_options(locks_rows=True)


def _find_row(table: Table, caller: Caller, sys_id: str, statement: Select[Any]) -> RowMapping:
    restricted = statement.where(*_visible(table, caller))
    row = connection().execute(restricted, {"wanted": sys_id}).mappings().one_or_none()
    if row is None:
        raise RecordNotFound
    return row


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
    return tuple(
        (name, default.arg) for name, default in defaults if default is not None and default.is_scalar
    )


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


def _is_same(before: RowMapping, name: str, value: Any) -> bool:
    return bool((before[name] if before[name] != "" else None) == value)


def _execute_write(statement: Executable, values: Values | None = None) -> None:
    try:
        connection().execute(statement, values)
    except IntegrityError:
        raise OperationFailed(
            "Unique Key violation detected: a record with this key exists already"
        ) from None
