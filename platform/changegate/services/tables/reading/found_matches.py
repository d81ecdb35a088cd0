"""Matches that are found once for the page and for their count, as a common table expression (CTE).

The planners expect neither how many records contain a text, or are a caller's own, nor that the count needs all of
them: PostgreSQL may read all records in the order of the page, and SQLite finds the matches twice.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnClause, ColumnElement, Integer, Select, cast, func, select, true
from sqlalchemy.sql import visitors

from changegate.database.alternatives import select_matches
from changegate.database.prepared import parameter
from changegate.services.tables.queries.clauses import find_first_key, find_sort_key, order_clauses
from changegate.services.tables.queries.encoded_query import Order
from changegate.services.tables.walks import Walks, alias_of


class FoundMatches:
    """The CTE of the matches of some clauses, with the columns that sort them.

    `columns` maps the columns of the records to those of the CTE.
    """

    def __init__(self, walks: Walks, orders: Sequence[Order], clauses: Sequence[ColumnElement[bool]]) -> None:
        self._walks, self._orders = walks, orders
        first = find_first_key(walks, orders)
        # If the first field is never empty, others are read only for the records up to the end of the page.
        sorted_by = self._sorting_columns() if first is None else [first[0].column]
        self._is_descending = first is not None and first[1]
        sys_id = walks.root.c["sys_id"]
        named = [column.label(f"key_{number}") for number, column in enumerate(sorted_by)]
        found = select_matches([sys_id.label("sys_id"), *named], walks.source, clauses).cte("matches")
        self._found = found.prefix_with("MATERIALIZED")
        self._first: ColumnElement[Any] = self._found.c[1]
        self.columns = {sys_id: self._found.c[0], **dict(zip(sorted_by, self._found.c[1:], strict=True))}

    def count(self) -> Select[Any]:
        """Return the statement for the number of matches."""
        return select(func.count()).select_from(self._found)

    def sort(self, *, backwards: bool = False) -> Select[Any]:
        """Return the statement for the sys_ids in their order, or, if `is_sorted_whole`, in the reversed one."""
        if not is_sorted_whole(self._walks, self._orders):
            return self._sort_beside()
        orders = order_clauses(self._walks, self._orders, backwards=backwards)
        return select(self._found.c[0]).order_by(
            *(visitors.replacement_traverse(each, {}, self._at) for each in orders)
        )

    def _at(self, element: Any, **_: Any) -> Any:
        return self.columns.get(element)

    def _sorting_columns(self) -> list[Any]:
        orders = order_clauses(self._walks, self._orders)
        read = [each for order in orders for each in visitors.iterate(order) if isinstance(each, ColumnClause)]
        # The last one is the sys_id.
        return read[:-1]

    def _sort_beside(self) -> Select[Any]:
        """Return the statement that sorts by several fields, and reads the records only up to the end of the page.

        The first field decides which these are: the following page begins with the value `end`.
        """
        root, others = self._walks.root, order_clauses(self._walks, self._orders)[1:]
        (sys_id, *_), value, (limit, offset) = self._found.c, self._first, bounds_of_page()
        in_order = value.desc() if self._is_descending else value
        # As BigInteger, since the sum of the two may be greater than any Integer.
        end = select(value).order_by(in_order).limit(1).offset(cast(offset, BigInteger) + limit)
        is_later = value < end.scalar_subquery() if self._is_descending else value > end.scalar_subquery()
        read = alias_of(root, "read")

        def read_beside(element: Any, **_: Any) -> Any:
            if getattr(element, "table", None) is not root:
                return None
            one = select(read.c[element.name]).where(read.c["sys_id"] == sys_id).scalar_subquery()
            return self.columns.get(element, one)

        further = [visitors.replacement_traverse(order, {}, read_beside) for order in others]
        return select(sys_id).where(is_later.is_not(true())).order_by(in_order, *further)


def is_sorted_whole(walks: Walks, orders: Iterable[Order]) -> bool:
    """Return whether found matches have all columns that sort them, so that they can be read from either end."""
    return find_first_key(walks, orders) is None or find_sort_key(walks, orders) is not None


def bounds_of_page() -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the parameters for the limit and the offset of a page."""
    limit, offset = (parameter(name, type_=Integer) for name in ("page_limit", "page_offset"))
    return limit, offset
