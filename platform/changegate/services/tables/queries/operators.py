"""The operators of encoded queries as SQL clauses (docs/reference/encoded-queries.md#operators)."""

import operator
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, true

from changegate.database.expressions import Expression, Value
from changegate.database.text_index import find_text_index
from changegate.database.text_search import contains, ends_with, has_index_of_beginnings, starts_with
from changegate.extensions import settings
from changegate.services.tables.queries.comparison import (
    Clause,
    Comparison,
    Unmatchable,
    between,
    compare,
    compare_times,
    folded,
    is_one_of,
)
from changegate.services.tables.queries.date_operators import (
    RELATIVE_SIGNS,
    compares_with_now,
    has_part,
    is_on_unit,
    is_within,
)
from changegate.services.tables.queries.dates import TermInvalid
from changegate.services.tables.queries.equality import equals, is_empty, is_filled, is_listed
from changegate.services.tables.queries.field_operators import SIGNS, compares_fields, is_less_apart, is_more_apart
from changegate.services.tables.registry import TABLES, find_table, lineage_of

Operator = Callable[[Comparison], Clause]
# The dynamic filters with these sys_ids are "me" and "one of my groups" on every ServiceNow instance; others differ.
ME = "90d1921e5f510100a9ad2572f2b477fe"
MY_GROUPS = "d6435e965f510100a9ad2572f2b47744"


def clause_of(name: str, comparison: Comparison) -> Clause:
    """Return the clause of one condition. Raises `TermInvalid` if it is invalid for the field."""
    try:
        return OPERATORS[name](comparison)
    except Unmatchable:
        return Expression(false)


def _is_not(positive: Operator) -> Operator:
    """Return the negation of an operator: it matches fields with a value, and booleans without one.

    With the setting `negation_includes_empty`, it matches fields of any type without a value; see
    docs/reference/encoded-queries.md#empty-values.
    """

    def clause(comparison: Comparison) -> Clause:
        is_wide = settings().negation_includes_empty
        try:
            if is_wide or comparison.field.entry.kind == "boolean":
                return Expression(_is_not_true, positive(comparison))
            return Expression(and_, is_filled(comparison), Expression(operator.inv, positive(comparison)))
        except Unmatchable:
            return Expression(true) if is_wide else is_filled(comparison)

    return clause


def _is_not_true(clause: ColumnElement[bool]) -> ColumnElement[bool]:
    # Without coalesce, the negation of NULL would be NULL, and the row would not match.
    return ~func.coalesce(clause, false())


def _compares(sign: str) -> Operator:
    def clause(comparison: Comparison) -> Clause:
        shown = comparison.of_display_value()
        value = shown.required_value()
        comparing = compare_times if isinstance(value, date) else compare
        return Expression(comparing, sign, *folded(shown.field.column, value))

    return clause


def _is_between(comparison: Comparison) -> Clause:
    shown = comparison.of_display_value()
    lowest, separator, highest = comparison.text.partition("@")
    if not separator:
        raise TermInvalid("Two values with an @ between them are expected")
    column, first = folded(shown.field.column, shown.required_value(lowest))
    _, last = folded(shown.field.column, shown.required_value(highest))
    return Expression(between, column, first, last)


def _finds(find: Callable[[ColumnElement[Any], str], Clause]) -> Operator:
    """Return the operator that searches for a text, in the display name if the field is a reference."""

    def clause(comparison: Comparison) -> Clause:
        shown = comparison.of_display_value()
        return find(shown.field.column, shown.fragment())

    return clause


def _finds_by_index(find: Callable[[ColumnElement[Any], str], Clause]) -> Operator:
    """Return the operator that searches for a text among the candidates of a trigram index, if there is one.

    The beginning of a text may have an index of its own.
    """
    plain = _finds(find)

    def clause(comparison: Comparison) -> Clause:
        walks, found = comparison.inquiry.walks, plain(comparison)
        shown = comparison.of_display_value()
        index = None if shown.field.is_walked else find_text_index(walks.table.source)
        is_indexed = index is not None and shown.field.path in index.names
        is_enough = find is starts_with and has_index_of_beginnings(walks.table.source, shown.field.path)
        if index is None or not is_indexed or is_enough or not comparison.inquiry.measure.take_lookup():
            return found
        containing = [shown.field.path] if find is contains else []
        return index.find_matches(walks.root, shown.fragment(), found, containing) or found

    return clause


contains_word = _finds(contains)


def _is_dynamic(comparison: Comparison) -> Clause:
    referred = find_table(comparison.field.entry.reference or "")
    if comparison.text == MY_GROUPS and referred is not None and referred.own_groups is not None:
        return Expression(referred.own_groups, comparison.field.column)
    if comparison.text != ME or referred is None or referred.login_field is None:
        raise TermInvalid("The filter is not known here")
    return Expression(operator.eq, comparison.field.column, Value(comparison.inquiry.moment.caller.sys_id))


def _is_instance_of(comparison: Comparison) -> Clause:
    """Return the clause for a class and all classes that extend it."""
    name = comparison.required_value()
    classes = [table.name for table in TABLES.values() if name in (each.name for each in lineage_of(table))]
    return Expression(is_one_of, comparison.field.column, Value(classes or [name]))


OPERATORS: Mapping[str, Operator] = {
    "=": equals,
    "!=": _is_not(equals),
    "<": _compares("<"),
    "<=": _compares("<="),
    ">": _compares(">"),
    ">=": _compares(">="),
    "BETWEEN": _is_between,
    "IN": is_listed,
    "NOT IN": _is_not(is_listed),
    "LIKE": _finds_by_index(contains),
    "NOT LIKE": _is_not(contains_word),
    "STARTSWITH": _finds_by_index(starts_with),
    "ENDSWITH": _finds_by_index(ends_with),
    "ISEMPTY": is_empty,
    "ISNOTEMPTY": is_filled,
    "ANYTHING": lambda _comparison: Expression(true),
    "DYNAMIC": _is_dynamic,
    "INSTANCEOF": _is_instance_of,
    "ON": is_within,
    "NOTON": _is_not(is_within),
    "RELATIVEEE": is_on_unit,
    "DATEPART": has_part,
    "MORETHAN": is_more_apart,
    "LESSTHAN": is_less_apart,
    **{name: compares_fields(sign) for name, sign in SIGNS.items()},
    **{name: compares_with_now(sign) for name, sign in RELATIVE_SIGNS.items()},
}
