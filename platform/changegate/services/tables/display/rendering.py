"""Rendering of records for the wire (docs/reference/table-api.md#values).

Every scalar is text. References are objects with a link, unless the caller excludes links. Rows may hold the values of
the driver or those of Python; both render to the same text.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from changegate.database.compiled import Row
from changegate.services.access.caller import Caller
from changegate.services.tables.display.display_values import WireRecord, display_renderer
from changegate.services.tables.display.links import linker
from changegate.services.tables.display.selections import LINKED, Member, Selection
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.values import renderer_of

TEXTS = frozenset({"GUID", "string", "choice", "glide_list", *LINKED})


def render_rows(selection: Selection, rows: Sequence[Row], caller: Caller, shape: Shape) -> Iterator[WireRecord]:
    """Render some hundred rows of a selection.

    Names, labels, and journals are read with statements for each table that contains them, never for each row.
    """
    if shape.shows_names:
        return map(display_renderer(selection, rows, caller, shape), rows)
    kind = (shape.link_base, shape.exclude_reference_link)
    renderer = selection.renderers.get(kind)
    if renderer is None:
        renderer = selection.renderers[kind] = _actual_renderer(selection, shape)
    return map(renderer, rows)


def _actual_renderer(selection: Selection, shape: Shape) -> Callable[[Row], WireRecord]:
    keys = [member.key for member in selection.members]
    candidates = ((at, _converter(member, shape)) for at, member in enumerate(selection.members))
    converters = [(at, convert) for at, convert in candidates if convert is not None]
    blanks = dict.fromkeys(selection.blanks, "")

    def render(row: Row) -> WireRecord:
        values = ["" if value is None else value for value in row]
        for at, convert in converters:
            if values[at] != "":
                values[at] = convert(values[at])
        # Not strict: the row has the sys_id after the members.
        record = dict(zip(keys, values, strict=False))
        record.update(blanks)
        return record

    return render


def _converter(member: Member, shape: Shape) -> Callable[[Any], Any] | None:
    """Return the function from a stored value to its wire form, or None if both are the same text."""
    if member.entry.kind in LINKED and not shape.exclude_reference_link:
        link = linker(member.entry, shape)
        return lambda value: {"link": link(value), "value": value}
    return None if member.entry.kind in TEXTS else renderer_of(member.entry)
