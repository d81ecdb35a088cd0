"""Equality and emptiness operators: values, choices by value or label, references by sys_id or name."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from changegate.models.base import SYS_ID_LENGTH
from changegate.services.tables.queries.comparison import Clause, Comparison, Unmatchable, folded
from changegate.services.tables.queries.dates import PREFIX, TermInvalid
from changegate.services.tables.queries.query_measure import SIZE_OF_NAMED_REFERENCE
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.visibility import may_read, visible_rows_of
from changegate.services.tables.walks import Walks, alias_of

_SYS_ID = re.compile("[A-Za-z0-9]{32}")


def equals(comparison: Comparison) -> Clause:
    """Return the clause of `=`; without a value, it matches empty fields."""
    value = comparison.value()
    return is_empty(comparison) if value is None else _is_any_there(comparison, [value])


def is_listed(comparison: Comparison) -> Clause:
    """Return the clause of IN; empty items and items that are invalid for the field's type are ignored."""
    values = _listed(comparison)
    present = dict.fromkeys(value for value in values if value is not None)
    if present:
        return _is_any_there(comparison, list(present))
    return is_empty(comparison) if values else false()


def is_empty(comparison: Comparison) -> Clause:
    """Return the clause for fields without a value; an empty string counts as none."""
    column = comparison.field.column
    return or_(column.is_(None), column == "") if comparison.is_text else column.is_(None)


def is_filled(comparison: Comparison) -> Clause:
    """Return the clause for fields with a value."""
    return ~is_empty(comparison)


def _listed(comparison: Comparison) -> list[Any]:
    """Return the values of a list. Raises `TermInvalid` if every item is invalid."""
    is_call = comparison.text.startswith(PREFIX)
    items = [comparison.text] if is_call else [item.strip() for item in comparison.text.split(",")]
    values, refused = [], 0
    for item in items:
        try:
            values.append(comparison.value(item))
        except Unmatchable:
            pass
        except TermInvalid:
            refused += 1
    if refused == len(items):
        raise TermInvalid("No item of the list can be read")
    return values


def _is_any_there(comparison: Comparison, values: Sequence[Any]) -> Clause:
    """Return the clause for any of the values. For a dot-walk, it repeats the join conditions.

    They are redundant, but SQLite's planner needs them: it then begins with the few records at the end of the walk, and
    not with every row of the table.
    """
    links = comparison.field.links
    return and_(_is_any(comparison, values), *links) if links else _is_any(comparison, values)


def _is_any(comparison: Comparison, values: Sequence[Any]) -> Clause:
    field = comparison.field
    if not comparison.is_text:
        return _is_in(field.column, values)
    # sys_ids are compared without `lower`, so that their index can be used: as given, and in the usual lower case.
    is_id = field.entry.max_length == SYS_ID_LENGTH
    sys_ids = [value for value in values if is_id and _SYS_ID.fullmatch(value)]
    others = [value for value in values if not (is_id and _SYS_ID.fullmatch(value))]
    clauses = [_is_in(field.column, list(dict.fromkeys((*sys_ids, *map(str.lower, sys_ids)))))] if sys_ids else []
    if others:
        clauses.append(_is_named(comparison, others))
    return or_(*clauses) if len(clauses) > 1 else clauses[0]


def _is_named(comparison: Comparison, names: Sequence[str]) -> Clause:
    field = comparison.field
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    if target is None or not may_read(target, comparison.inquiry.walks.permissions):
        return _is_text_in(field.column, names)
    comparison.inquiry.measure.add(SIZE_OF_NAMED_REFERENCE)
    return field.column.in_(_sys_ids_of(target, comparison.inquiry.walks, names))


def _sys_ids_of(target: Table, walks: Walks, names: Sequence[str]) -> Any:
    """Return the subquery for the sys_ids of records by user name, or else by display name."""
    source = alias_of(target.source, "meant")
    display = source.c[target.display_field]
    is_named = _is_text_in(display, names)
    if target.login_field is not None:
        other = alias_of(target.source, "other")
        user_name = func.lower(other.c[target.login_field])
        # A display name that is also a user name means only the user with that user name.
        is_taken = exists(select(other.c["sys_id"]).where(user_name == func.lower(display)).correlate(source))
        is_named = or_(_is_text_in(source.c[target.login_field], names), and_(is_named, ~is_taken))
    visible = visible_rows_of(target, source, walks.permissions)
    return select(source.c["sys_id"]).where(is_named, *visible).correlate(None)


def _is_text_in(column: ColumnElement[Any], texts: Sequence[str]) -> Clause:
    pairs = [folded(column, text) for text in texts]
    return _is_in(pairs[0][0], [value for _, value in pairs])


def _is_in(column: ColumnElement[Any], values: Sequence[Any]) -> Clause:
    if len(values) > 1:
        return column.in_(values)
    equal: Clause = column == values[0]
    return equal
