"""Display values: names, labels, and journals, in addition to stored values or instead of them.

See docs/reference/table-api.md#values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cache, partial
from typing import Any

from changegate.database.compiled import Row
from changegate.models.base import Choices
from changegate.services.access.caller import Caller
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.display_names import Names, find_names
from changegate.services.tables.display.links import linker
from changegate.services.tables.display.selections import LINKED, Journal, Member, Selection
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.journals import Texts, find_journal_texts
from changegate.services.tables.registry import TABLES
from changegate.services.tables.values import MASK, local_text, renderer_of

WireRecord = dict[str, Any]
# Builds the wire form of a field from its value, its display value, and its link.
Shown = Callable[[str, str, str | None], Any]
# Without choices, this field holds the name of a table, and its display value is the label of that table.
CLASS_FIELD = "sys_class_name"
NAMED = frozenset({"reference", "glide_list"})
DATES = frozenset({"glide_date", "glide_date_time"})
_JSON_TYPES: Mapping[str, Callable[[Any], Any]] = {"integer": int, "boolean": bool}


@dataclass(frozen=True, slots=True)
class DisplayData:
    """The display data of some rows: names, labels by table and element, journals by table, and the caller's zone."""

    names: Names
    labels: Mapping[tuple[str, str], Choices]
    journals: Mapping[str, Texts]
    zone: tzinfo | None


def display_renderer(
    selection: Selection, rows: Sequence[Row], caller: Caller, shape: Shape
) -> Callable[[Row], WireRecord]:
    """Read the display data of all rows, and return the function that renders one row."""
    zone = caller.time_zone
    journals = _find_journals(selection, rows, zone)
    data = DisplayData(_find_names(selection, rows, caller), _find_labels(selection), journals, zone)
    shown = _shown_with_value if shape.display_value is DisplayValue.ALL else _shown_alone
    empty = shown("", "", None)
    blanks = {key: shape.when_empty.get(key, empty) for key in selection.blanks}
    members: list[tuple[str, int, Callable[[Any], Any], Any]] = [
        (member.key, at, _member_shower(member, data, shape, shown), _empty_member(member, shape, empty))
        for at, member in enumerate(selection.members)
    ]
    members += [(kept.key, at, _journal_shower(kept, data, shown), empty) for at, kept in _journals_at(selection)]

    def render(row: Row) -> WireRecord:
        record = {
            key: nothing if (value := row[at]) is None or value == "" else show(value)
            for key, at, show, nothing in members
        }
        record.update(blanks)
        return record

    return render


def _shown_with_value(value: str, label: str, link: str | None) -> Any:
    pair = {"display_value": label, "value": value}
    return pair if link is None else {**pair, "link": link}


def _shown_date(text: str, local: str) -> Any:
    # Local times are shown in the form that sorts, so both display values are the same.
    return {"display_value": local, "display_value_internal": local, "value": text}


def _shown_alone(_value: str, label: str, link: str | None) -> Any:
    return label if link is None else {"display_value": label, "link": link}


def _empty_member(member: Member, shape: Shape, empty: Any) -> Any:
    if shape.is_typed and member.entry.kind in DATES:
        empty = {**empty, "display_value_internal": ""}
    return shape.when_empty.get(member.path, empty)


def _member_shower(member: Member, data: DisplayData, shape: Shape, shown: Shown) -> Callable[[Any], Any]:
    entry = member.entry
    if entry.is_secret:
        return lambda is_set: shown("", MASK if is_set else "", None)
    render, label = renderer_of(entry), _labeller(member, data)
    if shape.is_typed and entry.kind in DATES:
        return lambda value: _shown_date(text := render(value), label(text))
    if shape.is_typed and entry.kind in _JSON_TYPES:
        typed = _JSON_TYPES[entry.kind]
        return lambda value: {"display_value": label(render(value)), "value": typed(value)}
    if entry.kind in LINKED and not shape.exclude_reference_link:
        link = linker(entry, shape)
        return lambda value: shown(value, label(value), link(value))
    return lambda value: shown(text := render(value), label(text), None)


def _labeller(member: Member, data: DisplayData) -> Callable[[str], str]:
    """Return the function from a field's text to its display value; without a visible name, that is the text itself."""
    if data.zone is not None and member.entry.kind == "glide_date_time":
        return partial(local_text, data.zone)
    target = member.entry.reference or ""
    if member.entry.kind in NAMED:
        names = data.names.get(target, {})
        if member.entry.kind == "glide_list":
            return lambda text: ", ".join(names.get(item, item) for item in text.split(","))
    else:
        names = data.labels.get((member.table.name, member.element), {})
    return lambda text: names.get(text, text)


def _journal_shower(journal: Journal, data: DisplayData, shown: Shown) -> Callable[[Any], Any]:
    texts = data.journals.get(journal.table.name, {})

    def show(sys_id: str) -> Any:
        text = texts.get((sys_id, journal.element), "")
        # The stored value of a journal field is always empty: a client that writes the record back adds no entry.
        return shown("", text, None)

    return show


def _find_names(selection: Selection, rows: Sequence[Row], caller: Caller) -> Names:
    sys_ids: dict[str, set[str]] = {}
    for at, member in enumerate(selection.members):
        if member.entry.reference and member.entry.kind in NAMED:
            listed = (row[at].split(",") for row in rows if row[at])
            sys_ids.setdefault(member.entry.reference, set()).update(item for items in listed for item in items)
    return find_names(sys_ids, caller)


def _find_labels(selection: Selection) -> Mapping[tuple[str, str], Choices]:
    elements: dict[str, set[str]] = {}
    labels: dict[tuple[str, str], Choices] = {}
    for member in selection.members:
        if member.entry.choices is not None:
            elements.setdefault(member.table.name, set()).add(member.element)
            labels[member.table.name, member.element] = member.entry.choices
        elif member.element == CLASS_FIELD:
            labels[member.table.name, member.element] = _labels_of_tables()
    for table_name, names in elements.items():
        for element, choices in find_choices(table_name, names).items():
            labels[table_name, element] = choices
    return labels


@cache
def _labels_of_tables() -> Choices:
    return {table.name: table.label for table in TABLES.values()}


def _find_journals(selection: Selection, rows: Sequence[Row], zone: tzinfo | None) -> Mapping[str, Texts]:
    texts: dict[str, dict[tuple[str, str], str]] = {}
    for table in {kept.table for _, kept in _journals_at(selection)}:
        shown = [(at, kept) for at, kept in _journals_at(selection) if kept.table is table]
        sys_ids = {row[at] for row in rows for at, _ in shown if row[at]}
        fields = {kept.element: kept.fields for _, kept in shown}
        texts[table.name] = dict(find_journal_texts(table, sorted(sys_ids), fields, zone))
    return texts


def _journals_at(selection: Selection) -> list[tuple[int, Journal]]:
    return list(enumerate(selection.journals, start=len(selection.members)))
