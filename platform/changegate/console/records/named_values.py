"""Names in the condition builder: users name records, and queries have their sys_ids."""

from collections.abc import Sequence
from dataclasses import replace

from changegate.console.records.condition_rows import ConditionRow
from changegate.console.records.reference_choices import choices_for, is_clear
from changegate.models.base import SYS_ID_LENGTH
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import Names, find_names
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.visibility import may_read
from changegate.services.tables.writing.references import resolve_references

# The operators whose value is one record, by the kind of the field.
NAMING = {"reference": frozenset({"=", "!="}), "glide_list": frozenset({"LIKE", "NOT LIKE"})}


def show_names(rows: Sequence[ConditionRow], table: Table, caller: Caller) -> list[ConditionRow]:
    """Return the rows with names in place of sys_ids, which stay in `known`."""
    names = _names_of([(row, row.value) for row in rows], table, caller)
    return [replace(row, value=name, known=row.value) if (name := _name(row, names, table)) else row for row in rows]


def resolve_names(rows: Sequence[ConditionRow], table: Table, caller: Caller) -> list[ConditionRow]:
    """Return the rows with sys_ids in place of names; a name of no record, or of several, is an error with choices."""
    names = _names_of([(row, row.known) for row in rows], table, caller)
    return [_resolved(row, names, table, caller) for row in rows]


def _resolved(row: ConditionRow, names: Names, table: Table, caller: Caller) -> ConditionRow:
    target = _target_of(row, table)
    if (
        target is None
        or not row.value
        or row.value.startswith("javascript:")
        or not may_read(target, caller.permissions)
    ):
        return row
    # A name that was not edited still means the same record, also if it is that of several.
    if row.known and names.get(target.name, {}).get(row.known) == row.value:
        return replace(row, value=row.known)
    if is_clear(table, row.field, row.value, caller):
        found = resolve_references(table, caller, {row.field: row.value}, by_display=True)[row.field]
        return replace(row, value=str(found))
    choices, sentence = choices_for(target, caller, row.value)
    return replace(row, error=sentence, choices=choices)


def _target_of(row: ConditionRow, table: Table) -> Table | None:
    """Return the table whose record the value of a row names, or None."""
    entry = table.entries.get(row.field)
    if entry is None or not entry.reference or row.operator not in NAMING.get(entry.kind, ()):
        return None
    return find_table(entry.reference)


def _names_of(rows: Sequence[tuple[ConditionRow, str]], table: Table, caller: Caller) -> Names:
    sys_ids: dict[str, list[str]] = {}
    for row, value in rows:
        if len(value) == SYS_ID_LENGTH and (target := _target_of(row, table)):
            sys_ids.setdefault(target.name, []).append(value)
    return find_names(sys_ids, caller)


def _name(row: ConditionRow, names: Names, table: Table) -> str | None:
    target = _target_of(row, table)
    return names.get(target.name, {}).get(row.value) if target else None
