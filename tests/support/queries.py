"""Run an encoded query as plainly as can be: the clause, the order and the joins in one statement."""

from typing import Any

from sqlalchemy import Select, select

from changegate.database import connection
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.clauses import order_clauses, where_clause
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.registry import get_table
from changegate.services.tables.visibility import parameters_of, visible_rows_of
from changegate.services.tables.walks import Walks
from tests.support.people import ROOT


def statement_of(text: str, caller: Caller = ROOT, table_name: str = "change_request", *, shown: str) -> Select[Any]:
    """Return the statement for one field of the records that a query finds."""
    table = get_table(table_name)
    query, walks = parse_encoded_query(text), Walks(table, caller.permissions)
    matching = where_clause(walks, query, caller)
    orders = order_clauses(walks, query.orders)
    clauses = visible_rows_of(table, walks.root, caller.permissions) + ([] if matching is None else [matching.build()])
    found = select(walks.root.c[shown]).select_from(walks.source).where(*clauses).order_by(*orders)
    return found.params(parameters_of(caller))


def find(
    text: str, caller: Caller = ROOT, table_name: str = "change_request", *, shown: str = "short_description"
) -> list[Any]:
    """Return one field of the records that a query finds, in its order."""
    return list(connection().execute(statement_of(text, caller, table_name, shown=shown)).scalars())
