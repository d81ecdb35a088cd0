"""Conditions that ask for windows which overlap a period: they begin before it ends, and end after it begins."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Integer, and_

from changegate.database.expressions import Expression, Value
from changegate.database.windows import WindowIndex, cells_of, find_windows
from changegate.services.tables.queries.comparison import (
    Clause,
    Comparison,
    Inquiry,
    Unmatchable,
    compare,
    is_one_of,
)
from changegate.services.tables.queries.dates import TermInvalid
from changegate.services.tables.queries.encoded_query import Condition, Term


def take_overlap(inquiry: Inquiry, terms: Iterable[Term]) -> tuple[Sequence[Term], Clause | None]:
    """Return terms, which are joined by AND, without those of an overlap, and the clause of the overlap.

    The clause uses an index of windows. It is None if there is no such index, no overlap, or an invalid time, or if
    another condition has a better index.
    """
    left = [*terms]
    windows = find_windows(inquiry.walks.root)
    if windows is None or any(_finds(term, windows) for term in left):
        return left, None
    before = _find(left, windows.start.name, "<")
    after = _find(left, windows.end.name, ">")
    clause = _overlap(inquiry, windows, before, after) if before and after else None
    return (left, None) if clause is None else ([term for term in left if term not in (before, after)], clause)


def _finds(term: Term, windows: WindowIndex) -> bool:
    return isinstance(term, Condition) and term.operator == "=" and term.field.lower() in windows.found_otherwise


def _find(terms: Iterable[Term], field: str, sign: str) -> Condition | None:
    signs = (sign, f"{sign}=")
    found = (term for term in terms if isinstance(term, Condition) and term.operator in signs)
    return next((term for term in found if term.field.lower() == field), None)


def _overlap(inquiry: Inquiry, windows: WindowIndex, before: Condition, after: Condition) -> Clause | None:
    try:
        first, last = (
            Comparison(inquiry.require_field(term.field), term.value, inquiry).required_value()
            for term in (after, before)
        )
    except (TermInvalid, Unmatchable):
        return None
    cells = cells_of(first, last)
    if not cells:
        return None
    # Without the hints of `compare_times`, by which SQLite would begin with the later ends.
    of_cells = Expression(is_one_of, windows.cell, Value(cells, Integer))
    starts = Expression(compare, before.operator, windows.start, Value(last))
    ends = Expression(compare, after.operator, windows.end, Value(first))
    return Expression(and_, of_cells, starts, ends)
