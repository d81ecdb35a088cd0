"""The history of a record by save, and what has changed since a form was opened.

Policies, models, and other records of the process have a hash chain, which includes their parts. Others have the audit
trail.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from changegate.services.access.caller import Caller
from changegate.services.history.chain import CHANGES
from changegate.services.process_documents.kinds import KINDS, DocumentKind
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery, Order
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, find_table, get_table

MOST_AUDIT_ROWS = 200
MOST_CHAIN_ENTRIES = 50
_COUNT = re.compile(r"([0-9]{1,9})-[0-9]{14}\Z", re.ASCII)
_ENTRY_FIELDS = ("sys_id", "seq", "sys_created_on", "actor", "facts")
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
    """The changes that one user made at one time, which is local to the user who reads it.

    `entry` is the sys_id of the entry of the hash chain, for records that have one.
    """

    number: int
    user: str
    at: str
    changes: Sequence[FieldChange]
    entry: str = ""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that was changed since a form was opened: its text then and now, what was typed, and who changed it."""

    label: str
    loaded: str
    stored: str
    typed: str | None
    saves: Sequence[RecordSave]


@dataclass(frozen=True, slots=True)
class SavesPage:
    """A page of saves, newest first; `before` is the number of the save that the next page begins after."""

    saves: Sequence[RecordSave]
    before: int | None


def has_history(table: Table, caller: Caller) -> bool:
    """Return whether the caller may read a history of the records of a table."""
    return _chains_of(table, caller) is not None or _trail_of(table, caller) is not None


def list_history(table: Table, caller: Caller, record: WireRecord, before: int | None = None) -> SavesPage:
    """Return saves of a record, newest first: those of its hash chain, or else of the audit trail.

    The chain of a policy or a model includes what belongs to it, such as states and rules.
    """
    if page := _list_recorded(table, caller, record, before):
        return page
    saves = list_saves(table, caller, record, before=before)
    if sum(len(save.changes) for save in saves) < MOST_AUDIT_ROWS:
        return SavesPage(saves, None)
    # The last save may have further rows.
    shown = saves[:-1] or saves
    return SavesPage(shown, shown[-1].number)


def _chains_of(table: Table, caller: Caller) -> DocumentKind | None:
    kind = next((kind for kind in KINDS if kind.table_name == table.name), None)
    return kind if kind and get_table("chg_history").access.admits("read", caller.permissions) else None


def _trail_of(table: Table, caller: Caller) -> Table | None:
    trail = find_table("sys_audit")
    return trail if trail and table.is_audited and trail.access.admits("read", caller.permissions) else None


def _list_recorded(table: Table, caller: Caller, record: WireRecord, before: int | None) -> SavesPage | None:
    """Return a page of the entries of a hash chain, or None if the record has none."""
    chains, kind = get_table("chg_history"), _chains_of(table, caller)
    if kind is None:
        return None
    conditions = [
        Condition("subject_id", "=", record["sys_id"]["value"]),
        Condition("subject_table", "=", kind.history_table or table.name),
    ]
    if before:
        conditions.append(Condition("seq", "<", str(before)))
    query = EncodedQuery((tuple((each,) for each in conditions),), (Order("seq", is_descending=True),))
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=_ENTRY_FIELDS)
    page = read_page(chains, caller, query, shape, limit=MOST_CHAIN_ENTRIES, offset=0, counts=False)
    entries = list(page.records)
    if not entries:
        return None
    saves = [save for entry in entries if (save := _recorded_save(table, caller, entry)).changes]
    return SavesPage(saves, int(entries[-1]["seq"]["value"]) if page.has_more else None)


def _recorded_save(table: Table, caller: Caller, entry: WireRecord) -> RecordSave:
    facts, actor = (json.loads(entry[name]["value"]) for name in ("facts", "actor"))
    of_row = find_table(str(facts.get("table") or table.name)) or table
    changes = facts.get(CHANGES) or {}
    sys_ids: dict[str, set[str]] = {}
    for name, values in changes.items():
        reference = of_row.entries[name].reference if name in of_row.entries else None
        if reference:
            sys_ids.setdefault(reference, set()).update(value for value in values if value)
    names = {sys_id: text for found in find_names(sys_ids, caller).values() for sys_id, text in found.items()}
    prefix = "" if of_row is table else f"{of_row.label}: "
    shown = (
        _field_change(of_row, name, old or "", new or "", names)
        for name, (old, new) in sorted(changes.items())
        if name != "sys_id"
    )
    return RecordSave(
        int(entry["seq"]["value"]),
        str(actor.get("user_name") or "system"),
        entry["sys_created_on"]["display_value"],
        [replace(change, label=prefix + change.label) for change in shown],
        entry["sys_id"]["value"],
    )


def list_saves(
    table: Table, caller: Caller, record: WireRecord, *, after: int = -1, before: int | None = None
) -> list[RecordSave]:
    """Return the latest saves of a record, newest first, as far as the caller may read the audit trail."""
    trail = _trail_of(table, caller)
    if trail is None:
        return []
    of_class = record["sys_class_name"]["value"] if table.classes else table.name
    conditions = [
        Condition("tablename", "=", of_class),
        Condition("documentkey", "=", record["sys_id"]["value"]),
        Condition("record_checkpoint", ">", str(after)),
    ]
    if before:
        conditions.append(Condition("record_checkpoint", "<", str(before)))
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
    old, new = (row[member]["value"] for member in ("oldvalue", "newvalue"))
    return _field_change(table, row["fieldname"]["value"], old, new, names)


def _field_change(table: Table, name: str, old: str, new: str, names: Mapping[str, str]) -> FieldChange:
    entry = table.entries.get(name)
    choices = (entry.choices if entry else None) or {}
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
