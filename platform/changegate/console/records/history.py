"""The audit trail of a record, by save, and what has changed since a form was opened."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, find_table

MOST_AUDIT_ROWS = 200
_COUNT = re.compile(r"([0-9]{1,9})-[0-9]{14}\Z", re.ASCII)
_FIELDS = ("fieldname", "user", "oldvalue", "newvalue", "record_checkpoint", "sys_created_on")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A changed field with its old and new text."""

    name: str
    label: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RecordSave:
    """The changes that one user made at one time, which is local to the user who reads it."""

    number: int
    user: str
    at: str
    changes: Sequence[FieldChange]


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that was changed since a form was opened: its text then and now, what was typed, and who changed it."""

    label: str
    loaded: str
    stored: str
    typed: str | None
    saves: Sequence[RecordSave]


def list_saves(table: Table, caller: Caller, record: WireRecord, *, after: int = -1) -> list[RecordSave]:
    """Return the latest saves of a record, newest first, as far as the caller may read the audit trail."""
    trail = find_table("sys_audit")
    if trail is None or not table.is_audited or not trail.access.admits("read", caller.permissions):
        return []
    of_class = record["sys_class_name"]["value"] if table.classes else table.name
    conditions = (
        Condition("tablename", "=", of_class),
        Condition("documentkey", "=", record["sys_id"]["value"]),
        Condition("record_checkpoint", ">", str(after)),
    )
    query = EncodedQuery((tuple((each,) for each in conditions),), (Order("record_checkpoint", is_descending=True),))
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=_FIELDS)
    rows = list(read_page(trail, caller, query, shape, limit=MOST_AUDIT_ROWS, offset=0).records)
    names = _names(table, rows, caller)
    saves = groupby(rows, key=lambda row: int(row["record_checkpoint"]["value"] or 0))
    return [_save(table, number, list(changed), names) for number, changed in saves]


def differences_since(
    table: Table, caller: Caller, record: WireRecord, version: str, typed: Mapping[str, str]
) -> list[FieldDifference]:
    """Return the fields of a record that were changed since the version with which a form was opened."""
    opened = _COUNT.match(version)
    saves = list_saves(table, caller, record, after=int(opened[1]) if opened else -1)
    by_field: dict[str, list[tuple[RecordSave, FieldChange]]] = {}
    for save in reversed(saves):
        for change in save.changes:
            by_field.setdefault(change.name, []).append((save, change))
    return [
        FieldDifference(
            changes[0][1].label,
            changes[0][1].old,
            record[name]["display_value"] if name in record else changes[-1][1].new,
            typed.get(name),
            [save for save, _ in changes],
        )
        for name, changes in by_field.items()
    ]


def _save(table: Table, number: int, rows: Sequence[WireRecord], names: Mapping[str, str]) -> RecordSave:
    first = rows[0]
    return RecordSave(
        number,
        first["user"]["display_value"],
        first["sys_created_on"]["display_value"],
        [_change(table, row, names) for row in rows],
    )


def _change(table: Table, row: WireRecord, names: Mapping[str, str]) -> FieldChange:
    name = row["fieldname"]["value"]
    entry = table.entries.get(name)
    choices = (entry.choices if entry else None) or {}
    old, new = (row[member]["value"] for member in ("oldvalue", "newvalue"))
    old, new = (choices.get(text) or names.get(text, text) for text in (old, new))
    return FieldChange(name, entry.label if entry else name.replace("_", " ").capitalize(), old, new)


def _names(table: Table, rows: Sequence[WireRecord], caller: Caller) -> Mapping[str, str]:
    """Return the display names of the records that changes of references name."""
    sys_ids: dict[str, set[str]] = {}
    for row in rows:
        entry = table.entries.get(row["fieldname"]["value"])
        if entry is not None and entry.kind == "reference" and entry.reference:
            sys_ids.setdefault(entry.reference, set()).update((row["oldvalue"]["value"], row["newvalue"]["value"]))
    return {sys_id: name for names in find_names(sys_ids, caller).values() for sys_id, name in names.items()}
