"""The audit trail: who changed which field of which record, when, and the old and new values.

See docs/reference/change-records.md#related-tables.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import insert, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import SysAudit
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.models.sys_audit import DELETED
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import render_value

_COLUMNS = SysAudit.__table__.c


def record_changes(
    table: Table, class_name: str, before: Mapping[str, Any], changes: Mapping[str, Any], caller: Caller
) -> None:
    """Insert a row for every changed field of a record, with one statement; the values of secrets are omitted."""
    entries = table.entries
    _insert(
        [
            _row(class_name, before, caller, name, _text(table, name, before[name]), _text(table, name, value))
            for name, value in changes.items()
            if name in entries
        ]
    )


def record_deletion(table: Table, class_name: str, record: Mapping[str, Any], caller: Caller) -> None:
    """Insert a row for the deletion of a record, with its display name."""
    _insert([_deletion(table, class_name, record, caller)])


def record_deletions(table: Table, records: Sequence[Mapping[str, Any]], caller: Caller) -> None:
    """Insert a row for the deletion of each record, however many they are."""
    connection().execute(insert(SysAudit.__table__), [_deletion(table, table.name, each, caller) for each in records])


def require_never_deleted(table: str, sys_id: str) -> None:
    """Refuse the sys_id of a deleted record for a new one. Raises `OperationFailed`.

    For tables to whose records tokens, owners, lists, or delegations refer without a foreign key.
    """
    if _DELETION.first({"table": table, "sys_id": sys_id}):
        raise OperationFailed("This sys_id was that of a deleted record. Choose another one, or none")


def _deletion(table: Table, class_name: str, record: Mapping[str, Any], caller: Caller) -> Values:
    name = _text(table, table.display_field, record[table.display_field])
    return _row(class_name, record, caller, DELETED, name, None)


def _text(table: Table, name: str, value: Any) -> str | None:
    entry = table.entries[name]
    return None if entry.is_secret else render_value(entry, value) or None


def _row(
    class_name: str, record: Mapping[str, Any], caller: Caller, field: str, old: str | None, new: str | None
) -> Values:
    now = utc_now()
    return {
        "sys_id": new_ordered_sys_id(),
        "tablename": class_name,
        "documentkey": record["sys_id"],
        "record_checkpoint": record["sys_mod_count"] + 1,
        "fieldname": field,
        "user": caller.user_name,
        "oldvalue": old,
        "newvalue": new,
        "sys_created_on": now,
        "sys_created_by": caller.user_name,
        "sys_updated_on": now,
        "sys_updated_by": caller.user_name,
        "sys_mod_count": 0,
    }


def _insert(rows: Sequence[Values]) -> None:
    if rows:
        numbered = {f"{name}_{at}": value for at, row in enumerate(rows) for name, value in row.items()}
        _insert_statement(len(rows)).execute(numbered)


@lru_cache(maxsize=128)
def _insert_statement(how_many: int) -> Prepared:
    return Prepared(insert(SysAudit.__table__).values([_numbered(at) for at in range(how_many)]))


_DELETION = Prepared(
    select(_COLUMNS["sys_id"]).where(
        *(_COLUMNS["tablename"] == parameter("table"), _COLUMNS["documentkey"] == parameter("sys_id")),
        _COLUMNS["fieldname"] == DELETED,
    )
)


def _numbered(at: int) -> Values:
    return {name: parameter(f"{name}_{at}", type_=column.type) for name, column in _COLUMNS.items()}
