"""Matching: the sys_ids of the records that match a query and that the caller may see, and their count.

Statements that differ only in their values are compiled once. Their shape consists of the table, the permissions of the
caller, the order, the walked references, and SQLAlchemy's cache key of the WHERE clause:

    query ──where_clause──> clause ──_shape_of──> (shape, values) ──CompiledSelects──> rows
                                       └── too large to cache: compiled and executed by SQLAlchemy
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, func, select

from changegate.database import connection
from changegate.database.compiled import CompiledSelects, Row
from changegate.database.prepared import parameter
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.clauses import order_clauses, where_clause
from changegate.services.tables.queries.encoded_query import EncodedQuery
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import parameters_of, visible_rows_of
from changegate.services.tables.walks import Walks

# Statements with more values, or with sort fields of more characters, are not cached.
MOST_REMEMBERED_VALUES = 64
LONGEST_REMEMBERED_ORDERS = 400
statements = CompiledSelects(512)


class Matching:
    """The records of a table that match a query and that a caller may see."""

    def __init__(self, table: Table, caller: Caller, query: EncodedQuery) -> None:
        self._query = query
        self._parameters = parameters_of(caller)
        self._walks = Walks(table, caller.permissions)
        self._clause = where_clause(self._walks, query, caller)
        # Taken before `order_clauses` may join more tables, which a count does not need.
        self._source = self._walks.source
        self._shape, self._inputs = _shape_of(self._walks, self._clause, query)

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
        return select(func.count()).select_from(self._source).where(*self._clauses())

    def _page_statement(self) -> Select[Any]:
        orders = order_clauses(self._walks, self._query.orders)
        page = select(self._walks.root.c["sys_id"]).select_from(self._walks.source).where(*self._clauses())
        limit, offset = (parameter(name, type_=Integer) for name in ("page_limit", "page_offset"))
        return page.order_by(*orders).limit(limit).offset(offset)

    def _clauses(self) -> list[ColumnElement[bool]]:
        visible = visible_rows_of(self._walks.table, self._walks.root, self._walks.permissions)
        return visible if self._clause is None else [*visible, self._clause]

    def _fetch(self, purpose: str, build: Callable[[], Select[Any]], **values: int) -> Sequence[Row]:
        named = {**self._parameters, **values}
        if self._shape is None:
            # SQLAlchemy must not cache it either: the cache key of a large statement takes longer than the statement.
            return connection().execute(build(), named, execution_options={"compiled_cache": None}).all()
        return statements.fetch((purpose, self._shape), build, named, self._inputs)


def _shape_of(
    walks: Walks, clause: ColumnElement[bool] | None, query: EncodedQuery
) -> tuple[Hashable, Sequence[BindParameter[Any]]]:
    """Return the cache key that all queries with the same SQL share, and the parameters in which they differ.

    The key is None for a query that should not be cached.
    """
    if sum(1 + len(order.field) for order in query.orders) > LONGEST_REMEMBERED_ORDERS:
        return None, ()
    common = (walks.table, walks.permissions, query.orders)
    if clause is None:
        return common, ()
    if sum(len(chain) for group in query.alternatives for chain in group) > MOST_REMEMBERED_VALUES:
        return None, ()
    # SQLAlchemy's own cache key of compiled statements. It has no public name. Its parameters are in the order of the
    # clause, so those of two clauses with the same key correspond by position.
    key = clause._generate_cache_key()
    if key is None or len(key.bindparams) > MOST_REMEMBERED_VALUES:
        return None, ()
    # The key does not contain the length of an IN list, but `CompiledSelect` compiles the list for one length.
    sizes = tuple(len(bind.effective_value or ()) for bind in key.bindparams if bind.expanding)
    if sum(sizes) > MOST_REMEMBERED_VALUES:
        return None, ()
    return (*common, walks.steps, key.key, sizes), key.bindparams
