"""Links: the addresses that come with references (docs/reference/table-api.md#values)."""

from collections.abc import Callable
from urllib.parse import quote

from changegate.models.base import Entry
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.registry import find_table


def linker(entry: Entry, shape: Shape) -> Callable[[str], str]:
    """Return what makes the link of a reference from its value.

    Values are sys_ids, which an address takes as they are, but those that refer to a table that is not served may be
    any text.
    """
    prefix = f"{shape.link_base}/{entry.reference}/"
    if entry.reference and find_table(entry.reference):
        return prefix.__add__
    return lambda value: prefix + quote(value, safe="")
