"""Records: read and written through one way for every table.

Reading and writing is Core, not ORM: a record has a hundred columns of which a write touches a few, and the unit
of work would cost more than the database does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from changegate.errors import OperationFailed, RecordNotFound, RequestUnreadable
from changegate.extensions import connection
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access import Caller
from changegate.services.prepared import Prepared
from changegate.services.tables.clauses import order_clauses, where_clause
from changegate.services.tables.encoded_query import EncodedQuery
from changegate.services.tables.references import resolve_references
from changegate.services.tables.registry import OWNER, Table, Values
from changegate.services.tables.values import parse_value

# A record as it is stored: its values in the order of `Table.fields_for` the caller.
Record = Sequence[Any]
_CALLER_CHOSEN_SYS_ID = re.compile("[A-Za-z0-9]{32}")


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a query and how many rows match in all."""

    rows: Sequence[Record]
    total: int


def list_records(table: Table, caller: Caller, query: EncodedQuery, *, limit: int, offset: int) -> Page:
    """Return a page of the records that match and that the caller may see."""
    _require(table, caller, "read")
    fields = table.fields_for(caller)
    is_restricted, owner = _visibility(table, caller)
    clauses = _visible(table, is_restricted=is_restricted)
    matching = where_clause(table, fields, query)
    if matching is not None:
        clauses.append(matching)
    total = connection().execute(select(func.count()).select_from(table.source).where(*clauses), owner).scalar_one()
    statement = _select(table, fields).where(*clauses).order_by(*order_clauses(table, fields, query.orders))
    rows = connection().execute(statement.limit(limit).offset(offset), owner).all() if total > offset else []
    return Page(rows, total)


def get_record(table: Table, caller: Caller, sys_id: str) -> Record:
    """Return one record; raises `RecordNotFound` when it is missing or not the caller's to see."""
    _require(table, caller, "read")
    return _get_row(table, caller, sys_id, table.fields_for(caller))


def create_record(table: Table, caller: Caller, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """Insert a record and return its values by field; unknown and read-only fields of `sent` are ignored.

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
    with _unique_keys():
        _insert_statement(table).execute(values)
    return {name: values.get(name) for name in table.columns}


def update_record(table: Table, caller: Caller, sys_id: str, sent: Mapping[str, Any]) -> Record:
    """Change the sent fields of a record and return it whole; a write of equal values changes nothing."""
    _require(table, caller, "update")
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
    return _get_row(table, caller, sys_id, table.fields_for(caller))


def delete_record(table: Table, caller: Caller, sys_id: str) -> None:
    """Delete a record; raises `RecordNotFound` when there is none to delete."""
    _require(table, caller, "delete")
    _lock_row(table, caller, sys_id)
    try:
        connection().execute(delete(table.source).where(table.source.c["sys_id"] == sys_id))
    except IntegrityError:
        raise OperationFailed("Other records refer to this one and cannot do without it") from None


def _require(table: Table, caller: Caller, operation: str) -> None:
    roles = getattr(table.access, operation)
    if roles:
        detail = (
            f"ACL Exception {operation.capitalize().replace('Create', 'Insert')} Failed due to security constraints"
        )
        caller.require_role(roles, detail)


def _visible(table: Table, *, is_restricted: bool) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    if table.classes:
        # Equality, not IN: an IN list is expanded into the SQL text anew at every execution.
        clauses.append(or_(*(table.source.c["sys_class_name"] == name for name in table.classes)))
    if is_restricted and table.own_rows is not None:
        clauses.append(table.own_rows(table))
    return clauses


def _visibility(table: Table, caller: Caller) -> tuple[bool, dict[str, str]]:
    """Tell whether the caller sees only his own rows, with the parameters that say which those are."""
    is_restricted = table.own_rows is not None and not caller.has_role(table.reads_all)
    return is_restricted, {OWNER: caller.sys_id} if is_restricted else {}


# Statements are built once: SQLAlchemy remembers a statement's cache key with the statement, and to work out the
# key of a hundred columns anew costs more than running it.
@lru_cache(maxsize=128)
def _get_statement(table: Table, fields: tuple[str, ...], is_restricted: bool) -> Prepared:
    visible = _visible(table, is_restricted=is_restricted)
    return Prepared(_select(table, fields).where(table.columns["sys_id"] == bindparam("wanted", None), *visible))


@lru_cache(maxsize=128)
def _lock_statement(table: Table, is_restricted: bool) -> Prepared:
    # SQLite has no row locks; the option makes it take its write lock before it reads (database.py).
    visible = _visible(table, is_restricted=is_restricted)
    statement = select(table.source).where(table.source.c["sys_id"] == bindparam("wanted", None), *visible)
    return Prepared(statement.with_for_update().execution_options(locks_rows=True))


@lru_cache(maxsize=128)
def _insert_statement(table: Table) -> Prepared:
    return Prepared(insert(table.source), table.source.c.keys())


@lru_cache(maxsize=128)
def _select(table: Table, fields: tuple[str, ...]) -> Select[Any]:
    return select(*(table.columns[name] for name in fields))


def _get_row(table: Table, caller: Caller, sys_id: str, fields: tuple[str, ...]) -> Record:
    is_restricted, owner = _visibility(table, caller)
    row: Record = _require_row(_get_statement(table, fields, is_restricted), {"wanted": sys_id, **owner})
    return row


def _lock_row(table: Table, caller: Caller, sys_id: str) -> Values:
    is_restricted, owner = _visibility(table, caller)
    row = _require_row(_lock_statement(table, is_restricted), {"wanted": sys_id, **owner})
    return dict(zip(row._fields, row, strict=True))


def _require_row(statement: Prepared, parameters: dict[str, str]) -> Any:
    row = statement.first(parameters) if parameters["wanted"].isprintable() else None
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
