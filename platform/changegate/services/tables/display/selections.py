"""Selections: the columns that are read for the records of a response, and the member that each column becomes.

permissions, table, fields ──select_fields──> Selection (cached for all callers with the same key)
    members:  one column for each field that is shown     ┐
    journals: the sys_id of the record with the entries   ├── columns of every row, in this order
    sys_id of the record itself                           ┘
    blanks:   fields without a column, always empty
"""

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
from changegate.services.access.permissions import Permissions
from changegate.services.tables.display.shapes import Shape, ShownFields
from changegate.services.tables.registry import Table
from changegate.services.tables.visibility import visible_rows_of
from changegate.services.tables.walks import RecordField, Walks

# SQLite returns at most 2000 columns, and PostgreSQL 1664.
MAX_COLUMNS = 1000
# Longer lists of field names, in characters, are not cached.
LONGEST_CACHED_SELECTION = 4000
# The syntax of a dot-walk. Anything else must not become a key: in XML, the path is the name of an element.
_WALK = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
# The kinds of field that are shown with a link to the referenced record.
LINKED = frozenset({"reference", "domain_id"})


def id_name(at: int) -> str:
    """Return the name of the parameter for the sys_id at a position of the list."""
    return f"id_{at}"


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a rendered record: its key as the caller spelled it, and the field that it shows."""

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
    """A member that shows the entries of the journal fields `fields`.

    `path` is the sys_id field of the record to which the entries belong.
    """

    key: str
    path: str
    element: str
    table: Table
    fields: ShownFields


@dataclass(frozen=True, eq=False)
class Selection:
    """The columns of one shape of record: one for each member, then one for each journal, then sys_id.

    Its compiled statements and renderers are cached here, so that they are dropped together with it.
    """

    members: Sequence[Member]
    journals: Sequence[Journal]
    blanks: ShownFields
    columns: Sequence[ColumnElement[Any]]
    walks: Walks
    statements: CompiledSelects = field(default_factory=partial(CompiledSelects, 8))
    renderers: dict[Hashable, Callable[[Row], dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def paths(self) -> list[str]:
        """Return the path of the field that each column shows, without the trailing sys_id column."""
        return [member.path for member in self.members] + [kept.path for kept in self.journals]

    @cached_property
    def is_plain(self) -> bool:
        """Return whether all that is shown are columns of the table itself, without secrets and dot-walks."""
        return all(path in self.walks.table.columns for path in self.paths)

    def statement(self, size: int, *, keeps_rules: bool = True) -> Select[Any]:
        """Return the SELECT for `size` sys_ids, whose parameters are named by `id_name`.

        It has the restrictions of the permissions. The caller's own sys_id and integration are parameters.
        """
        walks = self.walks
        is_listed = walks.root.c["sys_id"].in_([parameter(id_name(at)) for at in range(size)])
        rules = visible_rows_of(walks.table, walks.root, walks.permissions) if keeps_rules else []
        return select(*self.columns).select_from(walks.source).where(is_listed, *rules)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The key of a cached selection, and everything that the selection may depend on."""

    table: Table
    permissions: Permissions
    fields: ShownFields
    shows_names: bool


def select_fields(table: Table, permissions: Permissions, shape: Shape) -> Selection:
    """Return the selection for a shape; fields that do not exist or may not be read are omitted.

    Raises `RequestUnreadable` for more than `MAX_COLUMNS` fields.
    """
    asked = _Asked(table, permissions, shape.fields, shape.shows_names)
    # Callers can invent any number of lists. The limit on the length bounds the memory of the cached ones.
    return _remembered(asked) if sum(map(len, shape.fields)) <= LONGEST_CACHED_SELECTION else _select(asked)


class _Selector:
    """Builds a selection field by field."""

    def __init__(self, asked: _Asked) -> None:
        self._asked = asked
        self._walks = Walks(asked.table, asked.permissions)
        self._members: list[Member] = []
        self._journals: list[Journal] = []
        self._blanks: list[str] = []
        self._columns: list[ColumnElement[Any]] = []
        self._journal_columns: list[ColumnElement[Any]] = []

    def take(self, key: str) -> None:
        """Add one field. `key` is the caller's spelling.

        An unknown field is omitted, but the unknown end of a dot-walk over a reference of the table is blank.
        """
        path = key.lower()
        if field_ := self._walks.find(path):
            self._take_member(Member(key, path, field_.entry, field_.table), field_.column)
        elif path in self._secrets:
            # Only whether the secret is set is read: the secret itself never leaves the database for a response.
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

    def _take_blank(self, key: str, element: str, holder: RecordField) -> None:
        readable = holder.table.journals_for(self._asked.permissions)
        fields = tuple(name for name in holder.table.journal_views.get(element, (element,)) if name in readable)
        # Journal entries are display values: without them, the field is always empty.
        if self._asked.shows_names and fields:
            self._journals.append(Journal(key, holder.path, element, holder.table, fields))
            # The sys_id of the record, by which a second statement reads the entries.
            self._journal_columns.append(holder.column)
        else:
            self._blanks.append(key)

    def _holder_of_blank(self, path: str) -> RecordField | None:
        """Return the sys_id field of the record whose always blank field is at `path`, or None if it is not blank."""
        prefix, dot, name = path.rpartition(".")
        holder = self._walks.find(f"{prefix}{dot}sys_id")
        return holder if holder and name in holder.table.blank_fields else None

    @cached_property
    def _secrets(self) -> frozenset[str]:
        """The secrets that are shown as a mask: only to administrators, and only with display values."""
        if not self._asked.shows_names or "admin" not in self._asked.permissions.roles:
            return frozenset()
        return frozenset(name for name, entry in self._asked.table.entries.items() if entry.is_secret)

    def finish(self) -> Selection:
        """Return the selection of the added fields. Raises `RequestUnreadable` for too many columns."""
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


# A selection holds its statements and renderers, so this limit also bounds how many of those are cached.
_remembered = lru_cache(maxsize=256)(_select)
