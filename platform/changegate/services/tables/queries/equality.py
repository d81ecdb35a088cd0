"""Equality and emptiness operators: values, choices by value or label, references by sys_id or name."""

import operator
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, and_, exists, false, func, or_, select

from changegate.database.expressions import Expression, Value
from changegate.models.base import SYS_ID_LENGTH, Entry
from changegate.services.access.permissions import Permissions
from changegate.services.tables.queries.comparison import Clause, Comparison, Unmatchable, folded, is_one_of
from changegate.services.tables.queries.dates import PREFIX, TermInvalid
from changegate.services.tables.queries.query_measure import SIZE_OF_NAMED_REFERENCE
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.visibility import may_read, visible_rows_of
from changegate.services.tables.walks import alias_of

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
    return is_empty(comparison) if values else Expression(false)


def is_empty(comparison: Comparison) -> Clause:
    """Return the clause for fields without a value; an empty string counts as none."""
    return Expression(_has_no_value, comparison.field.column)


def is_filled(comparison: Comparison) -> Clause:
    """Return the clause for fields with a value."""
    return Expression(_has_value, comparison.field.column)


def _has_no_value(column: ColumnElement[Any]) -> ColumnElement[bool]:
    is_null = column.is_(None)
    return or_(is_null, column == "") if can_be_blank(column) else is_null


def _has_value(column: ColumnElement[Any]) -> ColumnElement[bool]:
    # In the negation of `_has_no_value`, SQLite would not recognize the condition of a partial index.
    is_set = column.is_not(None)
    return and_(is_set, column != "") if can_be_blank(column) else is_set


def can_be_blank(column: ColumnElement[Any]) -> bool:
    """Return whether a stored value can be an empty string, which counts as none."""
    # No record has an empty sys_id, and no choice is empty. Without the comparison, the index of the column is used.
    entry = getattr(column, "info", {}).get("entry")  # Computed columns of a view have none.
    is_choice = entry is not None and entry.kind == "choice"
    return isinstance(column.type, String) and not column.foreign_keys and not is_choice


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
    links = [Expression(operator.eq, *link) for link in comparison.field.links]
    return Expression(and_, _is_any(comparison, values), *links) if links else _is_any(comparison, values)


def _is_any(comparison: Comparison, values: Sequence[Any]) -> Clause:
    field = comparison.field
    # Choices that a field ships with are stored as they are spelled in the model: without `lower`, an index is used.
    if not comparison.is_text or _are_shipped(field.entry, values):
        return _is_in(field.column, list(values))
    # sys_ids are compared without `lower`, so that their index can be used: as given, and in the usual lower case.
    is_id = field.entry.max_length == SYS_ID_LENGTH
    sys_ids = [value for value in values if is_id and _SYS_ID.fullmatch(value)]
    others = [value for value in values if not (is_id and _SYS_ID.fullmatch(value))]
    clauses = [_is_in(field.column, list(dict.fromkeys((*sys_ids, *map(str.lower, sys_ids)))))] if sys_ids else []
    if others:
        clauses.append(_is_named(comparison, others))
    return Expression(or_, *clauses) if len(clauses) > 1 else clauses[0]


def _are_shipped(entry: Entry, values: Sequence[Any]) -> bool:
    return entry.kind == "choice" and entry.choices is not None and all(value in entry.choices for value in values)


def _is_named(comparison: Comparison, names: Sequence[str]) -> Clause:
    field = comparison.field
    target = find_table(field.entry.reference or "") if field.entry.kind == "reference" else None
    if target is None or not may_read(target, comparison.inquiry.walks.permissions):
        return _is_text_in(field.column, names)
    comparison.inquiry.measure.add(SIZE_OF_NAMED_REFERENCE)
    source = alias_of(target.source, "meant")
    has_name = [_is_text_in(source.c[target.display_field], names)]
    if target.login_field is not None:
        has_name.append(_is_text_in(source.c[target.login_field], names))
    return Expression(_has_named_record, field.column, target, source, comparison.inquiry.walks.permissions, *has_name)


def _has_named_record(
    column: ColumnElement[Any],
    target: Table,
    source: FromClause,
    permissions: Permissions,
    has_display_name: ColumnElement[bool],
    has_user_name: ColumnElement[bool] | None = None,
) -> ColumnElement[bool]:
    """Return the clause for references to records that have the user name, or else the display name."""
    has_name = has_display_name
    if has_user_name is not None and target.login_field is not None:
        other = alias_of(target.source, "other")
        is_same = func.lower(other.c[target.login_field]) == func.lower(source.c[target.display_field])
        # A display name that is also a user name means only the user with that user name.
        is_taken = exists(select(other.c["sys_id"]).where(is_same).correlate(source))
        has_name = or_(has_user_name, and_(has_display_name, ~is_taken))
    visible = visible_rows_of(target, source, permissions)
    return column.in_(select(source.c["sys_id"]).where(has_name, *visible).correlate(None))


def _is_text_in(column: ColumnElement[Any], texts: Sequence[str]) -> Clause:
    pairs = [folded(column, text) for text in texts]
    values = [value for _, value in pairs]
    if all(isinstance(value, Value) for value in values):
        return _is_in(column, [value.value for value in values if isinstance(value, Value)])
    return Expression(is_one_of if len(values) > 1 else operator.eq, pairs[0][0], *values)


def _is_in(column: ColumnElement[Any], values: list[Any]) -> Clause:
    if len(values) > 1:
        return Expression(is_one_of, column, Value(values))
    # A boolean is part of the SQL, so that partial indexes can be used.
    return Expression(operator.eq, column, values[0] if isinstance(values[0], bool) else Value(values[0]))
