"""Matching: the sys_ids of the records that match a query and that the caller may see, and their count.

Statements that differ only in their values are compiled once. Their shape consists of what they read, with the
permissions of the caller, the order, and the shape of the condition, which is known before SQLAlchemy builds anything:

    query ──where_clause──> condition ──> (shape, parameters) ──CompiledSelects──> rows
                                └── too large to cache: built, compiled, and executed by SQLAlchemy
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, func, select

from changegate.database import connection
from changegate.database.compiled import CompiledSelects, Row
from changegate.database.prepared import parameter
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.clauses import order_clauses, where_clause
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import parameters_of
from changegate.services.tables.walks import Walks

# Statements with more parts, or with sort fields of more characters, are not cached.
MOST_REMEMBERED_PARTS = 160
LONGEST_REMEMBERED_ORDERS = 400
statements = CompiledSelects(512)


class Matching:
    """The records of a table that match a query and that a caller may see."""

    def __init__(self, table: Table, caller: Caller, query: EncodedQuery) -> None:
        self._query = query
        self._walks = Walks(table, caller.permissions)
        self._condition = where_clause(self._walks, query, caller)
        # Taken before `order_clauses` may join more tables, which a count does not need.
        self._scope = self._walks.scope
        self._parameters = parameters_of(caller)
        if self._condition is not None:
            self._parameters |= self._condition.parameters

    def count(self) -> int:
        """Return how many records match."""
        rows = self._fetch("count", self._count_statement)
        return int(rows[0][0])

    def list_sys_ids(self, limit: int, offset: int) -> list[str]:
        """Return the sys_ids of a page of records, in the query's order."""
        rows = self._fetch("page", self._page_statement, page_limit=limit, page_offset=offset)
        return [row[0] for row in rows]

    def list_and_count(self, limit: int, offset: int) -> tuple[list[str], int]:
        """Return the sys_ids of a page of records, in the query's order, and how many records match in all."""
        rows = self._fetch("counted page", self._counted_page_statement, page_limit=limit, page_offset=offset)
        # A page beyond the last record has no row that could hold the count.
        return [row[0] for row in rows], int(rows[0][1]) if rows else self.count()

    def _counted_page_statement(self) -> Select[Any]:
        # Uncorrelated: otherwise, SQLAlchemy would omit the FROM of the subquery, since the page reads the same table.
        counted = self._count_statement().correlate(None).scalar_subquery()
        return self._page_statement().add_columns(counted)

    def _count_statement(self) -> Select[Any]:
        return select(func.count()).select_from(self._scope.source).where(*self._clauses)

    def _page_statement(self) -> Select[Any]:
        orders = order_clauses(self._walks, self._query.orders)
        page = select(self._walks.root.c["sys_id"]).select_from(self._walks.source).where(*self._clauses)
        limit, offset = (parameter(name, type_=Integer) for name in ("page_limit", "page_offset"))
        return page.order_by(*orders).limit(limit).offset(offset)

    @cached_property
    def _clauses(self) -> list[ColumnElement[bool]]:
        visible = self._scope.visible_rows()
        return visible if self._condition is None else [*visible, self._condition.build_named()]

    def _fetch(self, purpose: str, build: Callable[[], Select[Any]], **values: int) -> Sequence[Row]:
        named = {**self._parameters, **values}
        if not self._is_remembered():
            # SQLAlchemy must not cache it either: the cache key of a large statement takes longer than the statement.
            return connection().execute(build(), named, execution_options={"compiled_cache": None}).all()
        shape = None if self._condition is None else self._condition.shape
        return statements.fetch((purpose, self._scope, self._query.orders, shape), build, named)

    def _is_remembered(self) -> bool:
        if sum(1 + len(order.field) for order in self._query.orders) > LONGEST_REMEMBERED_ORDERS:
            return False
        return self._condition is None or self._condition.size <= MOST_REMEMBERED_PARTS
