"""Aggregates: counts, averages, extremes, and sums of the records that match a query.

See docs/reference/other-apis.md#aggregate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, literal_column, select
from sqlalchemy.sql.elements import UnaryExpression

from changegate.database import connection, require_time
from changegate.database.alternatives import select_matches
from changegate.database.skipping import MATCHES
from changegate.errors import RequestUnreadable
from changegate.services.access.caller import Caller
from changegate.services.tables.display.rendering import render_rows
from changegate.services.tables.display.selections import MAX_COLUMNS, Member, Selection, select_fields
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.clauses import where_clause
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.queries.equality import can_be_blank
from changegate.services.tables.reading.figures import COUNT, FUNCTIONS, find_condition, find_figure
from changegate.services.tables.reading.records import require_operation
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import parameters_of, visible_rows_of
from changegate.services.tables.walks import RecordField, Walks

Names = tuple[str, ...]
Stats = dict[str, Any]
MAX_GROUPS = 10_000


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The parameters of an aggregate request. `fields` are as the caller spelled them, by function.

    An item of `having` is (function, field, operator, value). An item of `order_by` is (field), ("count"), or
    (function, field), optionally followed by "DESC". `most` is how many groups are returned, the first in this order.
    """

    counts: bool = False
    fields: Mapping[str, Names] = field(default_factory=dict)
    group_by: Names = ()
    having: tuple[Names, ...] = ()
    order_by: tuple[Names, ...] = ()
    display_value: DisplayValue = DisplayValue.ACTUAL
    most: int | None = None


def aggregate_records(
    table: Table, caller: Caller, query: EncodedQuery, aggregation: Aggregation
) -> Stats | list[Stats]:
    """Return the figures of the records that match and that the caller may see; a list if they are grouped.

    Fields that do not exist, may not be read, or have no such figure are ignored
    (docs/reference/table-api.md#unusual-input). Raises `RequestUnreadable` for too many figures or groups.
    """
    require_operation(table, caller.permissions, "read")
    require_time(for_search=True)
    shape = Shape("", fields=aggregation.group_by)
    groups = select_fields(table, caller.permissions, shape) if aggregation.group_by else None
    aggregate = _Aggregate(table, caller, query, aggregation, groups.members if groups else ())
    if groups is None or not groups.members:
        return {"stats": aggregate.total()}
    return list(aggregate.list_groups(groups))


def group_records(table: Table, caller: Caller, query: EncodedQuery, aggregation: Aggregation) -> list[Stats]:
    """Return the figures of the groups as `aggregate_records` does; none if the caller may read none of the fields."""
    found = aggregate_records(table, caller, query, aggregation)
    return found if isinstance(found, list) else []


class _Aggregate:
    """One aggregate statement. Its rows consist of the columns of the groups, the count, and the figures."""

    def __init__(
        self, table: Table, caller: Caller, query: EncodedQuery, aggregation: Aggregation, members: Sequence[Member]
    ) -> None:
        self._aggregation = aggregation
        self._caller = caller
        self._members = members
        self._walks = Walks(table, caller.permissions)
        by_path = ((member.path, self._walks.find(member.path)) for member in members)
        self._grouped = {path: _group_column(field_) for path, field_ in by_path if field_ is not None}
        self._counted: ColumnElement[Any] = func.count()
        pairs = [(function, key) for function in FUNCTIONS for key in aggregation.fields.get(function, ())]
        figures = (find_figure(self._walks, function, key) for function, key in pairs)
        self._figures = [figure for figure in figures if figure is not None]
        if len(members) + len(self._figures) > MAX_COLUMNS:
            raise RequestUnreadable(f"More than {MAX_COLUMNS} fields are asked for")
        matching = where_clause(self._walks, query, caller)
        visible = visible_rows_of(table, self._walks.root, caller.permissions)
        self._clauses: list[ColumnElement[bool]] = visible if matching is None else [matching.build(), *visible]
        self._ranges: FromClause | None = None
        sorts_by_figure = any(parts[0].strip().lower() in FUNCTIONS for parts in aggregation.order_by)
        counts_alone = not (self._figures or aggregation.having or sorts_by_figure)
        if self._walks.scope.has_own_rows:
            self._find_own(counts_alone)
        elif counts_alone:
            self._count_ranges()

    def _count_ranges(self) -> None:
        """Count by the ranges of an index, if there is a suitable one."""
        ranges = self._walks.scope.count_ranges(self._clauses, [*self._grouped.values()])
        if ranges is not None:
            self._read(ranges)
            self._counted = func.coalesce(func.sum(ranges.c[MATCHES]), 0)

    def _find_own(self, counts_alone: bool) -> None:
        """Find the caller's own records first; if they are only counted, read nothing else of them."""
        sys_id = self._walks.root.c["sys_id"]
        read = [column.label(f"column_{at}") for at, column in enumerate(self._grouped.values())]
        own = select_matches([*read, sys_id] if counts_alone else [sys_id], self._walks.source, self._clauses)
        if counts_alone:
            self._read(own.subquery("own"))
        else:
            self._clauses = [sys_id.in_(own)]

    def _read(self, source: FromClause) -> None:
        """Read the groups from the first columns of another source, which contains only matches."""
        self._ranges, self._clauses = source, []
        self._grouped = dict(zip(self._grouped, source.c, strict=False))

    @property
    def _source(self) -> FromClause:
        # Read last: conditions and orders of dot-walked fields join more tables.
        return self._walks.source if self._ranges is None else self._ranges

    def total(self) -> Stats:
        """Return the figures of all records together."""
        statement = select(self._counted, *(figure.column for figure in self._figures))
        statement = statement.select_from(self._source).where(*self._clauses)
        return self._stats(connection().execute(statement, parameters_of(self._caller)).one())

    def list_groups(self, groups: Selection) -> Iterator[Stats]:
        """Yield the figures of each group, with the values of the fields that define the group."""
        rows = self._fetch_groups()
        require_time()
        shape = Shape("", self._aggregation.display_value, exclude_reference_link=True)
        keys = [member.key for member in self._members]
        for row, record in zip(rows, render_rows(groups, rows, self._caller, shape), strict=True):
            common = [_group_value(key, record[key]) for key in keys]
            yield {"stats": self._stats(row[len(keys) :]), "groupby_fields": common}

    def _fetch_groups(self) -> Sequence[Sequence[Any]]:
        aggregation = self._aggregation
        conditions = [
            clause for parts in aggregation.having if (clause := find_condition(self._walks, parts)) is not None
        ]
        columns = [self._grouped[member.path] for member in self._members]
        shown = [*columns, self._counted, *(figure.column for figure in self._figures)]
        orders = [order for parts in aggregation.order_by if (order := self._order(parts)) is not None]
        named = [column.label(f"column_{at}") for at, column in enumerate([*shown, *(column for column, _ in orders)])]
        grouped = select(*named).select_from(self._source).where(*self._clauses)
        # Sorted outside, so that the groups can be read in the order of an index.
        groups = grouped.group_by(*self._grouped.values()).having(*conditions).subquery()
        sorting = zip(groups.c[len(shown) :], (is_descending for _, is_descending in orders), strict=True)
        sorted_ = [_sorted(column, is_descending) for column, is_descending in sorting]
        sorted_ += [_sorted(column, is_descending=False) for column in groups.c[: len(columns)]]
        statement = select(*groups.c[: len(shown)]).order_by(*sorted_).limit(aggregation.most or MAX_GROUPS + 1)
        rows: Sequence[Any] = connection().execute(statement, parameters_of(self._caller)).all()
        if len(rows) > MAX_GROUPS:
            raise RequestUnreadable(f"There are more than {MAX_GROUPS} groups; a query may narrow them")
        return rows

    def _order(self, parts: Names) -> tuple[ColumnElement[Any], bool] | None:
        """Return the column of a sort order, and whether it is descending."""
        is_descending = len(parts) > 1 and parts[-1].strip().lower() == "desc"
        name = parts[0].strip().lower()
        if name == COUNT:
            return self._counted, is_descending
        if name in FUNCTIONS and len(parts) > 1:
            figure = find_figure(self._walks, name, parts[1].strip())
            return (figure.column, is_descending) if figure else None
        return (self._grouped[name], is_descending) if name in self._grouped else None

    def _stats(self, row: Sequence[Any]) -> Stats:
        stats: Stats = {COUNT: str(row[0])} if self._aggregation.counts else {}
        if not self._figures:
            return stats
        for figure, value in zip(self._figures, row[1:], strict=True):
            stats.setdefault(figure.function, {})[figure.key] = figure.render(value)
        return stats


def _group_column(grouped: RecordField) -> ColumnElement[Any]:
    if not can_be_blank(grouped.column):
        return grouped.column
    # NULL and the empty string are one group. The literal must not be a parameter: PostgreSQL requires the same
    # expression in SELECT and GROUP BY, and two parameters would make two expressions.
    return func.nullif(grouped.column, literal_column("''"), type_=grouped.column.type)


def _sorted(column: ColumnElement[Any], is_descending: bool) -> UnaryExpression[Any]:
    """Sort NULL as the smallest value: the defaults of the databases differ."""
    return column.desc().nulls_last() if is_descending else column.asc().nulls_first()


def _group_value(key: str, shown: Any) -> dict[str, str]:
    return {"field": key, **shown} if isinstance(shown, dict) else {"field": key, "value": shown}
