"""From conditions to SQL clauses; values travel as parameters only."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, String, and_, func, or_
from sqlalchemy.sql.elements import UnaryExpression

from changegate.errors import RequestUnreadable
from changegate.services.tables.encoded_query import AllOf, Condition, EncodedQuery, Order
from changegate.services.tables.registry import Table
from changegate.services.tables.values import parse_value

Clause = ColumnElement[bool]


def where_clause(table: Table, fields: Iterable[str], query: EncodedQuery) -> Clause | None:
    """Return the clause for a query over the fields a caller may read; None when nothing of it restricts.

    A condition on an unknown field, or with a value the field cannot hold, is dropped (rest_api.md §1.7).
    """
    readable = frozenset(fields)
    groups = [_group_clause(table, readable, group) for group in query.alternatives]
    restricting = [clause for clause in groups if clause is not None]
    return or_(*restricting) if restricting else None


def order_clauses(table: Table, fields: Iterable[str], orders: Iterable[Order]) -> list[UnaryExpression[Any]]:
    """Return the sort order; created-on and sys_id make any order total, so that pages neither overlap nor gap."""
    readable = frozenset(fields)
    chosen = [
        table.columns[order.field].desc() if order.is_descending else table.columns[order.field].asc()
        for order in orders
        if order.field in readable
    ]
    if not chosen:
        chosen.append(table.columns["sys_created_on"].asc())
    return [*chosen, table.columns["sys_id"].asc()]


def _group_clause(table: Table, readable: frozenset[str], group: AllOf) -> Clause | None:
    chains = []
    for chain in group:
        clauses = [
            clause for condition in chain if (clause := _clause(table, readable, condition)) is not None
        ]
        if clauses:
            chains.append(or_(*clauses))
    return and_(*chains) if chains else None


def _clause(table: Table, readable: frozenset[str], condition: Condition) -> Clause | None:
    if condition.field not in readable:
        return None
    try:
        return OPERATORS[condition.operator](table, condition)
    except RequestUnreadable:
        return None


def _parsed(table: Table, condition: Condition, text: str) -> Any:
    return parse_value(condition.field, table.entries[condition.field], text)


def _folded(column: ColumnElement[Any], value: Any) -> tuple[ColumnElement[Any], Any]:
    """Text compares without case (rest_api.md §2.4); sys_ids are looked up as they are, so that indexes serve."""
    if isinstance(value, str) and isinstance(column.type, String) and column.key not in {"sys_id", "number"}:
        return func.lower(column), value.lower()
    return column, value


def _equal(table: Table, condition: Condition) -> Clause:
    value = _parsed(table, condition, condition.value)
    column = table.columns[condition.field]
    if value is None:
        return _is_empty(table, condition)
    left, right = _folded(column, value)
    return left == right


def _not_equal(table: Table, condition: Condition) -> Clause:
    if table.entries[condition.field].kind == "boolean":
        return or_(table.columns[condition.field].is_(None), ~_equal(table, condition))
    return ~_equal(table, condition)


def _in(table: Table, condition: Condition) -> Clause:
    values = [_parsed(table, condition, item) for item in condition.value.split(",")]
    pairs = [_folded(table.columns[condition.field], value) for value in values if value is not None]
    return pairs[0][0].in_([value for _, value in pairs]) if pairs else _is_empty(table, condition)


def _compared(operator: str) -> Callable[[Table, Condition], Clause]:
    def clause(table: Table, condition: Condition) -> Clause:
        compared: Clause = table.columns[condition.field].op(operator, is_comparison=True)(
            _parsed(table, condition, condition.value)
        )
        return compared

    return clause


def _is_empty(table: Table, condition: Condition) -> Clause:
    column = table.columns[condition.field]
    if isinstance(column.type, String):
        return or_(column.is_(None), column == "")
    return column.is_(None)


def _contains(table: Table, condition: Condition) -> Clause:
    return table.columns[condition.field].icontains(condition.value, autoescape=True)


def _starts_with(table: Table, condition: Condition) -> Clause:
    return table.columns[condition.field].istartswith(condition.value, autoescape=True)


OPERATORS: Mapping[str, Callable[[Table, Condition], Clause]] = {
    "=": _equal,
    "!=": _not_equal,
    "<": _compared("<"),
    "<=": _compared("<="),
    ">": _compared(">"),
    ">=": _compared(">="),
    "IN": _in,
    "NOT IN": lambda table, condition: ~_in(table, condition),
    "LIKE": _contains,
    "NOT LIKE": lambda table, condition: ~_contains(table, condition),
    "STARTSWITH": _starts_with,
    "ISEMPTY": _is_empty,
    "ISNOTEMPTY": lambda table, condition: ~_is_empty(table, condition),
}
