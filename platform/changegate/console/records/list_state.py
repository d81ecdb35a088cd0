"""The state of a list, which is its URL: users can share it, and copy its query into a call of the API."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from changegate.printable import typed
from changegate.services.tables.queries.encoded_query import (
    TEXT_SEARCH,
    Condition,
    EncodedQuery,
    Order,
    equal_query,
    parse_encoded_query,
    render_encoded_query,
)
from changegate.services.tables.queries.name_values import add_conditions
from changegate.services.tables.registry import Table

QUERY, SEARCH, FIELDS, PAGE, SIZE = "sysparm_query", "search", "fields", "page", "per_page"
PAGE_SIZES = (20, 50, 100)
MOST_COLUMNS = 20
MAX_PAGE = 1_000_000
MAX_SEARCH_LENGTH = 100
# Tables whose latest records matter most, although they have a name or an order.
NEWEST_FIRST = frozenset(
    {
        *("my_approval", "sysapproval_approver", "conflict", "chg_mgt_worker", "chg_history", "sys_journal_field"),
        *("sys_audit", "sys_attachment", "sys_email", "std_change_proposal"),
    }
)
DEFAULT_ORDERS: Mapping[str, Order] = {
    **dict.fromkeys(NEWEST_FIRST, Order("sys_created_on", is_descending=True)),
    "cmn_schedule_span": Order("start_date_time", is_descending=True),
    # A correlation ID begins with its time.
    "oauth_exchange": Order("sys_id", is_descending=True),
    "oauth_credential": Order("sys_id", is_descending=True),
    "refresh_token": Order("issued_at", is_descending=True),
    "security_finding": Order("severity"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """A table, the query with its sort order, the columns that the URL names, and the page.

    `search` is the text search that is a part of the query; `conditions` is the query without it.
    """

    table: Table
    conditions: EncodedQuery
    search: str = ""
    fields: tuple[str, ...] = ()
    page: int = 1
    page_size: int = PAGE_SIZES[0]

    @classmethod
    def of_arguments(cls, table: Table, arguments: Mapping[str, str]) -> Self:
        """Read the query string; invalid numbers and unknown columns are ignored."""
        conditions, found = _without_search(parse_encoded_query(arguments.get(QUERY, "")))
        size = page_number(arguments.get(SIZE, ""))
        named = (name for name in arguments.get(FIELDS, "").split(",") if name in table.columns)
        return cls(
            table=table,
            conditions=conditions,
            search=typed(arguments.get(SEARCH, found))[:MAX_SEARCH_LENGTH].strip(),
            fields=tuple(dict.fromkeys(named))[:MOST_COLUMNS],
            page=min(max(1, page_number(arguments.get(PAGE, ""))), MAX_PAGE),
            page_size=size if size in PAGE_SIZES else PAGE_SIZES[0],
        )

    @property
    def query(self) -> EncodedQuery:
        """Return the whole query: the conditions, the search, and the sort order, which is never empty."""
        query = self.conditions
        if self.search:
            query = add_conditions(query, Condition(TEXT_SEARCH, "=", self.search))
        return query if query.orders else replace(query, orders=default_orders(self.table))

    @property
    def text(self) -> str:
        """Return the query as an encoded query, with which the Table API returns the same records."""
        return render_encoded_query(self.query)

    @property
    def offset(self) -> int:
        """Return the number of records before the page."""
        return (self.page - 1) * self.page_size

    @property
    def is_filtered(self) -> bool:
        """Return whether the list leaves records out."""
        return bool(self.search or self.conditions.alternatives)

    @property
    def order(self) -> Order:
        """Return the field that the list is sorted by first."""
        return self.query.orders[0]

    def last_page(self, total: int) -> int:
        """Return the number of the last page of a number of records."""
        return max(1, -(-total // self.page_size))

    def sorted_by(self, name: str) -> Self:
        """Return the first page sorted by a field, in reverse if it is already sorted by it."""
        is_descending = self.is_sorted_by(name) and not self.order.is_descending
        order = Order(self._sorted_as(name), is_descending)
        return replace(self, conditions=replace(self.conditions, orders=(order,)), page=1)

    def is_sorted_by(self, name: str) -> bool:
        """Return whether the list is sorted by a field first."""
        return self.order.field == self._sorted_as(name)

    def _sorted_as(self, name: str) -> str:
        return self.table.sorted_as.get(name, name)

    def at(self, page: int) -> Self:
        """Return another page of the same list."""
        return replace(self, page=page)

    def with_conditions(self, conditions: EncodedQuery) -> Self:
        """Return the first page of the list with other conditions in the same order."""
        return replace(self, conditions=replace(conditions, orders=self.conditions.orders), page=1)

    def without_search(self) -> Self:
        """Return the first page of the list without the text search."""
        return replace(self, search="", page=1)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string, without defaults."""
        query = add_conditions(self.conditions, *([Condition(TEXT_SEARCH, "=", self.search)] if self.search else []))
        arguments = {QUERY: render_encoded_query(query), FIELDS: ",".join(self.fields)}
        if self.page > 1:
            arguments[PAGE] = str(self.page)
        if self.page_size != PAGE_SIZES[0]:
            arguments[SIZE] = str(self.page_size)
        return {name: value for name, value in arguments.items() if value}

    def api_path(self, columns: tuple[str, ...]) -> str:
        """Return the path and query string of the Table API call that returns the records of the page."""
        parameters = {QUERY: self.text, "sysparm_fields": ",".join(columns), "sysparm_limit": str(self.page_size)}
        if self.offset:
            parameters["sysparm_offset"] = str(self.offset)
        return f"/api/now/table/{self.table.name}?{urlencode(parameters)}"


def page_number(text: str) -> int:
    """Return a positive number from a URL, or 0 if it is invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def query_of(field: str, value: str) -> str:
    """Return the encoded query of the records whose field has a value."""
    return render_encoded_query(equal_query(field, value))


def default_orders(table: Table) -> tuple[Order, ...]:
    """Return the order of a list that names none: tasks and other records without a name newest first, others by it."""
    newest = Order("sys_created_on", is_descending=True)
    if table.name in DEFAULT_ORDERS:
        return (DEFAULT_ORDERS[table.name],)
    if "number" in table.columns:
        # Not by the number alone: all classes of tasks share its index, so a list of changes would read other tasks.
        return newest, Order("number", is_descending=True)
    if "order" in table.columns:
        return (Order("order"),)
    return (newest if table.display_field == "sys_id" else Order(table.display_field),)


def _without_search(query: EncodedQuery) -> tuple[EncodedQuery, str]:
    """Return a query of one alternative without its text search, and the text; others are returned as they are."""
    if len(query.alternatives) != 1:
        return query, ""
    [group] = query.alternatives
    for chain in group:
        [first, *others] = chain
        if not others and isinstance(first, Condition) and first.field == TEXT_SEARCH:
            rest = tuple(each for each in group if each is not chain)
            return replace(query, alternatives=(rest,) if rest else ()), first.value
    return query, ""
