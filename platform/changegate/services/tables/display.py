"""What a record looks like on the wire: rest_api.md §1.4.

Every scalar is text; references are objects with a link unless the caller says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from changegate.extensions import connection
from changegate.services.tables.catalog import find_table
from changegate.services.tables.registry import Table
from changegate.services.tables.values import render_label, renderer_of

WireRecord = dict[str, Any]
Names = Mapping[tuple[str, str], str]
REFERENCES = frozenset({"reference", "domain_id"})


class DisplayValue(StrEnum):
    """The three answers to `sysparm_display_value`."""

    ACTUAL = "false"
    DISPLAY = "true"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a caller wants records: `link_base` is the address that reference links start with."""

    link_base: str
    display_value: DisplayValue = DisplayValue.ACTUAL
    exclude_reference_link: bool = False
    fields: tuple[str, ...] = ()


def render_records(
    table: Table, rows: Sequence[Mapping[str, Any]], readable: tuple[str, ...], shape: Shape
) -> list[WireRecord]:
    """Render rows of a table; display names cost one statement for each referenced table, never for each row.

    Fields that were asked for and do not exist or may not be read are left out (rest_api.md §1.2).
    """
    if shape.display_value is DisplayValue.ACTUAL:
        plan = _actual_plan(table, readable, shape)
        return [{key: render(row[name]) if name else "" for key, name, render in plan} for row in rows]
    names = _display_names(table, rows, readable)
    return [_rendered_with_names(table, row, readable, shape, names) for row in rows]


@lru_cache(maxsize=512)
def _actual_plan(
    table: Table, readable: tuple[str, ...], shape: Shape
) -> tuple[tuple[str, str | None, Callable[[Any], Any]], ...]:
    """Return (key, field, renderer) for each member, worked out once for each shape that callers really use."""
    steps: list[tuple[str, str | None, Callable[[Any], Any]]] = []
    for key, name in _asked_fields(table, readable, shape.fields):
        entry = table.entries.get(name)
        if entry is None:
            steps.append((key, None, str))
        elif entry.kind in REFERENCES and not shape.exclude_reference_link:
            steps.append((key, name, _linked(f"{shape.link_base}/{entry.reference}/")))
        else:
            steps.append((key, name, renderer_of(entry)))
    return tuple(steps)


def _linked(prefix: str) -> Callable[[Any], Any]:
    def render(value: Any) -> Any:
        return {"link": prefix + value, "value": value} if value else ""

    return render


def _asked_fields(table: Table, readable: tuple[str, ...], asked: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (key as asked, field) pairs; field names match whatever their case, keys echo the caller's."""
    known = dict.fromkeys((*readable, *table.blank_fields))
    if not asked:
        return [(name, name) for name in known]
    return [(key, key.lower()) for key in asked if key.lower() in known]


def _display_names(table: Table, rows: Sequence[Mapping[str, Any]], readable: tuple[str, ...]) -> Names:
    wanted: dict[str, set[str]] = {}
    for name in readable:
        entry = table.entries[name]
        if entry.reference and entry.kind != "domain_id":
            values = {value for row in rows if row[name] for value in str(row[name]).split(",")}
            wanted.setdefault(entry.reference, set()).update(values)
    names: dict[tuple[str, str], str] = {}
    for table_name, sys_ids in wanted.items():
        if sys_ids and (referenced := find_table(table_name)):
            sys_id, display = referenced.columns["sys_id"], referenced.columns[referenced.display_field]
            found = connection().execute(select(sys_id, display).where(sys_id.in_(sys_ids)))
            names |= {(table_name, key): text or "" for key, text in found}
    return names


def _rendered_with_names(
    table: Table, row: Mapping[str, Any], readable: tuple[str, ...], shape: Shape, names: Names
) -> WireRecord:
    record: WireRecord = {}
    for key, name in _asked_fields(table, readable, shape.fields):
        entry = table.entries.get(name)
        value = renderer_of(entry)(row[name]) if entry else ""
        link = None
        if entry is None:
            label = ""
        elif entry.reference:
            label = (
                ", ".join(names.get((entry.reference, item), item) for item in value.split(","))
                if value
                else ""
            )
            if value and entry.kind in REFERENCES and not shape.exclude_reference_link:
                link = f"{shape.link_base}/{entry.reference}/{value}"
        else:
            label = render_label(entry, row[name])
        record[key] = _member(value, label, link, shape.display_value)
    return record


def _member(value: str, label: str, link: str | None, display_value: DisplayValue) -> Any:
    linked = {} if link is None else {"link": link}
    if display_value is DisplayValue.ALL:
        return {"display_value": label, "value": value, **linked}
    return {"display_value": label, **linked} if link else label
