"""Translation of conditions to SQL clauses; values are passed as parameters only."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_
from sqlalchemy.sql.elements import Grouping, UnaryExpression

from changegate.database.expressions import Expression
from changegate.database.windows import matched_after
from changegate.errors import RequestUnreadable
from changegate.extensions import now, settings
from changegate.services.access.caller import Caller
from changegate.services.tables.queries.comparison import Clause, Comparison, Inquiry, display_path_of
from changegate.services.tables.queries.dates import PREFIX, TermInvalid, moment_of
from changegate.services.tables.queries.encoded_query import (
    TEXT_SEARCH,
    AllOf,
    Condition,
    EncodedQuery,
    Joined,
    Order,
    RelatedCount,
    Term,
    render_term,
)
from changegate.services.tables.queries.operators import clause_of
from changegate.services.tables.queries.overlaps import take_overlap
from changegate.services.tables.queries.query_measure import require_measure, size_of
from changegate.services.tables.queries.related_lists import joined_clause, related_clause
from changegate.services.tables.queries.words import words_clause
from changegate.services.tables.registry import Table
from changegate.services.tables.walks import RecordField, Walks

_NUMBER = re.compile("-?[0-9]{1,9}")

MAX_ORDERS = 50
# SQLite rejects expressions deeper than 1000, so long chains are translated to trees of this width.
MAX_WIDTH = 50
RELATED_FORMS = "write RLQUERYtable.field,>=1^…^ENDRLQUERY or JOINtable.field=other.field!condition"
Join = Callable[..., ColumnElement[bool]]


class _Nested(Grouping[bool]):
    """Parentheses that SQLAlchemy keeps; it would merge a subexpression with the operator of its parent."""

    inherit_cache = True
    operator = None


class _NothingFound(Exception):
    """A term is invalid, and the settings require that the query then matches nothing."""


def where_clause(walks: Walks, query: EncodedQuery, caller: Caller) -> Clause | None:
    """Return the clause for a query of a caller over the fields that they may read, or None if no condition remains.

    A condition on an unknown field, or with a value that is invalid for the field's type, is ignored. With the setting
    `invalid_query_returns_no_rows`, the query then matches nothing (docs/reference/table-api.md#unusual-input). Raises
    `RequestUnreadable` for a query that is too large for a database, and for an invalid condition on other records:
    ignoring such a condition would match every record.
    """
    require_measure(query)
    try:
        return _query_clause(Inquiry(walks, moment_of(caller, now().replace(microsecond=0))), query)
    except _NothingFound:
        return Expression(false)


def list_ignored(walks: Walks, query: EncodedQuery, caller: Caller) -> list[str]:
    """Return the items of a query that `where_clause` ignores, as they were written."""
    inquiry = Inquiry(walks, moment_of(caller, now().replace(microsecond=0)))
    ignored = (term for term in query.terms if isinstance(term, Condition) and not _is_understood(inquiry, term))
    return [*query.unreadable, *map(render_term, ignored)]


def _is_understood(inquiry: Inquiry, term: Condition) -> bool:
    try:
        return term.field == TEXT_SEARCH or bool(_comparison_clause(inquiry, term))
    except TermInvalid:
        return False


def order_clauses(walks: Walks, orders: Iterable[Order], *, backwards: bool = False) -> list[UnaryExpression[Any]]:
    """Return the sort order. It ends with sys_id and is therefore total: pages neither overlap nor miss records.

    With `backwards`, it is exactly reversed.

    Without valid fields, records are sorted by creation time. sys_id sorts in the same direction as the preceding
    field: records of one second with ordered sys_ids, such as journal entries, are then sorted newest first too.
    References sort by their display names. Raises `RequestUnreadable` for more than `MAX_ORDERS` fields.
    """
    fields = _sort_fields(walks, orders)
    sys_id = walks.root.c["sys_id"]
    chosen = [
        _sorted(field, is_descending != backwards) for field, is_descending in fields if field.column is not sys_id
    ]
    _, is_descending = fields[-1]
    return [*chosen, sys_id.desc() if is_descending != backwards else sys_id.asc()]


def find_sort_key(walks: Walks, orders: Iterable[Order]) -> tuple[RecordField, bool] | None:
    """Return the field that, with sys_id, decides the order, and whether it is descending.

    Returns None if several fields decide, or one that may be empty.
    """
    return None if len(_sort_fields(walks, orders)) > 1 else find_first_key(walks, orders)


def find_first_key(walks: Walks, orders: Iterable[Order]) -> tuple[RecordField, bool] | None:
    """Return the field that records are first sorted by, and whether it is descending.

    Returns None if it may be empty, or if further fields belong to referenced records.
    """
    [(field, is_descending), *others] = _sort_fields(walks, orders)
    is_key = not _can_be_null(field) and not any(other.is_walked for other, _ in others)
    return (field, is_descending) if is_key else None


def _sort_fields(walks: Walks, orders: Iterable[Order]) -> list[tuple[RecordField, bool]]:
    first: dict[str, tuple[RecordField, bool]] = {}
    for order in orders:
        if field := walks.find(_sorted_as(walks.table, order.field)):
            first.setdefault(field.path, (_shown(walks, field), order.is_descending))
    if len(first) > MAX_ORDERS:
        raise RequestUnreadable(f"The query sorts by {len(first)} fields; {MAX_ORDERS} are admitted")
    if not first and (created := walks.find(_sorted_as(walks.table, "sys_created_on"))):
        return [(created, False)]
    # No two records have the same sys_id, so fields after it decide nothing.
    names = [*first]
    return [*first.values()][: names.index("sys_id") + 1 if "sys_id" in first else None]


def _sorted_as(table: Table, path: str) -> str:
    return table.sorted_as.get(path.lower(), path)


def _shown(walks: Walks, field: RecordField) -> RecordField:
    path = display_path_of(field)
    return (walks.find(path) if path else None) or field


def _sorted(field: RecordField, is_descending: bool) -> UnaryExpression[Any]:
    """Sort NULL as the smallest value: the defaults of the databases differ."""
    order = field.column.desc() if is_descending else field.column.asc()
    if not _can_be_null(field):
        return order
    return order.nulls_last() if is_descending else order.nulls_first()


def _can_be_null(field: RecordField) -> bool:
    # For the computed columns of a view, it is not known whether they can be NULL.
    return field.is_walked or bool(getattr(field.table.source.c[field.path], "nullable", True))


def _query_clause(inquiry: Inquiry, query: EncodedQuery) -> Clause | None:
    if query.malformed:
        raise RequestUnreadable(f"{query.malformed[:100]!r} is not a condition on other records; {RELATED_FORMS}")
    if query.unreadable and settings().invalid_query_returns_no_rows:
        raise _NothingFound
    # Alternatives that consist of one OR chain are merged into one chain, in which equal fields become one IN list.
    terms = [term for group in query.alternatives if len(group) == 1 for term in group[0]]
    groups = (_group_clause(inquiry, group) for group in query.alternatives if len(group) > 1)
    return _joined(or_, [_chain_clause(inquiry, terms), *groups])


def _group_clause(inquiry: Inquiry, group: AllOf) -> Clause | None:
    terms = with_lists(inquiry, (chain[0] for chain in group if len(chain) == 1), "!=", "NOT IN")
    singles, overlap = take_overlap(inquiry, terms)
    chains = [chain for chain in group if len(chain) > 1]
    clauses = [_term_clause(inquiry, term) for term in singles] + [_chain_clause(inquiry, chain) for chain in chains]
    others = _joined(and_, clauses)
    if overlap is None or others is None:
        return others if overlap is None else overlap
    # Even if SQLite expects few rows for the others: a busy group has thousands of changes.
    return Expression(matched_after, overlap, others)


def _chain_clause(inquiry: Inquiry, chain: Sequence[Term]) -> Clause | None:
    return _joined(or_, [_term_clause(inquiry, term) for term in with_lists(inquiry, chain, "=", "IN")])


def _joined(join: Join, clauses: Iterable[Clause | None]) -> Clause | None:
    """Return the clauses joined as a shallow tree, or None if there are none."""
    level: Sequence[Clause] = [clause for clause in clauses if clause is not None]
    while len(level) > MAX_WIDTH:
        level = [Expression(_nested, join, *level[at : at + MAX_WIDTH]) for at in range(0, len(level), MAX_WIDTH)]
    return Expression(join, *level) if len(level) > 1 else next(iter(level), None)


def _nested(join: Join, *clauses: ColumnElement[bool]) -> ColumnElement[bool]:
    return _Nested(join(*clauses))


def _term_clause(inquiry: Inquiry, term: Term) -> Clause | None:
    inquiry.measure.add(size_of(term))
    try:
        if isinstance(term, RelatedCount):
            return related_clause(inquiry, term, _query_clause)
        if isinstance(term, Joined):
            return joined_clause(inquiry, term, _query_clause)
        if term.field == TEXT_SEARCH:
            return words_clause(inquiry, term.value)
        return _comparison_clause(inquiry, term)
    except TermInvalid:
        if settings().invalid_query_returns_no_rows:
            raise _NothingFound from None
        return None


def _comparison_clause(inquiry: Inquiry, term: Condition) -> Clause:
    return clause_of(term.operator, Comparison(inquiry.require_field(term.field), term.value, inquiry))


def with_lists(inquiry: Inquiry, terms: Iterable[Term], sign: str, list_operator: str) -> Iterator[Term]:
    """Yield the terms, with all terms of the same field and of `sign` merged into one list term.

    Only values that mean the same in a list are merged: none that could be refused or has a comma or outer blanks.
    The terms must be joined by OR for `=` and IN, and by AND for `!=` and NOT IN.
    """
    listed: dict[str, list[str]] = {}
    for term in terms:
        if isinstance(term, Condition) and term.operator == sign and _can_be_listed(inquiry, term):
            listed.setdefault(term.field, []).append(term.value)
        else:
            yield term
    for field, values in listed.items():
        yield Condition(field, list_operator if len(values) > 1 else sign, ",".join(values))


def _can_be_listed(inquiry: Inquiry, condition: Condition) -> bool:
    value = condition.value
    if not value or value != value.strip() or "," in value or value.startswith(PREFIX):
        return False
    field = inquiry.walks.find(condition.field)
    if field is None:
        return False
    return Comparison(field, value, inquiry).is_text or (field.entry.kind == "integer" and _is_number(value))


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
