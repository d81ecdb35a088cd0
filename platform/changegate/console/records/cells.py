"""The cells of a list and the values of a record, as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from changegate.console.records.pages import record_url
from changegate.models.base import Entry
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import Table

NAMELESS = "Not available"
_ANSWERS = {"approved": "pill-good", "rejected": "pill-bad", "requested": "pill-warn"}
# Fields that are shown as pills, with the style of each value.
PILLS: Mapping[str, Mapping[str, str]] = {
    "outcome": {"accepted": "pill-good", "refused": "pill-bad", "would_refuse": "pill-warn", **_ANSWERS},
    "state": _ANSWERS,
    "severity": {"1": "pill-bad", "2": "pill-warn", "3": "pill-off"},
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A field of a record: its text, its stored value, how it is shown, and the page that it links to.

    `pill` is the style of a value that is shown as a pill.
    """

    name: str
    text: str
    value: str
    kind: str
    url: str | None = None
    pill: str = ""


def cells_of(
    table: Table, names: Sequence[str], record: WireRecord, links: Mapping[str, str] = MappingProxyType({})
) -> list[Cell]:
    """Return the cells of a record, whose members hold display values and stored values; `links` are added to it."""
    cells = [cell_of(table, name, record) for name in names]
    return [replace(cell, url=links[cell.name]) if cell.name in links else cell for cell in cells]


def is_nameless(entry: Entry, member: Mapping[str, Any]) -> bool:
    """Return whether a reference has no name for the caller: the record is gone, or the caller may not read it."""
    return entry.kind == "reference" and bool(member["value"]) and member["display_value"] == member["value"]


def cell_of(table: Table, name: str, record: WireRecord) -> Cell:
    """Return one field of a record."""
    entry, member = table.entries[name], record[name]
    value, text = str(member["value"]), str(member["display_value"])
    if entry.kind == "boolean":
        text = "Yes" if value == "true" else "No" if value else ""
    url = record_url(entry.reference, value) if entry.kind == "reference" and entry.reference and value else None
    if is_nameless(entry, member):
        text, url = NAMELESS, None
    pill = PILLS.get(name, {}).get(value, "")
    return Cell(name, text, value, "state" if name == "state" else entry.kind, url, pill)
