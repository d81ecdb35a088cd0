"""An SQL aggregate that returns many rows as one value, on both databases."""

from typing import Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class JsonRows(GenericFunction[str]):
    """SQL aggregate: a JSON array that has an array of the arguments for each row; NULL without rows."""

    # Text, because PostgreSQL's driver would parse JSON at every run, even if the text is the key of a cache.
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
