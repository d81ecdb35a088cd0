"""JSON that is selected as text, on both databases: a column, or many rows as one value.

The text can be compared or be the key of a cache before it is parsed.
"""

from typing import Any

import orjson
from sqlalchemy import JSON, Column, ColumnElement, Dialect, Text, TypeDecorator, cast
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class JsonRows(GenericFunction[str]):
    """SQL aggregate: a JSON array that has an array of the arguments for each row; NULL without rows."""

    # Text, because PostgreSQL's driver would parse JSON at every run.
    type = Text()
    inherit_cache = True


@compiles(JsonRows)
def _by_sqlite(element: JsonRows, compiler: Any, **options: Any) -> str:
    # json_group_array returns an empty array without rows.
    rows = f"json_group_array(json_array({compiler.process(element.clauses, **options)}))"
    return f"CASE WHEN count(*) > 0 THEN {rows} END"


@compiles(JsonRows, "postgresql")
def _by_postgres(element: JsonRows, compiler: Any, **options: Any) -> str:
    return f"CAST(json_agg(json_build_array({compiler.process(element.clauses, **options)})) AS TEXT)"


class _StoredJSON(TypeDecorator[Any]):
    """JSON that is selected as text, so that `Remembered` can compare rows before they are parsed."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else orjson.loads(value)


def as_stored(column: Column[Any]) -> ColumnElement[Any]:
    """Return a column as an expression of its name, which the driver returns as text if the column is JSON."""
    return cast(column, _StoredJSON).label(column.name) if isinstance(column.type, JSON) else column
