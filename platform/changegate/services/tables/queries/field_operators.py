"""Operators that compare a field with another field, which may be a dot-walk."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_

from changegate.database.expressions import Expression, Value
from changegate.services.tables.queries.comparison import Clause, Comparison, compare, lowered
from changegate.services.tables.queries.date_parts import UNITS, seconds_since_1970, unit_number
from changegate.services.tables.queries.dates import TermInvalid

SIGNS: Mapping[str, str] = {
    "SAMEAS": "=",
    "NSAMEAS": "!=",
    "GT_FIELD": ">",
    "LT_FIELD": "<",
    "GT_OR_EQUALS_FIELD": ">=",
    "LT_OR_EQUALS_FIELD": "<=",
}
_DAY = 86_400
# The nominal length of a unit between two dates, in seconds.
_LENGTHS = {
    "minute": 60,
    "hour": 3600,
    "day": _DAY,
    "dayofweek": _DAY,
    "week": 7 * _DAY,
    "month": 30 * _DAY,
    "quarter": 91 * _DAY,
    "year": 365 * _DAY,
}


def compares_fields(sign: str) -> Callable[[Comparison], Clause]:
    """Return the operator whose text is another field, followed by `@` and a unit in which dates are compared.

    Rows in which either field has no value do not match.
    """

    def clause(comparison: Comparison) -> Clause:
        name, _, unit = comparison.text.partition("@")
        other = comparison.with_field(name)
        column = _comparable(comparison, unit)
        compared = Expression(compare, sign, column, _comparable(other, unit))
        if not unit and _family(comparison) != _family(other):
            raise TermInvalid(f"Fields {comparison.field.path} and {name[:100]} cannot be compared")
        return compared

    return clause


def is_more_apart(comparison: Comparison) -> Clause:
    """Return the clause of MORETHAN: a date is more than some units before or after another."""
    distance, limit = _distance(comparison)
    return Expression(operator.gt, distance, limit)


def is_less_apart(comparison: Comparison) -> Clause:
    """Return the clause of LESSTHAN: a date is before or after another, by less than some units."""
    distance, limit = _distance(comparison)
    return Expression(and_, Expression(operator.ge, distance, 0), Expression(operator.lt, distance, limit))


def _distance(comparison: Comparison) -> tuple[Expression, Value]:
    parts = comparison.text.split("@")
    if len(parts) != 4 or parts[1] not in _LENGTHS or parts[2] not in {"before", "after"} or not _is_count(parts[3]):
        raise TermInvalid("A field, a unit, before or after and a number are expected")
    other = comparison.with_field(parts[0])
    earlier, later = (comparison, other) if parts[2] == "before" else (other, comparison)
    seconds = Expression(operator.sub, _seconds(later), _seconds(earlier))
    return seconds, Value(int(parts[3]) * _LENGTHS[parts[1]])


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7


def _seconds(comparison: Comparison) -> Expression:
    return Expression(seconds_since_1970, comparison.require_date().field.column)


def _comparable(comparison: Comparison, unit: str) -> Expression | ColumnElement[Any]:
    if unit:
        if unit not in UNITS:
            raise TermInvalid(f"{unit[:100]} is not a unit")
        return Expression(unit_number, unit, comparison.require_date().field.column, comparison.inquiry.moment.zone)
    column = comparison.field.column
    return Expression(lowered, column) if comparison.is_text else column


def _family(comparison: Comparison) -> str:
    return "text" if comparison.is_text else comparison.field.entry.kind
