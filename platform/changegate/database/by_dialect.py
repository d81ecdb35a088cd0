"""Clauses of equal meaning, of which each database is given the one that its planner serves by indexes."""

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import NullType


class ByDialect(GenericFunction[Any]):
    """The first clause on SQLite, the second on PostgreSQL."""

    # Not Boolean, which SQLAlchemy compares with 1 on SQLite, so that no index is used.
    type = NullType()
    inherit_cache = True

    def __init__(self, sqlite: ColumnElement[bool], postgresql: ColumnElement[bool]) -> None:
        super().__init__(sqlite, postgresql)


@compiles(ByDialect)
def _render_for_sqlite(element: ByDialect, compiler: SQLCompiler, **options: Any) -> str:
    sqlite, _ = element.clauses
    return f"({compiler.process(sqlite, **options)})"


@compiles(ByDialect, "postgresql")
def _render_for_postgresql(element: ByDialect, compiler: SQLCompiler, **options: Any) -> str:
    _, postgresql = element.clauses
    return f"({compiler.process(postgresql, **options)})"
