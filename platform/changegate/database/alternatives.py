"""Alternatives of a condition that are found one after the other, each by its own index.

For an OR over several columns, both databases combine indexes, and then read every row that they find. Separate
statements read only the indexes, if these contain all columns that the statement needs:

    WHERE (a OR b OR c) AND d
        WHERE a AND d   UNION ALL   WHERE b AND NOT a AND d   UNION ALL   WHERE c AND NOT (b OR a) AND d

A condition such as "the caller's own records" has two forms: alternatives that find its rows, and a check of a row that
is found otherwise, such as by its sys_id. Neither can replace the other without reading many rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Select,
    SelectBase,
    Table,
    case,
    false,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import Grouping

from changegate.database.dialects import unestimated
from changegate.database.skipping import flattened

Columns = Sequence[ColumnElement[Any]]
Conditions = Sequence[ColumnElement[bool]]


class Alternatives(Grouping[bool]):
    """An OR of `clauses`, each of which an index finds.

    `check` is true for the same rows, but no index finds these. It is used in statements that find rows otherwise.
    """

    inherit_cache = True

    def __init__(self, *clauses: ColumnElement[bool], check: ColumnElement[bool] | None = None) -> None:
        super().__init__(or_(*clauses) if check is None else check)
        self.clauses, self.check = clauses, check

    def select_all(self, column: ColumnElement[Any]) -> CompoundSelect[Any]:
        """Return the statement for a column of the rows, in which a row occurs once for each clause that finds it."""
        return union_all(*(select(column).where(clause) for clause in self.clauses))


class Copied(Grouping[bool]):
    """A condition that is true for the rows in `copies`, which has some of their columns, and those that `rest` finds.

    No row is in both.
    """

    inherit_cache = True

    def __init__(self, clause: ColumnElement[bool], copies: Select[Any], rest: ColumnElement[bool]) -> None:
        super().__init__(clause)
        self.copies, self.rest = copies, rest

    def select_matches(self, columns: Columns, source: FromClause, others: Conditions) -> CompoundSelect[Any] | None:
        """Return the statement that reads columns of the rows for which this and all others are true.

        Returns None if these need columns that are not copied, or other tables.
        """
        copies = self.copies.selected_columns
        parts = [*chain.from_iterable(map(visitors.iterate, (*columns, *others)))]
        needed = {part.name for part in parts if isinstance(part, Column)}
        if not isinstance(source, Table) or needed - {*copies.keys()} or any(isinstance(p, SelectBase) for p in parts):
            return None

        def read_copy(element: Any, **_: Any) -> Any:
            return copies[element.name] if isinstance(element, Column) else None

        read, where = ([visitors.replacement_traverse(each, {}, read_copy) for each in of] for of in (columns, others))
        return union_all(self.copies.with_only_columns(*read).where(*where), select(*columns).where(self.rest, *others))


def select_matches(columns: Columns, source: FromClause, conditions: Conditions) -> Select[Any] | CompoundSelect[Any]:
    """Return the statement that reads columns of the rows for which all conditions are true, each row once."""
    flat = [*flattened(conditions)]
    for copied in flat:
        if isinstance(copied, Copied):
            others = [clause for clause in flat if clause is not copied]
            statement = copied.select_matches(columns, source, others)
            if statement is not None:
                return statement
    alternatives = [clause for clause in flat if isinstance(clause, Alternatives)]
    found = next((each for each in alternatives if each.check is not None), next(iter(alternatives), None))
    others = [clause for clause in flat if clause is not found]
    matches = select(*columns).select_from(source)
    if found is None or not (found.check is not None or _are_in_indexes(source, found.clauses, [*columns, *others])):
        return matches.where(*conditions)
    return union_all(
        *(
            matches.where(clause, *_found_by_none(found.clauses[:number]), *others)
            for number, clause in enumerate(found.clauses)
        )
    )


def checks_any(*clauses: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the OR of clauses that check rows, which other conditions find."""
    return unestimated(or_(*clauses))


def checked(conditions: Conditions) -> list[ColumnElement[bool]]:
    """Return conditions with the checks of alternatives that have one, by which no rows are found."""
    own = (each.check if isinstance(each, Alternatives) else None for each in conditions)
    return [each if check is None else check for each, check in zip(conditions, own, strict=True)]


def _found_by_none(alternatives: Conditions) -> Iterator[ColumnElement[bool]]:
    """Yield the clause for rows that none of some alternatives finds, if there are any.

    A CASE, which SQLite evaluates faster than IS NOT TRUE, and whose matches PostgreSQL does not estimate. The last one
    first: those who request a change mostly open it.
    """
    if alternatives:
        yield case((or_(*reversed(alternatives)), false()), else_=true())


def _are_in_indexes(source: FromClause, alternatives: Conditions, needed: Columns) -> bool:
    """Return whether the index of each alternative about one column contains all columns that are read beside it."""
    if not isinstance(source, Table):
        return False
    found = [columns for each in alternatives if len(columns := _columns_of(source, [each])) == 1]
    read = _columns_of(source, needed).union(*found)
    indexed = [[*index.expressions] for index in source.indexes]
    return all(any(columns[0] in first and read <= {*columns} for columns in indexed) for first in found)


def _columns_of(source: Table, elements: Iterable[ColumnElement[Any]]) -> set[Any]:
    """Return the columns of a table, not of its aliases, that are part of some elements."""
    parts = (part for element in elements for part in visitors.iterate(element))
    return {part for part in parts if isinstance(part, Column) and part.table is source}
