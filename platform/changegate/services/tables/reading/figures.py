"""Figures: aggregate functions of one field, as SQL and as text (docs/reference/other-apis.md#aggregate)."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Float, Integer, func, literal

from changegate.errors import RequestUnreadable
from changegate.services.tables.values import parse_value, renderer_of
from changegate.services.tables.walks import Walks

Column = ColumnElement[Any]
COUNT = "count"
FUNCTIONS: Mapping[str, Callable[[Column], Column]] = {
    "avg": func.avg,
    "min": func.min,
    "max": func.max,
    "sum": func.sum,
}
OF_NUMBERS = frozenset({"avg", "sum"})
COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one field; `key` is the field as the caller spelled it."""

    function: str
    key: str
    column: Column
    render: Callable[[Any], str]
    parse: Callable[[str], Any]


def find_figure(walks: Walks, function: str, key: str) -> Figure | None:
    """Return a figure, or None if the field does not exist, may not be read, or does not support the function."""
    field = walks.find(key)
    make = FUNCTIONS.get(function)
    if field is None or make is None or isinstance(field.column.type, Boolean):
        return None
    if function not in OF_NUMBERS:
        render = renderer_of(field.entry)
        return Figure(function, key, make(field.column), render, lambda text: parse_value(key, field.entry, text))
    if not isinstance(field.column.type, Integer):
        return None
    return Figure(function, key, make(field.column), _render_average if function == "avg" else _render_sum, _number)


def find_condition(walks: Walks, parts: Sequence[str]) -> ColumnElement[bool] | None:
    """Return the HAVING clause for (function, field, operator, value), or None if the parts are invalid."""
    if len(parts) != 4 or parts[2] not in COMPARISONS:
        return None
    function, key, sign, text = parts
    counted = Figure(COUNT, key, func.count(), str, _number)
    figure = counted if function.lower() == COUNT else find_figure(walks, function.lower(), key)
    try:
        value = figure.parse(text) if figure else None
    except RequestUnreadable:
        return None
    if figure is None or value is None:
        return None
    clause: ColumnElement[bool] = COMPARISONS[sign](figure.column, value)
    return clause


def _number(text: str) -> Column | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # As Float: a count may be compared with a fraction, which must not be rounded to the type of the count.
    return literal(number, Float) if math.isfinite(number) else None


def _render_average(value: Any) -> str:
    return "" if value is None else f"{value:.4f}"


def _render_sum(value: Any) -> str:
    return "" if value is None else str(int(value))
