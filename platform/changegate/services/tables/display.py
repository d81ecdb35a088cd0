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
from changegate.models.base import Entry
from changegate.services.tables.catalog import find_table
from changegate.services.tables.registry import Table
from changegate.services.tables.values import render_label, renderer_of

WireRecord = dict[str, Any]
Fields = tuple[str, ...]
Rows = Sequence[Sequence[Any]]
Renderer = Callable[[Any], Any]
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
    fields: Fields = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a rendered record: its key, and the position and dictionary entry of its field."""

    key: str
    at: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Plan:
    """The members of a record, and those that are always empty; worked out once for each shape in use."""

    members: tuple[Member, ...]
    actual: tuple[tuple[str, int, Renderer], ...]
    blank: Fields


def render_records(table: Table, rows: Rows, readable: Fields, shape: Shape) -> list[WireRecord]:
    """Render rows whose values are in the order of `readable`.

    Display names cost one statement for each referenced table, never for each row. Fields that were asked for and
    do not exist or may not be read are left out (rest_api.md §1.2).
    """
    plan = _plan(table, readable, shape)
    if shape.display_value is DisplayValue.ACTUAL:
        blanks = dict.fromkeys(plan.blank, "")
        return [
            {key: "" if (value := row[at]) is None else render(value) for key, at, render in plan.actual} | blanks
            for row in rows
        ]
    blanks = dict.fromkeys(plan.blank, _shown("", "", None, shape.display_value))
    names = _display_names(plan, rows)
    return [{member.key: _named(member, row, names, shape) for member in plan.members} | blanks for row in rows]


@lru_cache(maxsize=512)
def _plan(table: Table, readable: Fields, shape: Shape) -> Plan:
    at = {name: position for position, name in enumerate(readable)}
    asked = [(key, key.lower()) for key in shape.fields or (*readable, *table.blank_fields)]
    members = tuple(Member(key, at[name], table.entries[name]) for key, name in asked if name in at)
    actual = tuple((member.key, member.at, _actual_renderer(member.entry, shape)) for member in members)
    return Plan(members, actual, tuple(key for key, name in asked if name in table.blank_fields))


def _actual_renderer(entry: Entry, shape: Shape) -> Renderer:
    if entry.kind in REFERENCES and not shape.exclude_reference_link:
        prefix = f"{shape.link_base}/{entry.reference}/"
        return lambda value: {"link": prefix + value, "value": value} if value else ""
    return renderer_of(entry)


def _display_names(plan: Plan, rows: Rows) -> Names:
    wanted: dict[str, set[str]] = {}
    for member in plan.members:
        if member.entry.reference and member.entry.kind != "domain_id":
            values = {item for row in rows if row[member.at] for item in row[member.at].split(",")}
            wanted.setdefault(member.entry.reference, set()).update(values)
    names: dict[tuple[str, str], str] = {}
    for table_name, sys_ids in wanted.items():
        if sys_ids and (referenced := find_table(table_name)):
            sys_id, display = referenced.columns["sys_id"], referenced.columns[referenced.display_field]
            found = connection().execute(select(sys_id, display).where(sys_id.in_(sys_ids)))
            names |= {(table_name, key): text or "" for key, text in found}
    return names


def _named(member: Member, row: Sequence[Any], names: Names, shape: Shape) -> Any:
    entry, stored = member.entry, row[member.at]
    value = renderer_of(entry)(stored)
    if not entry.reference or not value:
        return _shown(value, render_label(entry, stored), None, shape.display_value)
    label = ", ".join(names.get((entry.reference, item), item) for item in value.split(","))
    has_link = entry.kind in REFERENCES and not shape.exclude_reference_link
    link = f"{shape.link_base}/{entry.reference}/{value}" if has_link else None
    return _shown(value, label, link, shape.display_value)


def _shown(value: str, label: str, link: str | None, display_value: DisplayValue) -> Any:
    linked = {} if link is None else {"link": link}
    if display_value is DisplayValue.ALL:
        return {"display_value": label, "value": value, **linked}
    return {"display_value": label, **linked} if link else label
