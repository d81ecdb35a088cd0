"""The creation, update, and deletion of records of every table.

Records are written with SQLAlchemy Core instead of the ORM: a record has a hundred columns, of which a write changes a
few, and the ORM would cost more than the database.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from changegate.errors import OperationFailed, RecordChanged, RequestUnreadable
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.tables.journals import add_journal_entries, journal_entries
from changegate.services.tables.reading.records import RecordRow, get_row, require_operation
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values
from changegate.services.tables.versions import VersionCheck, require_version_of
from changegate.services.tables.writing.audit import record_changes, record_deletion
from changegate.services.tables.writing.dependent_rows import delete_dependent_rows
from changegate.services.tables.writing.ignored_fields import EMPTY_BODY, as_sent, unwritable_names
from changegate.services.tables.writing.inputs import changed_values, is_same
from changegate.services.tables.writing.new_values import (
    class_of,
    defaults_of,
    is_clearable,
    require_mandatory,
    stamps_of,
    whole_record,
)
from changegate.services.tables.writing.parts import remove_parts
from changegate.services.tables.writing.referrers import empty_references
from changegate.services.tables.writing.written_rows import delete_row, insert_row, lock_row, update_row

_CALLER_CHOSEN_SYS_ID = re.compile("[A-Za-z0-9]{32}")


def create_record(
    table: Table,
    caller: Caller,
    sent: Mapping[str, Any],
    *,
    input_display_value: bool = False,
    sys_id: str | None = None,
    ignored: list[str] | None = None,
) -> Mapping[str, Any]:
    """Insert a record and return its values by field.

    `sys_id` is set if the caller of this function has already determined it. The names of unused fields in `sent` are
    appended to `ignored`: unknown ones, read-only ones, and those that the table's rules have overridden. Raises
    `AccessRefused`, `RequestUnreadable` for an invalid value, `QuotaReached`, and `OperationFailed` from the rules.
    """
    require_operation(table, caller.permissions, "create")
    fields = _lower_case(sent)
    unused = unwritable_names(table, fields, is_new=True)
    defaults = defaults_of(table)
    given = _given(table, caller, fields, defaults, by_display=input_display_value)
    entries = journal_entries(table, fields)
    values = {**defaults, **given, **stamps_of(caller)}
    values["sys_id"] = sys_id or new_record_id(fields)
    values |= {**class_of(table), **table.rules.origin_of(caller)}
    # Before the rules run, because they may set fields that the token itself may not write.
    caller.permissions.require_writable([*fields.keys() & given.keys(), *entries], table.integration_of(values))
    table.rules.before_create(values, caller)
    if ignored is not None:
        unused |= _overridden(table, fields, given, values)
        ignored += as_sent(sent, unused) if sent else [EMPTY_BODY]
    require_mandatory(table, values)
    # Without journal entries, the row is the last write and is inserted by the commit, which then raises the errors of
    # constraints (decision 0011).
    insert_row(table, values, caller)
    if fields.get("sys_id"):
        # The INSERT waits for a concurrent deletion of the same sys_id, which the rules would not see before it.
        table.rules.require_unused(values["sys_id"])
    if entries:
        _add_entries(table, values, entries, caller)
    further = table.rules.after_create(values, caller)
    return whole_record(table, {**values, **(further or {})})


def update_record(
    table: Table,
    caller: Caller,
    sys_id: str,
    sent: Mapping[str, Any],
    *,
    input_display_value: bool = False,
    ignored: list[str] | None = None,
    condition: VersionCheck | None = None,
) -> RecordRow:
    """Update the sent fields of a record and return the whole record; equal values change nothing.

    The values are in the order of `Table.fields_for` the caller. The names of unused fields in `sent` are appended to
    `ignored`: unknown ones, read-only ones, and those that the table's rules remove from the changes. Raises
    `VersionOutdated` if `condition` does not hold for the stored version, and the errors of `create_record`.
    """
    require_operation(table, caller.permissions, "update")
    fields = _lower_case(sent)
    unused = unwritable_names(table, fields, is_new=False)
    known = _contended_value(table, caller, sys_id, fields)
    table.rules.before_lock(sys_id)
    before = lock_row(table, caller, sys_id)
    require_version_of(before, condition)
    requested = changed_values(table, caller, fields, before, by_display=input_display_value)
    changes = {name: value for name, value in requested.items() if is_clearable(table, name, value)}
    entries = journal_entries(table, fields)
    # Before the rules run, because they may set fields that the token itself may not write.
    caller.permissions.require_writable([*changes, *entries], table.integration_of(before))
    restated = _restated(table, fields, requested)
    for name in restated - caller.permissions.unwritable(restated, table.integration_of(before)):
        changes[name] = before[name]
    with _conflict_if_changed(table, known, before):
        table.rules.before_update(before, changes, caller)
    if ignored is not None:
        ignored += as_sent(sent, unused | (requested.keys() - changes.keys()))
    # Rules may have set fields to the values that they already have.
    changes = {name: value for name, value in changes.items() if not is_same(before[name], value)}
    if not changes and not entries:
        return _in_order(before, table.fields_for(caller.permissions))
    after = write_changes(table, before, changes, caller)
    if entries:
        _add_entries(table, after, entries, caller)
    further = table.rules.after_update(before, changes, caller)
    return _in_order({**after, **(further or {})}, table.fields_for(caller.permissions))


def _restated(table: Table, fields: Mapping[str, Any], requested: Values) -> frozenset[str]:
    """Return the restated fields that a request sends with the values that are stored."""
    sent = {name for name in table.restated_fields if fields.get(name) not in (None, "")}
    return frozenset(sent - requested.keys())


def _contended_value(table: Table, caller: Caller, sys_id: str, fields: Mapping[str, Any]) -> RecordRow | None:
    """Return the value of the contended field before this write waits for other writers, or None if it is not sent."""
    name = table.contended_field
    return get_row(table, caller, sys_id, (name,)) if name is not None and name in fields else None


@contextmanager
def _conflict_if_changed(table: Table, known: RecordRow | None, before: Values) -> Iterator[None]:
    """Turn a refusal into `RecordChanged` if the contended field changed while the write waited for the row."""
    try:
        yield
    except OperationFailed as refusal:
        if known is not None and known[0] != before[table.contended_field or ""]:
            by = before["sys_updated_by"]
            raise RecordChanged(f"{by} changed {table.contended_field} at the same time. {refusal.detail}") from None
        raise


def write_changes(table: Table, before: Values, changes: Values, caller: Caller) -> Values:
    """Write changes to a locked record, past the rules, with the audit trail; return all of its values.

    For rules that change other records, or their own record after the caller's changes.
    """
    written = _update(table, before, changes, caller)
    if table.is_audited:
        record_changes(table, _class_name(table, before), before, changes, caller)
    if table.observer is not None:
        table.observer.changed(before, changes, caller)
    return {**before, **written}


def _add_entries(table: Table, record: Values, entries: Mapping[str, str], caller: Caller) -> None:
    add_journal_entries(_class_name(table, record), record["sys_id"], entries, caller)
    if table.observer is not None:
        table.observer.noted(record, entries, caller)


def delete_record(table: Table, caller: Caller, sys_id: str, *, condition: VersionCheck | None = None) -> None:
    """Delete a record with its journals and attachments. Raises `RecordNotFound` and `VersionOutdated`."""
    require_operation(table, caller.permissions, "delete")
    table.rules.before_lock(sys_id)
    before = lock_row(table, caller, sys_id, is_to_go=True)
    require_version_of(before, condition)
    class_name = _class_name(table, before)
    table.rules.before_delete(before, caller)
    # Before the row itself: its foreign keys would refuse the deletion, or empty references without an audit row.
    remove_parts(table, before["sys_id"], caller)
    empty_references(table, before["sys_id"], caller)
    delete_row(table, before["sys_id"])
    delete_dependent_rows(class_name, [before["sys_id"]])
    if table.is_audited:
        record_deletion(table, class_name, before, caller)
    table.rules.after_delete(before, caller)


def new_record_id(fields: Mapping[str, Any]) -> str:
    """Return the sys_id for a new record: the one that was sent, or else a new one."""
    chosen = fields.get("sys_id")
    if chosen in (None, ""):
        return new_sys_id()
    if not isinstance(chosen, str) or not _CALLER_CHOSEN_SYS_ID.fullmatch(chosen):
        raise RequestUnreadable("Field sys_id: 32 letters and digits are expected")
    return chosen


def _given(table: Table, caller: Caller, fields: Mapping[str, Any], defaults: Values, *, by_display: bool) -> Values:
    """Return the values that replace the defaults of a new record: the sent fields, and presets for the others."""
    given = changed_values(table, caller, fields, defaults, by_display=by_display)
    if presets := table.rules.presets(given):
        others = {name: text for name, text in presets.items() if fields.get(name) in (None, "")}
        given |= changed_values(table, caller, others, defaults, by_display=False)
    return {name: value for name, value in given.items() if value is not None}


def _overridden(table: Table, fields: Mapping[str, Any], given: Values, values: Values) -> set[str]:
    """Return the sent fields that have other values after the rules, without secrets, which are stored as hashes."""
    changed = {name for name in given if values.get(name) is not given[name] and name in fields}
    return {name for name in changed if not (is_same(values.get(name), given[name]) or table.entries[name].is_secret)}


def _lower_case(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in sent.items()}


def _in_order(values: Mapping[str, Any], fields: Iterable[str]) -> RecordRow:
    return [values[name] for name in fields]


def _class_name(table: Table, record: Mapping[str, Any]) -> str:
    """Return the name of the record's own class, which may differ from the table that is written."""
    return str(record["sys_class_name"]) if table.classes else table.name


def _update(table: Table, before: Values, changes: Values, caller: Caller) -> Values:
    """Write changes and the update count to a locked row; return everything that was written."""
    stamps = {"sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
    written = {**changes, **stamps, "sys_mod_count": before["sys_mod_count"] + 1}
    update_row(table, before["sys_id"], written)
    return written
