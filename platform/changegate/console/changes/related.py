"""The related lists of a change."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.records.cells import Cell, cells_of
from changegate.console.records.pages import list_url, record_url
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.matching import Matching
from changegate.services.tables.reading.records import Page, read_page
from changegate.services.tables.registry import find_table, get_table

MOST_ROWS = 100
# Decisions follow from the approvals, which are counted.
UNCOUNTED = frozenset({"chg_approval_decision"})
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

    `total` counts them, and `url` is the list of all of them. `opens_rows` is whether the row needs a link of its own,
    since its first cell links to another record.
    """

    table: str
    label: str
    columns: list[str]
    rows: list[tuple[str | None, list[Cell]]]
    total: int
    url: str
    opens_rows: bool


def count_related(sys_id: str, caller: Caller) -> dict[str, int]:
    """Return the number of records in the lists of each tab, as far as the caller may read them."""
    counts = dict.fromkeys(RELATED, 0)
    for tab, lists in RELATED.items():
        for name, (_, _, query) in lists.items():
            table = find_table(name) if name not in UNCOUNTED else None
            if table is not None and table.access.admits("read", caller.permissions):
                counts[tab] += Matching(table, caller, parse_encoded_query(query.format(sys_id))).count()
    return counts


def related_lists_of(tab: str, sys_id: str, caller: Caller) -> list[RelatedList]:
    """Return the lists of a tab whose tables the caller may read."""
    lists = []
    for name, (label, fields, query) in RELATED.get(tab, {}).items():
        table = find_table(name)
        if table is not None and table.access.admits("read", caller.permissions):
            first, *others = [field for field in fields if field in table.columns]
            page = _page(name, query.format(sys_id), [first, *others], caller)
            records = page.records
            shown = [first, *(field for field in others if any(record[field]["value"] for record in records))]
            rows = [(record_url(name, record["sys_id"]["value"]), cells_of(table, shown, record)) for record in records]
            labels = [table.entries[field].label for field in shown]
            url = list_url(name, sysparm_query=query.format(sys_id))
            opens_rows = table.entries[first].kind == "reference"
            lists.append(RelatedList(name, label, labels, rows, page.total, url, opens_rows))
    return lists


def _page(name: str, query: str, fields: list[str], caller: Caller) -> Page:
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", *fields))
    return read_page(get_table(name), caller, parse_encoded_query(query), shape, limit=MOST_ROWS, offset=0)
