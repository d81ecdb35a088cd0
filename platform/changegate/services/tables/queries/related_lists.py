"""Conditions on other records: the number of those that refer to a row, or whether one shares a value with it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, func, select

from changegate.database.expressions import Expression, Value
from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.comparison import Clause, Inquiry, compare
from changegate.services.tables.queries.encoded_query import EncodedQuery, Joined, RelatedCount
from changegate.services.tables.registry import Table, find_table, lineage_of
from changegate.services.tables.visibility import may_read
from changegate.services.tables.walks import RecordField, Scope, Walks, alias_of

Column = ColumnElement[Any]
FindMatching = Callable[[Inquiry, EncodedQuery], Clause | None]


def related_clause(inquiry: Inquiry, related: RelatedCount, matching: FindMatching) -> Clause:
    """Return the clause that compares the number of related records that the caller may see.

    `matching` translates the query over them. Raises `RequestUnreadable` for an unknown table, and for a field that
    does not refer to this table.
    """
    walks = inquiry.walks
    inner = _inner(inquiry, related.table)
    field = inner.walks.find(related.field)
    if field is None or not _refers_to(field, walks.table):
        raise RequestUnreadable(f"RLQUERY: {related.table}.{related.field} is not a reference to {walks.table.name}")
    clause = matching(inner, related.query)
    # The clause may have joined more tables to `inner.walks.source`.
    subquery = (inner.walks.scope, *([] if clause is None else [clause]))
    return Expression(_compares_count, related.operator, Value(related.count), field.column, walks.root, *subquery)


def _compares_count(
    sign: str, number: Any, reference: Column, root: FromClause, scope: Scope, *clauses: Column
) -> ColumnElement[bool]:
    is_related = reference == root.c["sys_id"]
    counted = select(func.count()).select_from(scope.source).where(is_related, *scope.visible_rows(), *clauses)
    return compare(sign, counted.correlate(root).scalar_subquery(), number)


def joined_clause(inquiry: Inquiry, joined: Joined, matching: FindMatching) -> Clause:
    """Return the clause for rows whose field has the same value as a field of another record that the caller may see.

    Raises `RequestUnreadable` for an unknown table, and for fields that are not text or references.
    """
    walks = inquiry.walks
    if joined.own_table not in {table.name for table in lineage_of(walks.table)}:
        raise RequestUnreadable(f"JOIN: {joined.own_table} is not the table that is read, {walks.table.name}")
    inner = _inner(inquiry, joined.table)
    own = _require_text(walks, joined.own_table, joined.own_field)
    other = _require_text(inner.walks, joined.table, joined.field)
    clause = matching(inner, EncodedQuery((((joined.condition,),),) if joined.condition else ()))
    subquery = (inner.walks.scope, *([] if clause is None else [clause]))
    return Expression(_is_value_of, own.column, other.column, *subquery)


def _is_value_of(own: Column, other: Column, scope: Scope, *clauses: Column) -> ColumnElement[bool]:
    # Uncorrelated, so that the subquery is executed once and not for each row: the fields may have no index.
    values = select(other).select_from(scope.source).where(*scope.visible_rows(), *clauses).correlate(None)
    return own.in_(values)


def _inner(inquiry: Inquiry, name: str) -> Inquiry:
    table, permissions = find_table(name), inquiry.walks.permissions
    if table is None or not may_read(table, permissions):
        raise RequestUnreadable(f"Invalid table {name[:100]} in the query")
    # Named by depth: a subquery refers to the table of the query that contains it.
    return inquiry.within(Walks(table, permissions, alias_of(table.source, f"related_{inquiry.depth + 1}")))


def _require_text(walks: Walks, table_name: str, name: str) -> RecordField:
    field = walks.find(name)
    if field is None or not isinstance(field.column.type, String):
        raise RequestUnreadable(f"JOIN: {table_name}.{name[:100]} is not a field that holds text or a reference")
    return field


def _refers_to(field: RecordField, table: Table) -> bool:
    """Return whether a field refers to a table, one that it extends, or one that extends it."""
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    if target is None:
        return False
    return target in lineage_of(table) or table in lineage_of(target)
