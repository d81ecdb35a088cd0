"""Conditions on other records: the number of those that refer to a row, or whether one shares a value with it."""

from collections.abc import Callable

from sqlalchemy import String, func, select

from changegate.errors import RequestUnreadable
from changegate.services.tables.queries.comparison import Clause, Inquiry
from changegate.services.tables.queries.encoded_query import EncodedQuery, Joined, RelatedCount
from changegate.services.tables.registry import Table, find_table, lineage_of
from changegate.services.tables.visibility import may_read, visible_rows_of
from changegate.services.tables.walks import RecordField, Walks

FindMatching = Callable[[Inquiry, EncodedQuery], Clause | None]


def related_clause(inquiry: Inquiry, related: RelatedCount, matching: FindMatching) -> Clause:
    """Return the clause that compares the number of related records that the caller may see.

    `matching` translates the query over them. Raises `RequestUnreadable` for an unknown table, and for a field that
    does not refer to this table.
    """
    walks = inquiry.walks
    inner = _walks_of(inquiry, related.table)
    field = inner.find(related.field)
    if field is None or not _refers_to(field, walks.table):
        raise RequestUnreadable(f"RLQUERY: {related.table}.{related.field} is not a reference to {walks.table.name}")
    # Before `inner.source` is read, because the clauses may join more tables to it.
    clauses = [field.column == walks.root.c["sys_id"], *_clauses(inquiry, inner, related.query, matching)]
    counted = select(func.count()).select_from(inner.source).where(*clauses)
    count = counted.correlate(walks.root).scalar_subquery()
    compared: Clause = count.op(related.operator, is_comparison=True)(related.count)
    return compared


def joined_clause(inquiry: Inquiry, joined: Joined, matching: FindMatching) -> Clause:
    """Return the clause for rows whose field has the same value as a field of another record that the caller may see.

    Raises `RequestUnreadable` for an unknown table, and for fields that are not text or references.
    """
    walks = inquiry.walks
    if joined.own_table not in {table.name for table in lineage_of(walks.table)}:
        raise RequestUnreadable(f"JOIN: {joined.own_table} is not the table that is read, {walks.table.name}")
    inner = _walks_of(inquiry, joined.table)
    own = _require_text(walks, joined.own_table, joined.own_field)
    other = _require_text(inner, joined.table, joined.field)
    query = EncodedQuery((((joined.condition,),),) if joined.condition else ())
    clauses = _clauses(inquiry, inner, query, matching)
    # Uncorrelated, so that the subquery is executed once and not for each row: the fields may have no index.
    clause: Clause = own.column.in_(select(other.column).select_from(inner.source).where(*clauses).correlate(None))
    return clause


def _walks_of(inquiry: Inquiry, name: str) -> Walks:
    table, permissions = find_table(name), inquiry.walks.permissions
    if table is None or not may_read(table, permissions):
        raise RequestUnreadable(f"Invalid table {name[:100]} in the query")
    return Walks(table, permissions, table.source.alias())


def _clauses(inquiry: Inquiry, inner: Walks, query: EncodedQuery, matching: FindMatching) -> list[Clause]:
    clauses = visible_rows_of(inner.table, inner.root, inner.permissions)
    clause = matching(inquiry.within(inner), query)
    return clauses if clause is None else [*clauses, clause]


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
