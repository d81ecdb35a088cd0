"""Reading: single records and pages of them, as far as the caller may see.

Reading is Core, not ORM: a record has a hundred columns, and the unit of work would cost more than the database does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select

from changegate.errors import RecordNotFound
from changegate.extensions import connection
from changegate.services.access import Caller
from changegate.services.prepared import Prepared
from changegate.services.tables.clauses import order_clauses, where_clause
from changegate.services.tables.encoded_query import EncodedQuery
from changegate.services.tables.registry import OWNER, Table

# A record as it is stored: its values in the order of `Table.fields_for` the caller.
Record = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a query and how many rows match in all."""

    rows: Sequence[Record]
    total: int


def list_records(table: Table, caller: Caller, query: EncodedQuery, *, limit: int, offset: int) -> Page:
    """Return a page of the records that match and that the caller may see."""
    require_operation(table, caller, "read")
    fields = table.fields_for(caller)
    is_restricted, owner = visibility(table, caller)
    clauses = visible_rows(table, is_restricted=is_restricted)
    matching = where_clause(table, fields, query)
    if matching is not None:
        clauses.append(matching)
    total = connection().execute(select(func.count()).select_from(table.source).where(*clauses), owner).scalar_one()
    statement = _select(table, fields).where(*clauses).order_by(*order_clauses(table, fields, query.orders))
    rows = connection().execute(statement.limit(limit).offset(offset), owner).all() if total > offset else []
    return Page(rows, total)


def get_record(table: Table, caller: Caller, sys_id: str) -> Record:
    """Return one record; raises `RecordNotFound` when it is missing or not the caller's to see."""
    require_operation(table, caller, "read")
    return get_row(table, caller, sys_id, table.fields_for(caller))


def require_operation(table: Table, caller: Caller, operation: str) -> None:
    """Refuse a caller whose roles do not allow an operation on the table."""
    roles = getattr(table.access, operation)
    if roles:
        detail = (
            f"ACL Exception {operation.capitalize().replace('Create', 'Insert')} Failed due to security constraints"
        )
        caller.require_role(roles, detail)


def visible_rows(table: Table, *, is_restricted: bool) -> list[ColumnElement[bool]]:
    """Return the clauses that keep a statement to the table, and where `is_restricted` to the caller's own rows."""
    clauses: list[ColumnElement[bool]] = []
    if table.classes:
        # Equality, not IN: an IN list is expanded into the SQL text anew at every execution.
        clauses.append(or_(*(table.source.c["sys_class_name"] == name for name in table.classes)))
    if is_restricted and table.own_rows is not None:
        clauses.append(table.own_rows(table))
    return clauses


def visibility(table: Table, caller: Caller) -> tuple[bool, dict[str, str]]:
    """Tell whether the caller sees only his own rows, with the parameters that say which those are."""
    is_restricted = table.own_rows is not None and not caller.has_role(table.reads_all)
    return is_restricted, {OWNER: caller.sys_id} if is_restricted else {}


# Statements are built once: SQLAlchemy remembers a statement's cache key with the statement, and to work out the
# key of a hundred columns anew costs more than running it.
@lru_cache(maxsize=128)
def _get_statement(table: Table, fields: tuple[str, ...], is_restricted: bool) -> Prepared:
    visible = visible_rows(table, is_restricted=is_restricted)
    return Prepared(_select(table, fields).where(table.columns["sys_id"] == bindparam("wanted", None), *visible))


@lru_cache(maxsize=128)
def _select(table: Table, fields: tuple[str, ...]) -> Select[Any]:
    return select(*(table.columns[name] for name in fields))


def get_row(table: Table, caller: Caller, sys_id: str, fields: tuple[str, ...]) -> Record:
    """Return one row with the values of `fields`; raises `RecordNotFound`."""
    is_restricted, owner = visibility(table, caller)
    row: Record = require_row(_get_statement(table, fields, is_restricted), {"wanted": sys_id, **owner})
    return row


def require_row(statement: Prepared, parameters: dict[str, str]) -> Any:
    """Return the first row of a statement; raises `RecordNotFound`."""
    row = statement.first(parameters) if parameters["wanted"].isprintable() else None
    if row is None:
        raise RecordNotFound
    return row
