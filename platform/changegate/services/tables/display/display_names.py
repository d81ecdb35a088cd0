"""Display names of referenced records, read by table and not by row."""

from collections.abc import Iterable, Mapping, Sequence

from changegate.models.base import SYS_ID_LENGTH
from changegate.services.access.caller import Caller
from changegate.services.tables.display.rows import fetch_chunks
from changegate.services.tables.display.selections import select_fields
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.values import render_value
from changegate.services.tables.visibility import permissions_beside

# By table, then by sys_id.
Names = Mapping[str, Mapping[str, str]]
# A display field may itself be a reference, whose display field may be a reference too.
MAX_NAME_STEPS = 3


def find_names(sys_ids_by_table: Mapping[str, Iterable[str]], caller: Caller) -> Names:
    """Return the display names of records by table and sys_id, without records that the caller may not see."""
    names: dict[str, Mapping[str, str]] = {}
    for table_name, sys_ids in sys_ids_by_table.items():
        target = find_table(table_name)
        # A reference may hold text that is not a sys_id; it is then its own display name.
        likely = [sys_id for sys_id in sys_ids if len(sys_id) == SYS_ID_LENGTH]
        if target is not None and likely and target.access.admits("read", caller.permissions):
            names[table_name] = dict(_names_in(target, likely, caller))
    return names


def display_path(table: Table) -> str:
    """Return the path of the field with the display name of a table's records; it may be a dot-walk."""
    steps: list[str] = []
    target: Table | None = table
    while target is not None and len(steps) < MAX_NAME_STEPS:
        steps.append(target.display_field)
        entry = target.entries[target.display_field]
        target = find_table(entry.reference) if entry.kind == "reference" and entry.reference else None
    return ".".join(steps)


def _names_in(table: Table, sys_ids: Sequence[str], caller: Caller) -> Iterable[tuple[str, str]]:
    permissions = permissions_beside(table, caller.permissions)
    selection = select_fields(table, permissions, Shape("", fields=(display_path(table),)))
    entry = selection.members[0].entry if selection.members else None
    for rows in fetch_chunks(selection, caller, sys_ids):
        for row in rows:
            if entry is not None and row[0] is not None:
                yield row[-1], render_value(entry, row[0])
