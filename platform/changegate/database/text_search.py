"""Case-insensitive text search in columns, in time linear in the length of the stored value."""

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, func

from changegate.database import connection


def contains(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return the clause for values that contain a text."""
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
    """Return whether the database is SQLite, whose LIKE compares the text at each position of a value.

    LIKE is a single instruction of SQLite's virtual machine, so a request that is out of time cannot interrupt it. For
    long texts, it takes 80 times as long as `instr`.
    """
    return connection().dialect.name == "sqlite"
