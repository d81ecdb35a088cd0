"""The links of references (docs/reference/table-api.md#values)."""

from collections.abc import Callable
from urllib.parse import quote

from changegate.models.base import Entry
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.registry import find_table


def linker(entry: Entry, shape: Shape) -> Callable[[str], str]:
    """Return the function from the value of a reference to its link.

    Only a reference to a table that is not served needs quoting: it may hold any text instead of a sys_id.
    """
    prefix = f"{shape.link_base}/{entry.reference}/"
    if entry.reference and find_table(entry.reference):
        return prefix.__add__
    return lambda value: prefix + quote(value, safe="")
