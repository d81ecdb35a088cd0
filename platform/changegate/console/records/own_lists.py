"""Lists with a page of their own: what their templates show beside the list, registered by their areas."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changegate.services.tables.display.display_values import WireRecord

Context = Callable[[Sequence[WireRecord]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class OwnList:
    """A template that extends that of every list, and the context that it needs for the records of a page.

    `links` in the context are the paths that fields link to, by the sys_id of their record; that of `sys_id` is the
    page of the record.
    """

    template: str = "console/records/list.html"
    context: Context = lambda _records: {}


PLAIN = OwnList()
_OWN: dict[str, OwnList] = {}


def show_list_with(table: str, template: str, context: Context = PLAIN.context) -> None:
    """Show the list of a table with a template of its own."""
    _OWN[table] = OwnList(template, context)


def own_list_of(table: str) -> OwnList:
    """Return how the list of a table is shown."""
    return _OWN.get(table, PLAIN)
