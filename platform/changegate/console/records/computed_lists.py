"""Lists of what no table holds: rows that are computed in Python, filtered and sorted as those of a table are."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from changegate.database import require_time
from changegate.models.base import SYS_ID_LENGTH, Entry
from changegate.services.access.caller import Caller
from changegate.services.state_models.conditions import CONDITION_OPERATORS, FactCondition, parse_condition
from changegate.services.tables.choices import find_choices
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.clauses import list_ignored
from changegate.services.tables.queries.encoded_query import (
    TEXT_SEARCH,
    Condition,
    EncodedQuery,
    render_encoded_query,
    render_term,
)
from changegate.services.tables.queries.query_measure import require_measure
from changegate.services.tables.reading.records import read_page, require_operation
from changegate.services.tables.registry import Access, Table, View, find_table, get_table
from changegate.services.tables.values import local_text, render_value
from changegate.services.tables.walks import Walks

Row = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ComputedTable(View):
    """A table whose rows a function returns, by field; no statement reads it, and the Table API does not serve it."""

    rows: Callable[[], Iterable[Row]] = field(kw_only=True)
    # Returns the paths that fields of a row link to, and the path of the row itself as that of `sys_id`.
    links: Callable[[Row], Mapping[str, str]] = field(kw_only=True)

    @property
    def columns(self) -> Mapping[str, Any]:
        """The declared fields; they have no columns."""
        return self.declared


COMPUTED: dict[str, ComputedTable] = {}


def add_computed_table(
    name: str,
    label: str,
    entries: Mapping[str, Entry],
    *,
    display_field: str,
    access: Access,
    rows: Callable[[], Iterable[Row]],
    links: Callable[[Row], Mapping[str, str]],
) -> ComputedTable:
    """Return a computed table, made known to the lists; `entries` are those of its fields besides `sys_id`."""
    COMPUTED[name] = table = ComputedTable(
        name=name,
        label=label,
        model=None,
        display_field=display_field,
        access=access,
        declared={"sys_id": Entry("GUID", "Sys ID", SYS_ID_LENGTH), **entries},
        is_audited=False,
        rows=rows,
        links=links,
    )
    return table


def get_listed(name: str) -> Table:
    """Return a served or a computed table by name. Raises `TableUnknown`."""
    return COMPUTED.get(name) or get_table(name)


@dataclass(frozen=True, slots=True)
class ListPage:
    """The records of a page, with the columns that were asked for, the number of all, and the links of each record."""

    records: Sequence[WireRecord]
    total: int
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def links_of(self, record: WireRecord) -> Mapping[str, str]:
        """Return the links of a record, by field."""
        return self.links.get(record["sys_id"]["value"], {})


def read_list(
    table: Table, caller: Caller, query: EncodedQuery, columns: Sequence[str], *, limit: int, offset: int
) -> ListPage:
    """Return a page of the records that match a query and that the caller may see."""
    if isinstance(table, ComputedTable):
        return _read_computed(table, caller, query, limit=limit, offset=offset)
    has_classes = not table.classes and "sys_class_name" in table.columns
    of_class = ("sys_class_name",) if has_classes else ()
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", *columns, *of_class))
    page = read_page(table, caller, query, shape, limit=limit, offset=offset)
    records = list(page.records)
    if of_class:
        _label_by_class(table, columns, records)
    return ListPage(records, page.total)


def _label_by_class(table: Table, columns: Sequence[str], records: Iterable[WireRecord]) -> None:
    """Replace the labels of choices by those of each record's class, such as the state New of a change."""
    chosen = [name for name in columns if name in table.entries and table.entries[name].choices is not None]
    for record in records:
        of_class = find_table(record["sys_class_name"]["value"])
        labels = find_choices(of_class.name, chosen) if of_class else {}
        for name in chosen:
            value = record[name]["value"]
            record[name] = {"value": value, "display_value": labels.get(name, {}).get(value, value)}


def find_ignored(table: Table, caller: Caller, query: EncodedQuery) -> list[str]:
    """Return the items of a query that the list of a table ignores, as they were written."""
    if not isinstance(table, ComputedTable):
        return list_ignored(Walks(table, caller.permissions), query, caller)
    known = {TEXT_SEARCH, *table.declared}
    ignored = (term for term in query.terms if not isinstance(term, Condition) or term.field not in known)
    return [*query.unreadable, *map(render_term, ignored)]


def find_labels(table: Table, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """Return the labels of the values of fields, for those that have choices."""
    if isinstance(table, ComputedTable):
        return {name: choices for name in names if (choices := table.declared[name].choices)}
    return find_choices(table.name, names)


def operators_of(table: Table) -> frozenset[str] | None:
    """Return the operators that conditions of a list may have; None is all."""
    return CONDITION_OPERATORS if isinstance(table, ComputedTable) else None


def _read_computed(table: ComputedTable, caller: Caller, query: EncodedQuery, *, limit: int, offset: int) -> ListPage:
    require_operation(table, caller.permissions, "read")
    require_measure(query)
    condition, words = _parse(table, query)
    rows = [row for row in _in_time(table.rows()) if condition.matches(row) and _has_words(row, words)]
    for order in reversed(query.orders):
        if order.field in table.declared:
            rows.sort(key=partial(_sort_key, order.field), reverse=order.is_descending)
    shown = rows[offset : offset + limit]
    links = {row["sys_id"]: table.links(row) for row in shown}
    return ListPage([_wire(table, caller, row) for row in shown], len(rows), links)


def _in_time(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows as long as the request has time. Raises the errors of `require_time`."""
    for row in rows:
        require_time()
        yield row


def _parse(table: ComputedTable, query: EncodedQuery) -> tuple[FactCondition, list[str]]:
    """Return the condition of a query, and the words that it searches for; what `find_ignored` returns is left out."""
    words: list[str] = []
    alternatives = []
    for group in query.alternatives:
        chains = []
        for chain in group:
            terms = [term for term in chain if isinstance(term, Condition)]
            words += [word for term in terms if term.field == TEXT_SEARCH for word in term.value.lower().split()]
            if known := tuple(term for term in terms if term.field in table.declared):
                chains.append(known)
        if chains:
            alternatives.append(tuple(chains))
    text = render_encoded_query(EncodedQuery(tuple(alternatives)))
    return parse_condition(text, table.declared, field="sysparm_query"), words


def _has_words(row: Row, words: Sequence[str]) -> bool:
    texts = [value.lower() for value in row.values() if isinstance(value, str)]
    return all(any(word in text for text in texts) for word in words)


def _sort_key(field: str, row: Row) -> tuple[bool, Any]:
    """Return the key of a row: without regard to case, and rows without a value first."""
    value = row[field]
    if isinstance(value, str):
        return True, value.lower()
    return value is not None, 0 if value is None else value


def _wire(table: ComputedTable, caller: Caller, row: Row) -> WireRecord:
    return {name: _member(table, caller, name, row[name]) for name in table.declared}


def _member(table: ComputedTable, caller: Caller, name: str, value: Any) -> dict[str, str]:
    entry = table.declared[name]
    text = render_value(entry, value)
    shown = (entry.choices or {}).get(text, text)
    if isinstance(value, datetime) and caller.time_zone is not None:
        shown = local_text(caller.time_zone, text)
    return {"value": text, "display_value": shown}
