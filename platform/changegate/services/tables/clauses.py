"""From conditions to SQL clauses; values travel as parameters only."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Column, ColumnElement, String, and_, func, or_
from sqlalchemy.sql.elements import UnaryExpression

from changegate.errors import RequestUnreadable
from changegate.services.tables.encoded_query import AllOf, Condition, EncodedQuery, Order
from changegate.services.tables.registry import Table
from changegate.services.tables.values import parse_fragment, parse_value

Clause = ColumnElement[bool]
# SQLite reads no expression that is deeper than 1000, and no statement with more than 32,766 values.
MAX_CONDITIONS = 500
MAX_LISTED_VALUES = 10_000


def where_clause(table: Table, fields: Iterable[str], query: EncodedQuery) -> Clause | None:
    """Return the clause for a query over the fields a caller may read; None when nothing of it restricts.

    A condition on an unknown field, or with a value the field cannot hold, is dropped (rest_api.md §1.7).
    Raises `RequestUnreadable` for a query that is more than a database takes.
    """
    readable = frozenset(fields)
    _require_measure(readable, query)
    groups = [_group_clause(table, readable, group) for group in query.alternatives]
    restricting = [clause for clause in groups if clause is not None]
    return or_(*restricting) if restricting else None


def order_clauses(table: Table, fields: Iterable[str], orders: Iterable[Order]) -> list[UnaryExpression[Any]]:
    """Return the sort order; created-on and sys_id make any order total, so that pages neither overlap nor gap."""
    readable = frozenset(fields)
    first: dict[str, Order] = {}
    for order in orders:
        if order.field in readable:
            first.setdefault(order.field, order)
    chosen = [_sorted(table.columns[name], order.is_descending) for name, order in first.items()]
    if not chosen:
        chosen.append(table.columns["sys_created_on"].asc())
    return [*chosen, table.columns["sys_id"].asc()]


def _sorted(column: Column[Any], is_descending: bool) -> UnaryExpression[Any]:
    """Sort the empty as the smallest: left to themselves, databases differ."""
    order = column.desc() if is_descending else column.asc()
    if not column.nullable:
        return order
    return order.nulls_last() if is_descending else order.nulls_first()


def _require_measure(readable: frozenset[str], query: EncodedQuery) -> None:
    chains = (chain for group in query.alternatives for chain in group)
    conditions = [condition for chain in chains for condition in chain if condition.field in readable]
    if len(conditions) > MAX_CONDITIONS:
        raise RequestUnreadable(f"The query has {len(conditions)} conditions; {MAX_CONDITIONS} are admitted")
    if sum(condition.value.count(",") for condition in conditions) > MAX_LISTED_VALUES:
        raise RequestUnreadable(f"The query lists more than {MAX_LISTED_VALUES} values")


def _group_clause(table: Table, readable: frozenset[str], group: AllOf) -> Clause | None:
    chains = []
    for chain in group:
        clauses = [clause for condition in chain if (clause := _clause(table, readable, condition)) is not None]
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
    """Text compares without case (rest_api.md §2.4), both sides folded by the database, whose rules differ.

    A sys_id is looked up as it is and a number in capitals, so that their indexes serve.
    """
    if not isinstance(value, str) or not isinstance(column.type, String) or column.key == "sys_id":
        return column, value
    if column.key == "number":
        return column, value.upper()
    return func.lower(column), func.lower(value)


def _equal(table: Table, condition: Condition) -> Clause:
    value = _parsed(table, condition, condition.value)
    column = table.columns[condition.field]
    if value is None:
        return _is_empty(table, condition)
    left, right = _folded(column, value)
    equal: Clause = left == right
    return equal


def _not_equal(table: Table, condition: Condition) -> Clause:
    differs = ~_equal(table, condition)
    if table.entries[condition.field].kind == "boolean" and condition.value:
        return or_(table.columns[condition.field].is_(None), differs)
    return differs


def _in(table: Table, condition: Condition) -> Clause:
    values = dict.fromkeys(_parsed(table, condition, item) for item in condition.value.split(","))
    pairs = [_folded(table.columns[condition.field], value) for value in values if value is not None]
    return pairs[0][0].in_([value for _, value in pairs]) if pairs else _is_empty(table, condition)


def _compared(operator: str) -> Callable[[Table, Condition], Clause]:
    def clause(table: Table, condition: Condition) -> Clause:
        value = _required(_parsed(table, condition, condition.value))
        compared: Clause = table.columns[condition.field].op(operator, is_comparison=True)(value)
        return compared

    return clause


def _is_empty(table: Table, condition: Condition) -> Clause:
    column = table.columns[condition.field]
    if isinstance(column.type, String):
        return or_(column.is_(None), column == "")
    return column.is_(None)


def _contains(table: Table, condition: Condition) -> Clause:
    return _text_column(table, condition).icontains(_fragment(table, condition), autoescape=True)


def _starts_with(table: Table, condition: Condition) -> Clause:
    return _text_column(table, condition).istartswith(_fragment(table, condition), autoescape=True)


def _text_column(table: Table, condition: Condition) -> ColumnElement[Any]:
    column = table.columns[condition.field]
    if not isinstance(column.type, String):
        raise RequestUnreadable(f"Field {condition.field} is no text")
    return column


def _fragment(table: Table, condition: Condition) -> str:
    return str(_required(parse_fragment(condition.field, table.entries[condition.field], condition.value)))


def _required(value: Any) -> Any:
    if value is None:
        raise RequestUnreadable("A value is expected")
    return value


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
