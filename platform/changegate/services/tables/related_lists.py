"""Conditions on how many records of another table refer to a row."""

from collections.abc import Callable

from sqlalchemy import func, select

from changegate.services.tables.catalog import find_table, lineage_of
from changegate.services.tables.comparison import Clause, Inquiry
from changegate.services.tables.dates import TermInvalid
from changegate.services.tables.encoded_query import EncodedQuery, RelatedCount
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import may_read, visible_rows_of
from changegate.services.tables.walks import Field, Walks

Matching = Callable[[Inquiry, EncodedQuery], Clause | None]


def related_clause(inquiry: Inquiry, related: RelatedCount, matching: Matching) -> Clause:
    """Return the clause that compares the number of related records that the caller may see.

    `matching` makes a clause of the query over them. Raises `TermInvalid` when the field named is none that
    refers to this table.
    """
    walks = inquiry.walks
    table = find_table(related.table)
    if table is None or not may_read(table, walks.caller):
        raise TermInvalid(f"Invalid table {related.table[:100]}")
    inner = Walks(table, walks.caller, table.source.alias())
    field = inner.find(related.field)
    if field is None or not _refers_to(field, walks.table):
        raise TermInvalid(f"{related.field[:100]} is no reference to {walks.table.name}")
    clauses = visible_rows_of(table, inner.root, walks.caller)
    if (found := matching(inquiry.within(inner), related.query)) is not None:
        clauses.append(found)
    counted = select(func.count()).select_from(inner.source).where(field.column == walks.root.c["sys_id"], *clauses)
    count = counted.correlate(walks.root).scalar_subquery()
    compared: Clause = count.op(related.operator, is_comparison=True)(related.count)
    return compared


def _refers_to(field: Field, table: Table) -> bool:
    """Tell whether a field refers to a table, one that it extends, or one that extends it."""
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    if target is None:
        return False
    return target in lineage_of(table) or table in lineage_of(target)
