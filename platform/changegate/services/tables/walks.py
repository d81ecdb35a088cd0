"""Dot-walks: fields of referenced records, reached by outer joins.

For the path assigned_to.manager.name, the statement joins sys_user twice:

    change_request ──assigned_to──> sys_user walk_1 ──manager──> sys_user walk_2: column name
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Subquery, and_

from changegate.database.skipping import count_ranges
from changegate.errors import RequestUnreadable
from changegate.models.base import Entry
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.visibility import fields_beside, may_read, restriction_of, visible_rows_of

MAX_STEPS = 5
# SQLite joins at most 64 tables.
MAX_JOINS = 50


# The sys_id of a joined table, and the reference to it.
KeyPair = tuple[ColumnElement[Any], ColumnElement[Any]]


class Scope(NamedTuple):
    """What a statement over a table reads: `root` is the table or its alias, and `source` has the joins as well.

    Equal scopes consist of the same objects, so a scope can be an argument of an `Expression`.
    """

    table: Table
    permissions: Permissions
    root: FromClause
    source: FromClause

    @property
    def has_own_rows(self) -> bool:
        """Return whether the caller may see only rows of their own."""
        return restriction_of(self.table, self.permissions).own_rows

    def visible_rows(self) -> list[ColumnElement[bool]]:
        """Return the clauses for the rows that the caller may see."""
        return visible_rows_of(self.table, self.root, self.permissions)

    def count_ranges(
        self, conditions: Sequence[ColumnElement[bool]], groups: Sequence[ColumnElement[Any]] = ()
    ) -> Subquery | None:
        """Return the counts of the records that match, by groups, if an index has them in ranges."""
        if self.source is not self.table.source or len(self.table.classes) != 1:
            return None
        return count_ranges(self.table.source, conditions, groups)


@dataclass(frozen=True, slots=True)
class RecordField:
    """A field that a caller may read, at the end of a dot-walk or of the table itself; `path` is in lower case.

    `links` are the pairs of columns that the joins on the way compare: a row for which they are equal has a referenced
    record.
    """

    path: str
    column: ColumnElement[Any]
    entry: Entry
    table: Table
    links: tuple[KeyPair, ...] = ()

    @property
    def is_walked(self) -> bool:
        """Return whether the field belongs to a referenced record, and is NULL if there is no such record."""
        return "." in self.path


class Walks:
    """The outer joins that the dot-walked fields of one statement need; each step is joined once.

    A row that the caller may not see is not joined, so its fields are NULL. Plain names need no join. In a subquery,
    `root` is an alias of the table.
    """

    def __init__(self, table: Table, permissions: Permissions, root: FromClause | None = None) -> None:
        self.table = table
        self.permissions = permissions
        self.root: FromClause = table.source if root is None else root
        self.source: FromClause = self.root
        # By the references walked from the root; the order of insertion is the order of the joins.
        self._reached: dict[tuple[str, ...], FromClause] = {(): self.root}
        self._fields: dict[str, RecordField | None] = {}

    @property
    def scope(self) -> Scope:
        """Return what the statement reads with the joins so far."""
        return Scope(self.table, self.permissions, self.root, self.source)

    def find(self, path: str) -> RecordField | None:
        """Return a field and join the tables on its path; None if there is no such field that the caller may read.

        Raises `RequestUnreadable` if the statement would join more than `MAX_JOINS` tables.
        """
        path = path.lower()
        if path not in self._fields:
            self._fields[path] = self._find(path)
        return self._fields[path]

    def _find(self, path: str) -> RecordField | None:
        *steps, name = path.split(".")
        tables = self._tables_on(steps)
        # The whole path is checked before the first join, so that an unreadable field leaves the source unchanged.
        if tables is None or name not in self._readable(tables[-1]):
            return None
        for at, target in enumerate(tables[1:], start=1):
            self._join(tuple(steps[:at]), target)
        links = tuple(self._link(tuple(steps[:at])) for at in range(1, len(tables)))
        column = self._reached[tuple(steps)].c[name]
        return RecordField(path, column, tables[-1].entries[name], tables[-1], links)

    def _readable(self, table: Table) -> tuple[str, ...]:
        # The request addresses the root table only. An alias of it, as in a subquery, counts as reached by reference.
        is_called = table is self.table and self.root is table.source
        return table.fields_for(self.permissions) if is_called else fields_beside(table, self.permissions)

    def _tables_on(self, steps: list[str]) -> list[Table] | None:
        """Return the tables along the steps, from the root to the last target; None if a step is not possible."""
        tables = [self.table]
        for step in steps:
            target = self._target(tables[-1], step)
            if target is None or len(steps) > MAX_STEPS:
                return None
            tables.append(target)
        return tables

    def _target(self, table: Table, name: str) -> Table | None:
        entry = table.entries[name] if name in self._readable(table) else None
        if entry is None or entry.kind != "reference" or not entry.reference:
            return None
        target = find_table(entry.reference)
        return target if target is not None and may_read(target, self.permissions) else None

    def _join(self, steps: tuple[str, ...], target: Table) -> None:
        if steps in self._reached:
            return
        if len(self._reached) > MAX_JOINS:
            raise RequestUnreadable(f"The fields reach through more than {MAX_JOINS} references")
        # Each step has its own name, so that no step can be taken for another in a statement.
        name = f"walk_{len(self._reached)}"
        reference = self._reached[steps[:-1]].c[steps[-1]]
        self._reached[steps], self.source = _joined(self.source, reference, target, name, self.permissions)

    def _link(self, steps: tuple[str, ...]) -> KeyPair:
        return self._reached[steps].c["sys_id"], self._reached[steps[:-1]].c[steps[-1]]


@lru_cache(maxsize=1024)
def alias_of(source: FromClause, name: str) -> FromClause:
    """Return an alias of a table. It is cached, because copying the columns costs more than the rest of a statement."""
    return source.alias(name)


@lru_cache(maxsize=1024)
def _joined(
    source: FromClause, reference: ColumnElement[Any], target: Table, name: str, permissions: Permissions
) -> tuple[FromClause, FromClause]:
    """Return the alias of the target, and the source with it. They are cached, so equal joins are the same objects."""
    joined = alias_of(target.source, name)
    # In the ON clause, never in WHERE: a record that refers to a hidden one must stay, with empty fields.
    rules = visible_rows_of(target, joined, permissions)
    return joined, source.outerjoin(joined, and_(joined.c["sys_id"] == reference, *rules))
