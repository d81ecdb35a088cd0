"""The fields that a form shows first, and those that it folds away."""

from collections.abc import Mapping

from changegate.console.records.record_form import FormField, RecordForm
from changegate.services.tables.registry import Table

# Tables with many fields that few records need. All fields of other tables are shown, in the order of the model.
FIRST_FIELDS: Mapping[str, tuple[str, ...]] = {
    "change_task": (
        "number", "change_request", "short_description", "description", "change_task_type", "state", "assignment_group",
        "assigned_to", "cmdb_ci", "priority", "planned_start_date", "planned_end_date", "on_hold", "on_hold_reason",
        "work_notes", "comments", "close_code", "close_notes",
    ),
}  # fmt: skip


def parts_of(table: Table, form: RecordForm) -> Mapping[str, list[FormField]]:
    """Return the `first` and the `more` fields of a form; those that are read-only and empty are in neither part."""
    shown = {each.name: each for each in form.fields if form.values[each.name] or not each.is_read_only}
    if table.name not in FIRST_FIELDS:
        return {"first": list(shown.values()), "more": []}
    first = {name: shown[name] for name in FIRST_FIELDS[table.name] if name in shown}
    return {"first": list(first.values()), "more": [each for name, each in shown.items() if name not in first]}
