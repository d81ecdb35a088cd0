"""Conditions on sys_ids that are listed beforehand."""

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, FromClause, String, UnaryExpression, func, literal_column, select
from sqlalchemy.sql.operators import custom_op

from changegate.database.dialects import is_postgres
from changegate.database.expressions import Expression, Value
from changegate.database.unit_of_work import connection


def is_among(column: ColumnElement[Any], sys_ids: Sequence[str]) -> Expression:
    """Return the clause for a column that has one of many sys_ids, which are one parameter."""
    if is_postgres(connection()):
        return Expression(_is_in_list, column, Value(",".join(sys_ids), String))
    return Expression(_is_in_json, column, Value(orjson.dumps([*sys_ids]).decode(), String))


def is_listed(root: FromClause, others: FromClause, *conditions: Expression) -> Expression:
    """Return the clause for rows of `root` that are among those of `others`, an alias, for which conditions are true.

    The database lists the latter first, and then only compares sys_ids.
    """
    sys_id = root.c["sys_id"] if is_postgres(connection()) else Expression(_unindexed, root.c["sys_id"])
    return Expression(_is_in_list_of, sys_id, others, *conditions)


def _is_in_list(column: ColumnElement[Any], sys_ids: ColumnElement[str]) -> ColumnElement[bool]:
    return column == func.any(func.string_to_array(sys_ids, literal_column("','")))


def _is_in_json(column: ColumnElement[Any], sys_ids: ColumnElement[str]) -> ColumnElement[bool]:
    return column.in_(select(func.json_each(sys_ids).table_valued("value").c.value))


def _is_in_list_of(
    sys_id: ColumnElement[Any], others: FromClause, *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    listed = select(others.c["sys_id"]).where(*conditions).cte().prefix_with("MATERIALIZED")
    return sys_id.in_(select(listed.c["sys_id"]))


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # SQLite uses no index for an operand with a unary plus: another word finds the rows.
    return UnaryExpression(column, operator=custom_op("+"), type_=String())
