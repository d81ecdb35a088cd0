"""Pieces of text in stored values, without case, in time that grows with the length of the value alone."""

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, func

from changegate.database import connection


def contains(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return the clause for values that hold a text."""
    if _has_slow_like():
        return func.instr(func.lower(column), func.lower(text)) > 0
    return column.icontains(text, autoescape=True)


def starts_with(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return the clause for values that begin with a text."""
    if _has_slow_like():
        return func.substr(func.lower(column), 1, len(text)) == func.lower(text)
    return column.istartswith(text, autoescape=True)


def ends_with(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return the clause for values that end with a text."""
    if _has_slow_like():
        return func.substr(func.lower(column), -len(text)) == func.lower(text)
    return column.iendswith(text, autoescape=True)


def _has_slow_like() -> bool:
    """Tell whether the database is SQLite, whose LIKE tries a text at each place of a value, letter by letter.

    That is one instruction of its machine: nothing ends it, and for long texts it takes 80 times as long as `instr`.
    """
    return connection().dialect.name == "sqlite"
