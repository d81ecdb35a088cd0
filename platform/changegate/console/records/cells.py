"""The cells of a list and the values of a record, as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from changegate.console.records.pages import record_url
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import Table

LONGEST_CELL = 160


@dataclass(frozen=True, slots=True)
class Cell:
    """A field of a record: its text, its stored value, how it is shown, and the page that it links to."""

    name: str
    text: str
    value: str
    kind: str
    url: str | None = None


def cells_of(table: Table, names: Sequence[str], record: WireRecord) -> list[Cell]:
    """Return the cells of a record, whose members hold display values and stored values."""
    return [cell_of(table, name, record) for name in names]


def cell_of(table: Table, name: str, record: WireRecord) -> Cell:
    """Return one field of a record."""
    entry, member = table.entries[name], record[name]
    value, text = str(member["value"]), str(member["display_value"])
    if entry.kind == "boolean":
        text = "Yes" if value == "true" else "No" if value else ""
    url = record_url(entry.reference, value) if entry.kind == "reference" and entry.reference and value else None
    return Cell(name, text, value, "state" if name == "state" else entry.kind, url)
