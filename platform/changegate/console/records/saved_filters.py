"""Saved filters: queries of a list under a title, for one user or for all."""

from collections.abc import Mapping

from changegate.errors import InputInvalid
from changegate.printable import typed
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import Order, equal_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import Table, get_table
from changegate.services.tables.writing.records import create_record, delete_record

MOST_FILTERS = 50


def list_filters(table: Table, caller: Caller) -> list[Mapping[str, str]]:
    """Return the filters of a table that the caller may use, by title."""
    query = equal_query("table", table.name, Order("title"))
    shape = Shape("", exclude_reference_link=True, fields=("sys_id", "title", "filter", "user"))
    return list(read_page(get_table("sys_filter"), caller, query, shape, limit=MOST_FILTERS, offset=0).records)


def save_filter(table: Table, caller: Caller, title: str, query: str) -> None:
    """Save a query for the caller. Raises `InputInvalid` without a title, and if there are too many."""
    if not (title := typed(title)):
        raise InputInvalid({"title": ["Enter a title for the filter."]})
    if len(list_filters(table, caller)) >= MOST_FILTERS:
        raise InputInvalid({"title": [f"You have {MOST_FILTERS} filters of this table. Delete one first."]})
    fields = {"title": title, "table": table.name, "filter": query, "user": caller.sys_id}
    create_record(get_table("sys_filter"), caller, fields)


def delete_filter(caller: Caller, sys_id: str) -> None:
    """Delete a filter. Raises `RecordNotFound`, and `OperationFailed` for a filter of another user."""
    delete_record(get_table("sys_filter"), caller, sys_id)
