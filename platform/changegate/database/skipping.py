"""Counts of the records of one class by the ranges of an index, for SQLite.

SQLite would compare the class, and what records are grouped by, in each entry of an index. Here it skips from one
beginning of an index to the next (SELECT DISTINCT), and only counts the entries of each:

    index (state, sys_class_name, …)      -5, change_request     1, change_task     3, change_request
                                          └─ count ─┘            └─ skipped ─┘      └─ count ─┘

It needs statistics, as `dialects.analyze` collects them; without, it reads the index twice.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Index, Subquery, Table, func, select

from changegate.database.dialects import is_postgres
from changegate.database.unit_of_work import connection

MATCHES = "matches"


def count_ranges(
    table: Table, class_field: str, class_name: str, groups: Sequence[ColumnElement[Any]] = ()
) -> Subquery | None:
    """Return a subquery with `groups` and the number of records of a class, `MATCHES`, for each range of an index.

    A group may have several ranges. Returns None if no index is suitable.
    """
    if is_postgres(connection()):
        return None
    of_class = table.c[class_field]
    found = (_leading_columns(index, of_class, groups) for index in table.indexes)
    beginning = min(filter(None, found), key=len, default=None)
    if beginning is None:
        return None
    ranges = select(*beginning).distinct().subquery("ranges")
    counted = table.alias("counted")
    within = (counted.c[column.name].op("IS")(ranges.c[column.name]) for column in beginning)
    matches = select(func.count()).select_from(counted).where(*within).scalar_subquery().label(MATCHES)
    shown = (ranges.c[beginning.index(column)] for column in groups)
    return select(*shown, matches).where(ranges.c[class_field] == class_name).subquery("counted_ranges")


def _leading_columns(index: Index, of_class: Column[Any], groups: Sequence[Any]) -> Sequence[Column[Any]] | None:
    """Return the columns of an index up to the class, if they are the groups and others that have few values."""
    columns: list[Any] = [*index.expressions]
    if index.dialect_options["sqlite"]["where"] is not None or of_class not in columns:
        return None
    beginning = columns[: columns.index(of_class)]
    others = [column for column in beginning if column not in groups]
    is_suitable = set(groups) <= set(beginning) and all(map(_has_few_values, others))
    return [*beginning, of_class] if is_suitable else None


def _has_few_values(column: Column[Any]) -> bool:
    entry = column.info.get("entry")
    return isinstance(column.type, Boolean) or bool(entry is not None and entry.choices)
