"""Windows of time, and an index by which SQLite finds those that overlap a period.

An index of starts or of ends also finds all windows that ended before a period, or that begin after it. So each window
has a cell: its length decides the size of the cell, and its start decides which cell of that size it is.

    cells of a day    |  ▬ |▬   |▬▬ ▬|▬   |    windows shorter than a day
    of eight days     |▬▬▬▬▬▬        |         windows shorter than eight days
    period                   └──┘              found in the cells of the period, and in the one before

The windows in these cells are then compared. PostgreSQL finds the overlaps by its own statistics.
"""

from collections.abc import Set
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Index, Integer, Table, and_, case, cast, func, literal_column
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import Grouping, UnaryExpression

from changegate.database.dialects import is_postgres
from changegate.database.unit_of_work import connection

_DAY = 86_400
# In seconds. Longer windows are all in one cell.
SIZES = (_DAY, 8 * _DAY, 64 * _DAY)
_KINDS = len(SIZES) + 1
# For each size. A longer period contains so many windows that an index of their ends is as fast.
MOST_CELLS = 16
_INFO = "windows"


class WindowIndex:
    """The columns of a table that contain the start and the end of a window, and the cell of the window.

    It declares the index of the cells, which also contains `others`.
    """

    def __init__(self, name: str, start: Column[Any], end: Column[Any], *others: Column[Any]) -> None:
        self.start, self.end = start, end
        begin = _seconds(start)
        length = _seconds(end).op("-")(begin)
        kinds = (
            (length < _number(size), begin.op("/")(_number(size)).op("*")(_number(_KINDS)).op("+")(_number(kind)))
            for kind, size in enumerate(SIZES)
        )
        self.cell: ColumnElement[int] = case(*kinds, else_=_number(_KINDS - 1))
        is_window = and_(start.is_not(None), end.is_not(None))
        Index(name, self.cell, start, end, *others, sqlite_where=is_window).ddl_if(dialect="sqlite")
        start.table.info[_INFO] = self

    @cached_property
    def found_otherwise(self) -> Set[str]:
        """Return the fields whose indexes also contain the ends of windows, such as the assignee."""
        columns = ([*index.columns] for index in self.end.table.indexes)
        return {first.name for first, *others in columns if self.end in others and first is not self.start}


def find_windows(of: FromClause) -> WindowIndex | None:
    """Return the windows of a table whose cells are indexed, or None."""
    return of.info.get(_INFO) if isinstance(of, Table) and not is_postgres(connection()) else None


def cells_of(first: datetime, last: datetime) -> list[int]:
    """Return the cells of all windows that may overlap a period, or an empty list if there are too many cells."""
    begin, end = (int(instant.timestamp()) for instant in (first, last))
    cells = [_KINDS - 1]
    for kind, size in enumerate(SIZES):
        # Both times of a window were rounded to seconds.
        earliest, latest = _cell(begin - size - 2, size), _cell(end, size)
        if latest - earliest > MOST_CELLS:
            return []
        cells += (number * _KINDS + kind for number in range(earliest, latest + 1))
    # Statements of one length are compiled once.
    return cells + cells[-1:] * (-len(cells) % 8)


def matched_after(first: ColumnElement[bool], others: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the clause for rows that match both; SQLite uses an index for `first` only."""
    by_no_index = UnaryExpression(Grouping(others), operator=operators.custom_op("+"), type_=Integer())
    return and_(first, by_no_index)


def _cell(seconds: int, size: int) -> int:
    # SQLite rounds towards zero.
    return int(seconds / size)


def _seconds(instant: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.strftime(literal_column("'%s'"), instant), Integer)


def _number(value: int) -> ColumnElement[int]:
    # An expression is found in an index only if it has no parameters.
    return literal_column(str(value), Integer)
