"""References to a deleted record, which are emptied with an update count and an audit row for each.

The foreign keys alone would empty them silently. A user may have opened thousands of changes, so one statement for each
field updates all records. The rules of the tables are not called: none may keep a reference to a deleted record.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, insert, literal, or_, select, update

from changegate.database import connection
from changegate.database.dialects import random_digits
from changegate.errors import OperationFailed
from changegate.models import SysAudit
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import TABLES, Table

RANDOM_DIGITS = 16
# To empty so many references takes SQLite about 0.4 seconds, for which other writers wait.
MOST_DEPENDENTS = 10_000
_MANY = "More than {:,} records refer to it. Delete those first, or deactivate it instead of deleting it"
_AUDIT = SysAudit.__table__


def empty_references(table: Table, sys_id: str, caller: Caller) -> None:
    """Empty every reference to a record, with the caller as author of the change.

    Raises `OperationFailed` if there are too many.
    """
    for referrer, fields in _referrers_of(table):
        for field in _filled(referrer, fields, sys_id):
            # Before the UPDATE, which removes the references by which the rows are found.
            if referrer.is_audited:
                _audit(referrer, field, sys_id, caller)
            _empty(referrer, field, sys_id, caller)


@lru_cache(maxsize=128)
def _referrers_of(table: Table) -> tuple[tuple[Table, tuple[str, ...]], ...]:
    """Return (table, fields that refer to `table` and may be empty), once for each stored table."""
    # Several tables can serve one source, which must be emptied once. Of these, the first one registered is used.
    stored = {served.source: served for served in reversed([*TABLES.values()])}
    candidates = ((referrer, tuple(_references(referrer, table))) for referrer in stored.values())
    return tuple((referrer, fields) for referrer, fields in candidates if fields)


@lru_cache(maxsize=128)
def _holds_classes(referrer: Table) -> bool:
    return any(served.keeps_class for served in TABLES.values() if served.source is referrer.source)


def _references(referrer: Table, table: Table) -> Iterator[str]:
    for column in referrer.source.c:
        for key in column.foreign_keys:
            if key.column.table is table.source and key.ondelete == "SET NULL":
                yield column.key


def require_few(dependents: int) -> None:
    """Refuse to delete a record with so many parts or references that a request has no time for them."""
    if dependents > MOST_DEPENDENTS:
        raise OperationFailed(_MANY.format(MOST_DEPENDENTS))


def _filled(referrer: Table, fields: tuple[str, ...], sys_id: str) -> list[str]:
    # One scan for all fields of the table: not all of them have an index.
    columns = [referrer.source.c[field] for field in fields]
    named = select(*columns).where(or_(*(column == sys_id for column in columns))).limit(MOST_DEPENDENTS + 1).subquery()
    counted = select(*(func.count(case((named.c[field] == sys_id, 1))) for field in fields))
    counts = connection().execute(counted).one()
    require_few(sum(counts))
    return [field for field, count in zip(fields, counts, strict=True) if count]


def _empty(referrer: Table, field: str, sys_id: str, caller: Caller) -> None:
    columns = referrer.source.c
    stamps = {"sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
    counted = {"sys_mod_count": columns["sys_mod_count"] + 1}
    change = update(referrer.source).where(columns[field] == sys_id).values({field: None, **stamps, **counted})
    connection().execute(change)


def _audit(referrer: Table, field: str, sys_id: str, caller: Caller) -> None:
    columns, now, user = referrer.source.c, utc_now(), caller.user_name
    row: dict[str, Any] = {
        # One statement writes all rows, so that only the database can give each of them digits of its own.
        "sys_id": literal(new_ordered_sys_id()[:-RANDOM_DIGITS]) + random_digits(RANDOM_DIGITS),
        "tablename": columns["sys_class_name"] if _holds_classes(referrer) else referrer.name,
        "documentkey": columns["sys_id"],
        "record_checkpoint": columns["sys_mod_count"] + 1,
        "fieldname": field,
        "user": user,
        "oldvalue": sys_id,
        "sys_created_on": now,
        "sys_created_by": user,
        "sys_updated_on": now,
        "sys_updated_by": user,
        "sys_mod_count": 0,
    }
    rows: Select[Any] = select(*(_given(name, value) for name, value in row.items())).where(columns[field] == sys_id)
    connection().execute(insert(_AUDIT).from_select(list(row), rows, include_defaults=False))


def _given(name: str, value: Any) -> Any:
    return value if isinstance(value, ColumnElement) else literal(value, _AUDIT.c[name].type)
