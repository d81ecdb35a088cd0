"""Selections: which columns the records of an answer are made of, and which member each of them becomes."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from changegate.database.compiled import CompiledSelects, Row
from changegate.database.prepared import parameter
from changegate.errors import RequestUnreadable
from changegate.models.base import Entry
from changegate.services.access.caller import Caller
from changegate.services.tables.display.shapes import Fields, Shape
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import visible_rows_of
from changegate.services.tables.walks import Field, Walks

# SQLite answers 2000 columns at most, PostgreSQL 1664.
MAX_COLUMNS = 1000
# Lists of names that are longer than this, in characters, are not worth remembering.
LONGEST_REMEMBERED = 4000
# A dot-walk, written as field names are; XML answers take the whole as the name of an element.
_WALK = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
# The kinds of field that come with a link to the record they name.
LINKED = frozenset({"reference", "domain_id"})


def id_name(at: int) -> str:
    """Return the name of the parameter for one of the sys_ids that are wanted."""
    return f"id_{at}"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a rendered record: its key as the caller spelled it, and the field that it shows."""

    key: str
    path: str
    entry: Entry
    table: Table

    @property
    def element(self) -> str:
        """Return the name of the field within its table."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Journal:
    """A member that shows entries kept apart: those of `fields`.

    `path` is the field with the sys_id of the record that they belong to.
    """

    key: str
    path: str
    element: str
    table: Table
    fields: Fields


@dataclass(frozen=True, eq=False)
class Selection:
    """What is read for one shape of record: a column for each member, then one for each journal, then sys_id.

    It keeps the statements and renderers that were made for it, so that they are forgotten together.
    """

    members: Sequence[Member]
    journals: Sequence[Journal]
    blanks: Fields
    columns: Sequence[ColumnElement[Any]]
    walks: Walks
    statements: CompiledSelects = field(default_factory=partial(CompiledSelects, 8))
    renderers: dict[Hashable, Callable[[Row], dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def paths(self) -> list[str]:
        """Return the field that each column shows, dot-walked if need be; the last column is beside the point."""
        return [member.path for member in self.members] + [kept.path for kept in self.journals]

    @cached_property
    def is_plain(self) -> bool:
        """Tell whether the record itself, without secrets, has everything that is shown."""
        return all(path in self.walks.table.columns for path in self.paths)

    def statement(self, size: int, *, keeps_rules: bool = True) -> Select[Any]:
        """Return the SELECT of the rows with the sys_ids that go by their `id_name`, as far as the caller sees them."""
        walks = self.walks
        wanted = walks.root.c["sys_id"].in_([parameter(id_name(at)) for at in range(size)])
        rules = visible_rows_of(walks.table, walks.root, walks.caller) if keeps_rules else []
        return select(*self.columns).select_from(walks.source).where(wanted, *rules)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a selection depends on; `caller` stands for all who are of one standing."""

    table: Table
    standing: Hashable
    fields: Fields
    shows_names: bool
    caller: Caller = field(compare=False)


def select_fields(table: Table, caller: Caller, shape: Shape) -> Selection:
    """Return what is read for a shape; fields that do not exist or may not be read are left out.

    Raises `RequestUnreadable` for more fields than a database answers.
    """
    asked = _Asked(table, standing_of(caller), shape.fields, shape.shows_names, caller)
    return _remembered(asked) if sum(map(len, shape.fields)) <= LONGEST_REMEMBERED else _select(asked)


def standing_of(caller: Caller) -> Hashable:
    """Return what of a caller decides about fields and clauses; callers who share it share their statements."""
    return caller.roles, caller.grant


class _Selector:
    """Takes the fields asked for one after the other."""

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked
        self._walks = Walks(asked.table, asked.caller)
        self._members: list[Member] = []
        self._journals: list[Journal] = []
        self._blanks: list[str] = []
        self._columns: list[ColumnElement[Any]] = []
        self._journal_columns: list[ColumnElement[Any]] = []

    def take(self, key: str) -> None:
        """Take one field, spelled as asked; an unknown field is left out, and blank beyond a reference of the table."""
        path = key.lower()
        if found := self._walks.find(path):
            self._take_member(Member(key, path, found.entry, found.table), found.column)
        elif path in self._secrets:
            # Read as whether there is one: a secret itself never leaves the database for an answer.
            column = self._walks.root.c[path]
            self._take_member(Member(key, path, self._asked.table.entries[path], self._asked.table), column != "")
        elif holder := self._holder_of_blank(path):
            self._take_blank(key, path.rpartition(".")[2], holder)
        elif _WALK.fullmatch(path) and self._is_reference(path.partition(".")[0]):
            self._blanks.append(key)

    def _is_reference(self, name: str) -> bool:
        step = self._walks.find(name)
        return step is not None and step.entry.kind == "reference"

    def _take_member(self, member: Member, column: ColumnElement[Any]) -> None:
        self._members.append(member)
        self._columns.append(column)

    def _take_blank(self, key: str, element: str, holder: Field) -> None:
        readable = holder.table.journals_for(self._asked.caller)
        fields = tuple(name for name in holder.table.journal_views.get(element, (element,)) if name in readable)
        if self._asked.shows_names and fields:
            self._journals.append(Journal(key, holder.path, element, holder.table, fields))
            self._journal_columns.append(holder.column)
        else:
            self._blanks.append(key)

    def _holder_of_blank(self, path: str) -> Field | None:
        """Return the sys_id of the record that has a field which is always blank."""
        prefix, dot, name = path.rpartition(".")
        holder = self._walks.find(f"{prefix}{dot}sys_id")
        return holder if holder and name in holder.table.blank_fields else None

    @cached_property
    def _secrets(self) -> frozenset[str]:
        """The secrets whose mask is shown: to administrators, where names are."""
        if not self._asked.shows_names or "admin" not in self._asked.caller.roles:
            return frozenset()
        return frozenset(name for name, entry in self._asked.table.entries.items() if entry.is_secret)

    def finish(self) -> Selection:
        """Return the selection of what has been taken."""
        columns = (*self._columns, *self._journal_columns, self._walks.root.c["sys_id"])
        if len(columns) > MAX_COLUMNS:
            raise RequestUnreadable(f"More than {MAX_COLUMNS} fields are asked for")
        return Selection(tuple(self._members), tuple(self._journals), tuple(self._blanks), columns, self._walks)


def _select(asked: _Asked) -> Selection:
    selector = _Selector(asked)
    table = asked.table
    for key in asked.fields or (*table.entries, *table.blank_fields):
        selector.take(key)
    return selector.finish()


_remembered = lru_cache(maxsize=256)(_select)
