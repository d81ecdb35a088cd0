"""The dictionary as records: sys_db_object and sys_dictionary describe the registered tables for clients."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, UniqueConstraint, delete, insert, select, update
from sqlalchemy import Table as DatabaseTable
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from changegate.database import connection
from changegate.models import SysDbObject, SysDictionary
from changegate.models.base import Entry, utc_now
from changegate.services.tables.registry import NOBODY, TABLES, Table, find_table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import render_value

# ServiceNow's names of the field types that have another name here.
_TYPES = {"choice": "string"}
_USUAL_LENGTH = 40


def refresh_dictionary() -> None:
    """Update both tables to match the registry; rows that already match are not written."""
    _refresh(SysDbObject, {sys_id_of(table.name): _table_row(table) for table in TABLES.values()})
    rows = (row for table in TABLES.values() for row in _field_rows(table))
    _refresh(SysDictionary, {sys_id_of(row["name"], row["element"]): row for row in rows})


def sys_id_of(*names: str) -> str:
    """Return the sys_id of the row that describes a table or field; it is the same on every instance."""
    return hashlib.md5(".".join(names).encode(), usedforsecurity=False).hexdigest()


def declared_entries(table: Table) -> Mapping[str, Entry]:
    """Return the dictionary entries of the fields that a table adds to the table it extends."""
    parent = find_table(table.extends) if table.extends else None
    return {name: entry for name, entry in table.entries.items() if parent is None or name not in parent.entries}


def _table_row(table: Table) -> Values:
    is_extended = any(other.extends == table.name for other in TABLES.values())
    parent = sys_id_of(table.extends) if table.extends else None
    return {"name": table.name, "label": table.label, "super_class": parent, "is_extendable": is_extended}


def _field_rows(table: Table) -> Iterator[Values]:
    for name, entry in declared_entries(table).items():
        # A secret is listed only if some callers may write it.
        if not entry.is_secret or table.access.update is not NOBODY:
            yield _field_row(table, name, entry)
    parent = find_table(table.extends) if table.extends else None
    for name in table.journal_fields:
        if parent is None or name not in parent.journal_fields:
            yield _journal_row(table, name)


def _field_row(table: Table, name: str, entry: Entry) -> Values:
    column: Column[Any] = table.source.c[name]
    is_stored = isinstance(column.table, DatabaseTable)
    default = column.default.arg if is_stored and isinstance(column.default, ScalarElementColumnDefault) else None
    is_key = column.primary_key if is_stored else name == "sys_id"
    return {
        "name": table.name,
        "element": name,
        "column_label": entry.label,
        "internal_type": "password" if entry.is_secret else _TYPES.get(entry.kind, entry.kind),
        "max_length": entry.max_length or _USUAL_LENGTH,
        "reference": entry.reference,
        "choice": int(entry.choices is not None),
        "default_value": None if default is None else render_value(entry, default),
        "mandatory": is_mandatory(table, name),
        "read_only": entry.is_read_only,
        "active": True,
        "unique": is_key or (is_stored and _is_unique(column)),
        "primary": is_key,
        "display": name == table.display_field,
    }


def is_mandatory(table: Table, name: str) -> bool:
    """Return whether the creator of a record must set a field."""
    if table.entries[name].is_read_only or name in table.filled_by_rules:
        return False
    column: Column[Any] = table.source.c[name]
    return not column.nullable and column.default is None


def _is_unique(column: Column[Any]) -> bool:
    constraints = column.table.constraints
    return any(isinstance(each, UniqueConstraint) and list(each.columns) == [column] for each in constraints)


def _journal_row(table: Table, name: str) -> Values:
    return {
        "name": table.name,
        "element": name,
        "column_label": name.replace("_", " ").capitalize(),
        "internal_type": "journal_input",
        "max_length": 4000,
        "reference": None,
        "choice": 0,
        "default_value": None,
        "mandatory": False,
        "read_only": False,
        "active": True,
        "unique": False,
        "primary": False,
        "display": False,
    }


def _refresh(model: type[Any], registered: Mapping[str, Values]) -> None:
    table = model.__table__
    stored = {row.sys_id: row._mapping for row in connection().execute(select(table))}
    for sys_id in stored.keys() - registered.keys():
        connection().execute(delete(table).where(table.c.sys_id == sys_id))
    added = [{"sys_id": sys_id, **row, **_stamps()} for sys_id, row in registered.items() if sys_id not in stored]
    if added:
        connection().execute(insert(table), added)
    for sys_id, row in registered.items():
        if sys_id in stored and any(stored[sys_id][name] != value for name, value in row.items()):
            counted = {**row, "sys_updated_on": utc_now(), "sys_mod_count": table.c.sys_mod_count + 1}
            connection().execute(update(table).where(table.c.sys_id == sys_id).values(counted))


def _stamps() -> Values:
    now = utc_now()
    return {
        "sys_created_on": now,
        "sys_created_by": "system",
        "sys_updated_on": now,
        "sys_updated_by": "system",
        "sys_mod_count": 0,
    }
