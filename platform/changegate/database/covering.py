"""Pages that SQLite reads from one index, without the rows."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Table
from sqlalchemy.sql import visitors

from changegate.database.dialects import is_postgres
from changegate.database.skipping import condition_of, flattened
from changegate.database.unit_of_work import connection
from changegate.database.windows import matched_after

Clauses = Sequence[ColumnElement[Any]]


def read_in_index(source: FromClause, conditions: Clauses, orders: Clauses) -> Clauses:
    """Return conditions in a form for which SQLite scans a partial index that contains all columns of a sorted page.

    For all open changes, it would otherwise search the index that begins with `active`, by that and the class, and read
    each row to sort it by a field such as the number. With further conditions, an index of theirs may be faster.
    """
    flat = [*flattened(conditions)]
    if not isinstance(source, Table) or is_postgres(connection()) or len(flat) != 2:
        return conditions
    parts = chain.from_iterable(map(visitors.iterate, [*flat, *orders]))
    read = {part for part in parts if isinstance(part, Column)}
    partial = ((clause, index) for index in source.indexes for clause in condition_of(index))
    found = [
        (each, [*index.columns])
        for clause, index in partial
        for each in flat
        if read <= {*index.columns} and clause.compare(each)
    ]
    if not found or any(each.left is columns[0] for each, columns in found):
        return conditions
    first = found[0][0]
    return [matched_after(first, *(each for each in flat if each is not first))]
