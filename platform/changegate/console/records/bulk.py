"""Bulk changes: one field of many records, each in a transaction of its own and with a result of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from changegate.console.records.reference_choices import explain_refusal
from changegate.console.records.saving import attempt
from changegate.errors import ChangegateError, InputInvalid
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.reading.records import require_operation
from changegate.services.tables.registry import Table
from changegate.services.tables.writing.records import update_record

MOST_RECORDS = 100


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one record; `error` is empty if it was updated."""

    sys_id: str
    name: str
    error: str


def editable_fields(table: Table, caller: Caller) -> list[tuple[str, str]]:
    """Return the name and label of the fields that the caller may set in a list."""
    if not table.access.admits("update", caller.permissions):
        return []
    journals = [(name, table.journal_fields[name]) for name in table.journals_for(caller.permissions)]
    readable = table.fields_for(caller.permissions)
    return [(name, table.entries[name].label) for name in readable if not table.entries[name].is_read_only] + journals


def update_records(table: Table, caller: Caller, sys_ids: Sequence[str], field: str, value: str) -> list[Result]:
    """Set a field of records to a display value. Raises `InputInvalid` for no record, too many, or another field."""
    require_operation(table, caller.permissions, "update")
    chosen = list(dict.fromkeys(sys_ids))
    if not chosen or len(chosen) > MOST_RECORDS:
        raise InputInvalid({"sys_id": [f"Select 1 to {MOST_RECORDS} records."]})
    if field not in dict(editable_fields(table, caller)):
        raise InputInvalid({"field": ["Choose a field that you may edit."]})
    names = find_names({table.name: chosen}, caller).get(table.name, {})
    return [
        Result(sys_id, names.get(sys_id, sys_id), _update(table, caller, sys_id, field, value)) for sys_id in chosen
    ]


def _update(table: Table, caller: Caller, sys_id: str, field: str, value: str) -> str:
    updated = attempt(lambda: update_record(table, caller, sys_id, {field: value}, input_display_value=True), raised=())
    return explain_refusal(updated, table, caller, {field: value}) if isinstance(updated, ChangegateError) else ""
