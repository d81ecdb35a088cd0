"""Matching: the sys_ids of the records that match a query and that the caller may see, and their count.

Statements that differ only in their values are compiled once. Their shape consists of what they read, with the
permissions of the caller, the order, and the shape of the condition, which is known before SQLAlchemy builds anything:

    query ──where_clause──> condition ──> (shape, parameters) ──CompiledSelects──> rows
                                └── too large to cache: built, compiled, and executed by SQLAlchemy
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    String,
    case,
    func,
    select,
    tuple_,
    union_all,
)

from changegate.database import connection
from changegate.database.alternatives import checked, select_matches
from changegate.database.compiled import CompiledSelects, Row
from changegate.database.covering import read_in_index
from changegate.database.dialects import hinted, is_postgres
from changegate.database.prepared import parameter
from changegate.database.skipping import MATCHES
from changegate.errors import RequestUnreadable
from changegate.models.base import SYS_ID_LENGTH
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.clauses import find_sort_key, order_clauses, where_clause
from changegate.services.tables.queries.encoded_query import EncodedQuery, searches_text
from changegate.services.tables.reading.found_matches import FoundMatches, bounds_of_page, is_sorted_whole
from changegate.services.tables.registry import Table, View
from changegate.services.tables.values import is_storable, parse_value, render_value
from changegate.services.tables.visibility import parameters_of
from changegate.services.tables.walks import Walks

# Statements with more parts, or with sort fields of more characters, are not cached.
MOST_REMEMBERED_PARTS = 160
LONGEST_REMEMBERED_ORDERS = 400
# A page beyond this offset is read from the end of the matches if that is nearer. To plan for that takes PostgreSQL as
# long as to read as many entries.
FAR_OFFSET = 5000
# The parameters for the sort value and the sys_id after which a page begins.
AFTER_VALUE, AFTER_ID = "after_value", "after_id"
statements = CompiledSelects(512)


class PageRows(NamedTuple):
    """The sys_ids of a page, and the values that it is sorted by, if one field decides the order."""

    sys_ids: list[str]
    sort_values: list[Any]


class Matching:
    """The records of a table that match a query and that a caller may see.

    `after` is the `key_of` a page. Pages then begin after it, if the order has such keys.
    """

    def __init__(self, table: Table, caller: Caller, query: EncodedQuery, after: str = "") -> None:
        self._table, self._query = table, query
        self._walks = Walks(table, caller.permissions)
        self._condition = where_clause(self._walks, query, caller)
        # Taken before `order_clauses` may join more tables, which a count does not need.
        self._scope = self._walks.scope
        self._parameters = parameters_of(caller)
        if self._condition is not None:
            self._parameters |= self._condition.parameters
        self._sort_key = find_sort_key(self._walks, query.orders)
        # Matches of a text, and own records, are found once, since the planners expect neither how many there are, nor
        # that the count needs all of them.
        self._finds_once = searches_text(query) or self._scope.has_own_rows
        self._begins_after = self._read_key(after)

    @property
    def begins_after(self) -> bool:
        """Return whether pages begin after a key, whatever their offset."""
        return self._begins_after

    def count(self) -> int:
        """Return how many records match."""
        rows = self._fetch("count", self._count_statement)
        return int(rows[0][0])

    def count_up_to(self, most: int) -> int:
        """Return how many records match, or `most` if there are more."""
        rows = self._fetch("bounded count", self._bounded_count_statement, page_limit=most)
        return int(rows[0][0])

    def list_page(self, limit: int, offset: int) -> PageRows:
        """Return a page of records, in the query's order."""
        return self._page_of(self._fetch("page", self._page_statement, **self._bounds(limit, offset)))

    def list_and_count(self, limit: int, offset: int) -> tuple[PageRows, int]:
        """Return a page of records, in the query's order, and how many records match in all."""
        if isinstance(self._table, View):
            # A view can be a union. SQLite would count the records again in each part of it.
            return self.list_page(limit, offset), self.count()
        bounds = self._bounds(limit, offset)
        is_reversible = not self._finds_once or is_sorted_whole(self._walks, self._query.orders)
        is_far = bounds["page_offset"] > FAR_OFFSET and is_reversible
        build = self._far_page_statement if is_far else self._counted_page_statement
        rows = self._fetch("far page" if is_far else "counted page", build, **bounds)
        # A page beyond the last record has no row that could hold the count.
        total = int(rows[0][-1]) if rows else self.count()
        is_reversed = is_far and offset > total - offset
        return self._page_of(rows[::-1] if is_reversed else rows), total

    def _bounds(self, limit: int, offset: int) -> dict[str, int]:
        return {"page_limit": limit, "page_offset": 0 if self._begins_after else offset}

    def _page_of(self, rows: Sequence[Row]) -> PageRows:
        return PageRows([row[0] for row in rows], [row[1] for row in rows] if self._sort_key is not None else [])

    def key_of(self, page: PageRows, limit: int) -> str:
        """Return the key after which the next page begins; empty if the page has no records, or the order no keys."""
        if not page.sort_values or not limit or self._sort_key is None:
            return ""
        field, _ = self._sort_key
        last = min(limit, len(page.sys_ids)) - 1
        return page.sys_ids[last] + render_value(field.entry, page.sort_values[last])

    def _read_key(self, after: str) -> bool:
        """Set the parameters of a key; return whether it is one of this order."""
        sys_id, text = after[:SYS_ID_LENGTH], after[SYS_ID_LENGTH:]
        if self._sort_key is None or not text or not is_storable(after):
            return False
        field, _ = self._sort_key
        try:
            # Choices limit what is written, not what is stored.
            value = parse_value(field.path, replace(field.entry, choices=None), text)
        except RequestUnreadable:
            return False
        self._parameters |= {AFTER_VALUE: value, AFTER_ID: sys_id}
        return value is not None

    def _counted_page_statement(self) -> Select[Any]:
        matches, counted = self._matches()
        return self._bounded(matches()).add_columns(counted.scalar_subquery())

    def _far_page_statement(self) -> Select[Any]:
        """Return the statement for a page, read from the nearer end of the matches, and for their count.

        The statement has the page in both directions, and reads nothing in the direction whose limit is 0. A statement
        for the count and another for the page would miss records if others were added in between.
        """
        matches, counted = self._matches()
        total = select(*counted.cte("counted").prefix_with("MATERIALIZED").c).scalar_subquery()
        limit, offset = bounds_of_page()
        rest = case((total > offset, total - offset), else_=0)
        from_end = case((rest < limit, rest), else_=limit)
        pages = (
            matches().limit(case((offset > rest, 0), else_=limit)).offset(offset),
            matches(backwards=True).limit(case((offset > rest, from_end), else_=0)).offset(rest - from_end),
        )
        page = union_all(*(select(*each.subquery().c) for each in pages)).subquery()
        return select(*page.c, total)

    def _matches(self) -> tuple[Callable[..., Select[Any]], Select[Any]]:
        """Return the function that builds the statement of all matches, in either order, and that of their count."""
        if not self._finds_once:
            # Uncorrelated: otherwise, SQLAlchemy would omit the FROM of the subquery, since the page reads the same
            # table.
            return self._sorted, self._count_statement().correlate(None)
        found = FoundMatches(self._walks, self._query.orders, self._clauses)
        return partial(self._sorted_in, found), found.count()

    def _count_statement(self) -> Select[Any]:
        ranges = self._scope.count_ranges(self._clauses)
        if ranges is not None:
            return select(func.coalesce(func.sum(ranges.c[MATCHES]), 0))
        if self._finds_once:
            return select(func.count()).select_from(self._found().subquery())
        return select(func.count()).select_from(self._scope.source).where(*self._clauses)

    def _bounded_count_statement(self) -> Select[Any]:
        limited = self._found().limit(parameter("page_limit", type_=Integer)).subquery()
        return select(func.count()).select_from(limited)

    def _found(self) -> Select[Any] | CompoundSelect[Any]:
        return select_matches([self._walks.root.c["sys_id"]], self._scope.source, self._clauses)

    def _page_statement(self) -> Select[Any]:
        # Of the matches of a text, a page without a count may need few.
        build = self._matches()[0] if self._scope.has_own_rows else self._sorted
        return self._bounded(build())

    def _sorted(self, *, backwards: bool = False) -> Select[Any]:
        orders = order_clauses(self._walks, self._query.orders, backwards=backwards)
        sys_id = self._walks.root.c["sys_id"]
        clauses = read_in_index(self._walks.source, self._clauses, orders)
        matches = select(sys_id).select_from(self._walks.source).where(*clauses).order_by(*orders)
        if self._sort_key is None:
            return matches
        field, _ = self._sort_key
        if self._table.display_prefix and field.path == self._table.display_field:
            matches = matches.where(*_begins_with(self._table.display_prefix, field.column))
        return self._from_key(matches.add_columns(field.column), field.column, sys_id)

    def _sorted_in(self, found: FoundMatches, *, backwards: bool = False) -> Select[Any]:
        page = found.sort(backwards=backwards)
        if self._sort_key is None:
            return page
        value = found.columns[self._sort_key[0].column]
        return self._from_key(page.add_columns(value), value, found.columns[self._walks.root.c["sys_id"]])

    def _from_key(self, page: Select[Any], value: ColumnElement[Any], sys_id: ColumnElement[Any]) -> Select[Any]:
        """Restrict a page that is sorted by `value` and `sys_id` to the rows after the key, if the request has one."""
        if self._sort_key is None or not self._begins_after:
            return page
        _, is_descending = self._sort_key
        keys = tuple_(value, sys_id)
        place = tuple_(parameter(AFTER_VALUE, type_=type(value.type)), parameter(AFTER_ID, type_=String))
        return page.where(keys < place if is_descending else keys > place)

    def _bounded(self, page: Select[Any]) -> Select[Any]:
        limit, offset = bounds_of_page()
        return page.limit(limit).offset(offset)

    @cached_property
    def _clauses(self) -> list[ColumnElement[bool]]:
        visible = self._scope.visible_rows()
        if searches_text(self._query) and not is_postgres(connection()):
            # SQLite would look the text up for each alternative.
            visible = checked(visible)
        # The condition first: it is mostly narrower than the class, and SQLite compares in this order.
        return visible if self._condition is None else [self._condition.build_named(), *visible]

    def _fetch(self, purpose: str, build: Callable[[], Select[Any]], **values: int) -> Sequence[Row]:
        named = {**self._parameters, **values}
        if not self._is_remembered():
            # SQLAlchemy must not cache it either: the cache key of a large statement takes longer than the statement.
            return connection().execute(build(), named, execution_options={"compiled_cache": None}).all()
        shape = None if self._condition is None else self._condition.shape
        variant = (purpose, searches_text(self._query), self._begins_after)
        return statements.fetch((variant, self._scope, self._query.orders, shape), build, named)

    def _is_remembered(self) -> bool:
        if sum(1 + len(order.field) for order in self._query.orders) > LONGEST_REMEMBERED_ORDERS:
            return False
        return self._condition is None or self._condition.size <= MOST_REMEMBERED_PARTS


def _begins_with(prefix: str, value: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Return the clauses for values with a prefix.

    In the index of numbers, those of another class may come first, and the planners do not expect that.
    """
    following = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return [hinted(True, value >= prefix), hinted(True, value < following)]
