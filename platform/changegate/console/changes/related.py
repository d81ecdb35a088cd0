"""The related lists of a change."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.records.cells import Cell, cells_of
from changegate.console.records.pages import record_url
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import find_table, get_table

MOST_ROWS = 100
# Label, columns, and query of each list of a tab; `{}` is the sys_id of the change.
RELATED: Mapping[str, Mapping[str, tuple[str, tuple[str, ...], str]]] = {
    "approvals": {
        "sysapproval_approver": (
            "Approvals",
            ("approver", "state", "group", "stage", "round", "comments", "answered_by", "answered_at", "void_reason"),
            "sysapproval={}^ORDERBYDESCround^ORDERBYstage^ORDERBYsys_created_on",
        ),
        "chg_approval_decision": (
            "Decisions",
            ("sys_created_on", "stage", "outcome", "policy_name", "policy_version", "reason"),
            "change_request={}^ORDERBYDESCsequence",
        ),
    },
    "tasks": {
        "change_task": (
            "Change tasks",
            ("number", "short_description", "change_task_type", "state", "assignment_group", "assigned_to"),
            "change_request={}^ORDERBYnumber",
        ),
    },
    "items": {
        "task_ci": ("Affected CIs", ("ci_item", "sys_created_by", "sys_created_on"), "task={}^ORDERBYsys_created_on"),
        "task_cmdb_ci_service": ("Impacted services", ("cmdb_ci_service", "sys_created_on"), "task={}"),
        "conflict": ("Conflicts", ("conflicting_change", "type", "configuration_item", "schedule"), "change={}"),
    },
}


@dataclass(frozen=True, slots=True)
class RelatedList:
    """The rows of a table that belong to a change: the labels of its columns, and the path and the cells of each row.

    `opens_rows` is whether the row needs a link of its own, since its first cell links to another record.
    """

    table: str
    label: str
    columns: list[str]
    rows: list[tuple[str | None, list[Cell]]]
    opens_rows: bool


def related_lists_of(tab: str, sys_id: str, caller: Caller) -> list[RelatedList]:
    """Return the lists of a tab whose tables the caller may read."""
    lists = []
    for name, (label, fields, query) in RELATED.get(tab, {}).items():
        table = find_table(name)
        if table is not None and table.access.admits("read", caller.permissions):
            first, *others = [field for field in fields if field in table.columns]
            records = _rows(name, query.format(sys_id), [first, *others], caller)
            shown = [first, *(field for field in others if any(record[field]["value"] for record in records))]
            rows = [(record_url(name, record["sys_id"]["value"]), cells_of(table, shown, record)) for record in records]
            labels = [table.entries[field].label for field in shown]
            lists.append(RelatedList(name, label, labels, rows, table.entries[first].kind == "reference"))
    return lists


def _rows(name: str, query: str, fields: list[str], caller: Caller) -> list[WireRecord]:
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", *fields))
    page = read_page(get_table(name), caller, parse_encoded_query(query), shape, limit=MOST_ROWS, offset=0)
    return list(page.records)
