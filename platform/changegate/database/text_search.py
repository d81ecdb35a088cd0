"""Case-insensitive text search in columns, in time linear in the length of the stored value."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    SQLColumnExpression,
    String,
    Table,
    and_,
    func,
    literal_column,
    or_,
)

from changegate.database import connection
from changegate.database.expressions import Expression, Value

ESCAPE = "/"
# Key in the `info` of an index for `starts_with`: the name of its column.
BEGINNINGS = "beginnings"


def contains(column: SQLColumnExpression[Any], text: str) -> Expression:
    """Return the clause for values that contain a text."""
    if _has_slow_like():
        return Expression(_has_within, column, Value(text, String))
    return Expression(_is_like, "icontains", column, Value(_escaped(text)))


def any_contains(columns: Sequence[SQLColumnExpression[Any]], text: str) -> Expression:
    """Return the clause for rows of which at least one of some columns contains a text."""
    if _has_slow_like():
        return Expression(_any_has_within, Value(text, String), *columns)
    return Expression(_any_is_like, Value(_escaped(text), String), *columns)


def starts_with(column: SQLColumnExpression[Any], text: str) -> Expression:
    """Return the clause for values that begin with a text."""
    if _has_slow_like():
        return Expression(_has_at_start, column, Value(text, String))
    return Expression(_is_like_at_start, column, Value(_escaped(text), String))


def has_index_of_beginnings(of: FromClause, name: str) -> bool:
    """Return whether a table has an index for `starts_with` in a column."""
    return isinstance(of, Table) and any(index.info.get(BEGINNINGS) == name for index in of.indexes)


def ends_with(column: SQLColumnExpression[Any], text: str) -> Expression:
    """Return the clause for values that end with a text."""
    if _has_slow_like():
        return Expression(_has_at_end, column, Value(text, String), Value(-len(text), Integer))
    return Expression(_is_like, "iendswith", column, Value(_escaped(text)))


def like_pattern(text: str) -> Value:
    """Return a text as a pattern of LIKE with `ESCAPE`, without the wildcards around it."""
    return Value(_escaped(text), String)


def _has_slow_like() -> bool:
    """Return whether the database is SQLite, whose LIKE compares the text at each position of a value.

    LIKE is a single instruction of SQLite's virtual machine, so a request that is out of time cannot interrupt it. For
    long texts, it takes 80 times as long as `instr`.
    """
    return connection().dialect.name == "sqlite"


def _escaped(text: str) -> str:
    for special in (ESCAPE, "%", "_"):
        text = text.replace(special, ESCAPE + special)
    return text


def _is_like(method: str, column: ColumnElement[str], pattern: Any) -> ColumnElement[bool]:
    clause: ColumnElement[bool] = getattr(column, method)(pattern, escape=ESCAPE)
    return clause


def _is_like_at_start(column: ColumnElement[str], pattern: Any) -> ColumnElement[bool]:
    # Not ILIKE, for which PostgreSQL cannot use an index of beginnings.
    return func.lower(column).startswith(func.lower(pattern), escape=ESCAPE)


def _any_is_like(pattern: Any, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(_is_like("icontains", column, pattern) for column in columns))


def _any_has_within(text: Any, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(_has_within(column, text) for column in columns))


def _has_within(column: ColumnElement[str], text: Any) -> ColumnElement[bool]:
    return func.instr(func.lower(column), func.lower(text)) > 0


def _has_at_start(column: ColumnElement[str], text: Any) -> ColumnElement[bool]:
    # A range in an index of the column in lower case. No text contains the byte FF.
    lowered, first = func.lower(column), func.lower(text)
    return and_(lowered >= first, lowered < first.concat(literal_column("CAST(X'FF' AS TEXT)", String)))


def _has_at_end(column: ColumnElement[str], text: Any, start: Any) -> ColumnElement[bool]:
    return func.substr(func.lower(column), start) == func.lower(text)
