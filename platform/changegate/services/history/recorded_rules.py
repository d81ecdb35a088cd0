"""Rules that record every write of a table in a history, such as the edits of policies and state models."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import CHANGES, append, require_no_history
from changegate.services.process_documents.versions import note_edit
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.values import render_value

STAMPS = frozenset({"sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count"})
Row = Mapping[str, Any]


def recorded(
    rules: type[Rules],
    table: str,
    *,
    recorded_as: str,
    subject_table: str | None = None,
    subject_of: Callable[[Any, Row], str] | None = None,
) -> Rules:
    """Return the rules of a table, extended so that each write becomes an entry of the kind `recorded_as`.

    The entry is in the history of the record itself, or in that of the record of `subject_table` whose sys_id
    `subject_of` returns for the rules and a row. The rules lock that record before their `after_` hooks return.
    """
    members: dict[str, Any] = {"table": table, "subject_table": subject_table or table, "recorded_as": recorded_as}
    if subject_of is not None:
        members["subject_of"] = subject_of
    extended: Rules = type(f"Recorded{rules.__name__}", (_RecordedRules, rules), members)()
    return extended


class _RecordedRules(Rules):
    table: str
    subject_table: str
    recorded_as: str

    def subject_of(self, row: Row) -> str:
        """Return the sys_id of the record whose history has the writes of a row."""
        return str(row["sys_id"])

    def require_unused(self, sys_id: str) -> None:
        """Refuse the sys_id of a deleted record, whose history stays."""
        super().require_unused(sys_id)
        require_no_history(sys_id)

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Record all values that were set."""
        further = super().after_create(values, caller)
        self._append({}, values, values.keys() - STAMPS, caller)
        return further

    def after_update(self, record: Row, changes: Values, caller: Caller) -> Values | None:
        """Record the changes."""
        further = super().after_update(record, changes, caller)
        self._append(record, {**record, **changes}, changes, caller)
        return further

    def after_delete(self, record: Row, caller: Caller) -> None:
        """Record all values that the record had."""
        super().after_delete(record, caller)
        self._append(record, {}, record.keys() - STAMPS, caller)

    def _append(self, before: Row, after: Row, names: Iterable[str], caller: Caller) -> None:
        row = after or before
        old, new = self._rendered(before), self._rendered(after)
        changes = {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}
        facts = {"table": self.table, "record": row["sys_id"], CHANGES: changes}
        subject = self.subject_of(row)
        append(self.subject_table, subject, self.recorded_as, facts, actor_of(caller))
        note_edit(self.subject_table, subject, caller.user_name)

    def _rendered(self, row: Row) -> dict[str, str]:
        entries = get_table(self.table).entries
        filled = (name for name in row if name in entries and row[name] is not None and not entries[name].is_secret)
        return {name: render_value(entries[name], row[name]) for name in filled}
