"""Counts of records by the ranges of an index.

SQLite would compare the conditions and the grouping columns in each entry of an index. Here it skips from one
combination of leading values to the next (SELECT DISTINCT), compares the conditions once for each, and only counts the
entries:

    index (type, risk, active, sys_class_name, …)
    active = true       normal, 3, true, change_request     normal, 3, false, change_request
    GROUP BY type       └──────────── count ───────────┘    └─────────── skipped ──────────┘

This needs the statistics that `dialects.analyze` collects; without them, SQLite reads the index twice.

PostgreSQL has an index for counts (`models.base.index_of_counts`). If the grouping columns are in the middle of the
index, or in another order, PostgreSQL would compute a hash for each entry. Here it groups by all columns up to the last
grouping column, which only compares each entry with the one before, and then adds up the counts. If the index begins
with a flag that no condition compares, both of its values are asked for: the further columns then find the entries.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice, takewhile
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Index,
    SelectBase,
    Subquery,
    Table,
    TextClause,
    false,
    func,
    select,
    true,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ColumnClause
from sqlalchemy.sql.util import ClauseAdapter

from changegate.database.dialects import is_postgres
from changegate.database.unit_of_work import connection

MATCHES = "matches"
# In the `info` of the indexes for counts, and of all those that only PostgreSQL has.
FOR_COUNTS, NOT_ON_SQLITE = "for_counts", "not_on_sqlite"
Clauses = Sequence[ColumnElement[Any]]
# Conditions with more parts are not compared twice. Copied, they would also lose their nesting, and exceed a limit of
# SQLite.
MOST_COMPARED_PARTS = 500
# Operators of conditions whose matches are adjacent in an index.
_FINDING = (operators.eq, operators.in_op, operators.is_)


def count_ranges(table: Table, conditions: Clauses, groups: Clauses = ()) -> Subquery | None:
    """Return a subquery with `groups` and the number of records that match, `MATCHES`, for each range of an index.

    A group may have several ranges. Returns None if no index is suitable, if one finds the records and no others, or if
    the conditions are long.
    """
    clauses = [*flattened(conditions)]
    read = _columns_of(clauses)
    if is_postgres(connection()):
        return None if read is None else _count_in_index(table, clauses, read, groups)
    by_column = {clause.left: clause for clause in clauses if _is_finding(clause)}
    indexes = [index for index in table.indexes if NOT_ON_SQLITE not in index.info]
    if read is None or (not groups and by_column.keys() == read and any(_is_beginning(read, of) for of in indexes)):
        return None
    named = read | {*groups}
    suitable = (_leading_columns(index, named, by_column, groups) for index in indexes)
    beginning: Any = min(filter(None, suitable), key=len, default=None)
    if beginning is None:
        return None
    leading = _leading(beginning, by_column)
    # As a materialized CTE: SQLite would move conditions into a subquery, where it cannot skip entries.
    ranges = select(*beginning).where(*leading).distinct().cte("ranges").prefix_with("MATERIALIZED")
    counted = _alias_of(table)
    within = (counted.c[column.name].op("IS")(ranges.c[column.name]) for column in beginning)
    # The condition of a partial index is one of those at its beginning.
    of_index = (ClauseAdapter(counted).traverse(clause) for clause in leading)
    matches = select(func.count()).select_from(counted).where(*of_index, *within).scalar_subquery().label(MATCHES)
    shown = (ranges.c[column.name] for column in groups)
    matching = (ClauseAdapter(ranges).traverse(clause) for clause in clauses)
    return select(*shown, matches).where(*matching).subquery("counted_ranges")


def _count_in_index(table: Table, clauses: Clauses, read: set[Any], groups: Clauses) -> Subquery | None:
    of_counts = ([*index.columns] for index in table.indexes if FOR_COUNTS in index.info)
    suitable = (columns for columns in of_counts if read | {*groups} <= {*columns})
    columns: Any = min(suitable, key=len, default=None)
    if columns is None:
        return None
    first = columns[0]
    if not groups:
        if first in read or not isinstance(first.type, Boolean):
            return None
        both = first.in_((true(), false()))
        return select(func.count().label(MATCHES)).where(*clauses, both).subquery("counted_ranges")
    # A column with one value need not be compared.
    fixed = {clause.left for clause in clauses if _is_finding(clause) and clause.operator is operators.eq} - {*groups}
    sorted_by = [column for column in columns[: max(map(columns.index, groups)) + 1] if column not in fixed]
    entries = select(*sorted_by, func.count().label(MATCHES)).where(*clauses).group_by(*sorted_by).subquery()
    return select(*(entries.c[column.name] for column in groups), entries.c[MATCHES]).subquery("counted_ranges")


@lru_cache(maxsize=64)
def _alias_of(table: Table) -> FromClause:
    # Copying the columns takes longer than the rest of a statement.
    return table.alias("counted")


def flattened(conditions: Clauses) -> Iterator[Any]:
    """Yield conditions that must all be true, without the ANDs that join some of them."""
    for clause in conditions:
        if isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
            yield from flattened([*clause.clauses])
        else:
            yield clause


def _columns_of(clauses: Clauses) -> set[Any] | None:
    """Return the columns that clauses read, or None if they read other rows, or are long."""
    elements = [*islice(chain.from_iterable(map(visitors.iterate, clauses)), MOST_COMPARED_PARTS + 1)]
    if len(elements) > MOST_COMPARED_PARTS or any(isinstance(element, SelectBase | TextClause) for element in elements):
        return None
    return {element for element in elements if isinstance(element, ColumnClause)}


def _is_finding(clause: Any) -> bool:
    is_comparison = isinstance(clause, BinaryExpression) and clause.operator in _FINDING
    return is_comparison and isinstance(clause.left, Column)


def _is_beginning(columns: set[Any], index: Index) -> bool:
    """Return whether the entries of an index begin with some columns, in any order."""
    is_within = (_columns_of(condition_of(index)) or set()) <= columns
    return is_within and {*[*index.expressions][: len(columns)]} == columns


def _leading_columns(
    index: Index, named: set[Any], by_column: Mapping[Any, Any], groups: Clauses
) -> Sequence[Any] | None:
    """Return the columns of an index up to the last one in `named`; None if the index is not suitable."""
    columns: list[Any] = [*index.expressions]
    if not named <= {*columns}:
        return None
    beginning = columns[: max(map(columns.index, named), default=-1) + 1]
    leading = _leading(beginning, by_column)
    is_partial = any(not any(where.compare(clause) for clause in leading) for where in condition_of(index))
    # Ranges that end with a column of many values, such as a person, have few entries: finding one takes longer than
    # reading it.
    may_have_many = {*groups} - {*beginning[-1:]} | by_column.keys()
    others = [column for column in beginning if column not in may_have_many]
    return beginning if not is_partial and all(map(_has_few_values, others)) else None


def _leading(columns: Sequence[Any], by_column: Mapping[Any, Any]) -> Sequence[Any]:
    """Return the conditions on the first of these columns, by which SQLite seeks in the index."""
    return [by_column[column] for column in takewhile(by_column.__contains__, columns)]


def condition_of(index: Index) -> Clauses:
    """Return the condition of an index that is partial on SQLite, or nothing."""
    where = index.dialect_options["sqlite"]["where"]
    return [] if where is None else [where]


def _has_few_values(column: Any) -> bool:
    entry = getattr(column, "info", {}).get("entry")
    return isinstance(column.type, Boolean) or bool(entry is not None and entry.choices)
