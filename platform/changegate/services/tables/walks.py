"""Dot-walks: fields of other records, reached through references by outer joins."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_

from changegate.errors import RequestUnreadable
from changegate.models.base import Entry
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table, find_table
from changegate.services.tables.visibility import fields_beside, may_read, parameters_of, visible_rows_of

MAX_STEPS = 5
# SQLite joins 64 tables at most; nobody needs half of that.
MAX_JOINS = 50


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a caller may read, wherever its walk ends; `path` is in lower case.

    `links` say that the walk's references lead to records: true of every row where the field has a value.
    """

    path: str
    column: ColumnElement[Any]
    entry: Entry
    table: Table
    links: tuple[ColumnElement[bool], ...] = ()

    @property
    def is_walked(self) -> bool:
        """Tell whether the field is another record's, so that it may be NULL for want of a record."""
        return "." in self.path


class Walks:
    """The outer joins that the dot-walked fields of one statement need; each step is joined once.

    A row that the caller may not see is not joined, so that its fields are NULL. Plain names cost no join.
    `source` may be given as an alias of the table, for a statement within a statement.
    """

    def __init__(self, table: Table, caller: Caller, root: FromClause | None = None) -> None:
        self.table = table
        self.caller = caller
        self.root: FromClause = table.source if root is None else root
        self.source: FromClause = self.root
        self._reached: dict[tuple[str, ...], FromClause] = {(): self.root}
        self._fields: dict[str, Field | None] = {}

    @property
    def steps(self) -> tuple[tuple[str, ...], ...]:
        """Return the references walked through so far, in order: with the table, what tells sources apart."""
        return tuple(self._reached)

    @property
    def parameters(self) -> dict[str, str | None]:
        """Return the parameters of the joins, to be passed when the statement runs."""
        return parameters_of(self.caller)

    def find(self, path: str) -> Field | None:
        """Return a field, joining what its walk needs; None when there is none that the caller may read.

        Raises `RequestUnreadable` when a statement would join more tables than a database takes.
        """
        path = path.lower()
        if path not in self._fields:
            self._fields[path] = self._find(path)
        return self._fields[path]

    def _find(self, path: str) -> Field | None:
        *steps, name = path.split(".")
        tables = self._tables_on(steps)
        if tables is None or name not in self._readable(tables[-1]):
            return None
        for at, target in enumerate(tables[1:], start=1):
            self._join(tuple(steps[:at]), target)
        links = tuple(self._link(tuple(steps[:at])) for at in range(1, len(tables)))
        column = self._reached[tuple(steps)].c[name]
        return Field(path, column, tables[-1].entries[name], tables[-1], links)

    def _readable(self, table: Table) -> tuple[str, ...]:
        # Under another name, the table is not the one that the caller called.
        is_called = table is self.table and self.root is table.source
        return table.fields_for(self.caller) if is_called else fields_beside(table, self.caller)

    def _tables_on(self, steps: list[str]) -> list[Table] | None:
        """Return the table that each step starts from and the last one ends at; None when one cannot be taken."""
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
        return target if target is not None and may_read(target, self.caller) else None

    def _join(self, steps: tuple[str, ...], target: Table) -> None:
        if steps in self._reached:
            return
        if len(self._reached) > MAX_JOINS:
            raise RequestUnreadable(f"The fields reach through more than {MAX_JOINS} references")
        # By a name of its own, since a clause on one walk must not be remembered as the same clause on another.
        joined = self._reached[steps] = alias_of(target.source, f"walk_{len(self._reached)}")
        rules = visible_rows_of(target, joined, self.caller)
        self.source = self.source.outerjoin(joined, and_(self._link(steps), *rules))

    def _link(self, steps: tuple[str, ...]) -> ColumnElement[bool]:
        link: ColumnElement[bool] = self._reached[steps].c["sys_id"] == self._reached[steps[:-1]].c[steps[-1]]
        return link


@lru_cache(maxsize=1024)
def alias_of(source: FromClause, name: str) -> FromClause:
    """Return a table by another name; kept, since its columns cost more than the rest of a statement."""
    return source.alias(name)
