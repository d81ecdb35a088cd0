"""The registry: the definition of a table for the Table API, and the tables that the catalog has registered."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Column, ColumnElement, inspect
from sqlalchemy import Table as DatabaseTable

from changegate.errors import TableUnknown
from changegate.models.base import Entry
from changegate.services.access.permissions import Permissions
from changegate.services.tables.rules import Observer, Rules

Roles = frozenset[str]
OwnRows = Callable[["Table"], ColumnElement[bool]]
# Deletes the rows kept beside records, given the name of their table and their sys_ids.
Cascade = Callable[[str, Sequence[str]], None]
# The parameter of an `own_rows` clause that the caller's sys_id is bound to.
OWNER = "owner"
# Returns the clause for references to one of the caller's groups.
OwnGroups = Callable[[ColumnElement[Any]], ColumnElement[bool]]
# The parameter of such a clause that the current time is bound to.
NOW = "now"
ANYONE: Roles = frozenset()
NOBODY: Roles = frozenset({"nobody"})


@dataclass(frozen=True)
class Access:
    """The roles that each operation requires: `ANYONE` admits every caller, `NOBODY` not even administrators."""

    read: Roles
    create: Roles = NOBODY
    update: Roles = NOBODY
    delete: Roles = NOBODY

    def admits(self, operation: str, permissions: Permissions) -> bool:
        """Return whether the roles of a caller allow an operation: "read", "create", "update", or "delete"."""
        roles: Roles = getattr(self, operation)
        return roles is not NOBODY and (not roles or permissions.has_role(roles))


@dataclass(frozen=True, eq=False)
class Table:
    """One table as the Table API serves it.

    - `own_rows` is the clause for the rows that a caller without any of the roles `reads_all` may see.
    - `shown_rows` is the clause for the rows that callers without any of the roles `reads_hidden` may see at most,
      whatever else they may read.
    - `classes` are the values of sys_class_name whose records belong to the table.
    - `display_prefix` begins the display value of every record of this class, and of no other class.
    - `choices` replaces the choices of columns for this class.
    - `blank_fields` are shown and always empty as stored values; they include the journal fields.
    - `extends` is the table that this one is a class of.
    - `journal_fields` maps fields whose entries are stored in a table of their own to their labels.
    - `journal_views` maps fields that show the entries of several journal fields to those fields.
    - `internal_journals` are journal fields that only callers with one of the roles `reads_all` may read.
    - `is_audited` tables record every change in the audit trail.
    - `parts` are (table, field) of the records that belong to one of this table's and are deleted with it.
    - `filled_by_rules` are fields that a record must have but a request may omit.
    - `origin_field` holds the integration that created a record.
    - `related_path` returns the path of what belongs to a new record, for the header `Link` of its creation.
    - `is_closed_to_tokens` tables are written by users with name and password only, whatever the scopes of a token.
    - `contended_field` is a field that callers race to change: a refused write of it is a conflict (409) if another
      caller has changed it meanwhile.
    - `restated_fields` are given to `before_update` even if a request repeats their stored value, and so confirms it.
    - `sorted_as` maps fields to the field by which they are sorted, which has the same order and an index.
    - `observer` follows the writes of records.
    - `write_limit` describes which records callers may write, if the rules refuse others.
    - `own_groups` is the clause, in the table of groups, for references to groups of the caller.
    - `login_field` holds the name with which users sign in. A reference to a user may give it instead of the sys_id.
    """

    name: str
    label: str
    model: Any
    display_field: str
    access: Access
    rules: Rules = field(default_factory=Rules)
    observer: Observer | None = None
    own_rows: OwnRows | None = None
    reads_all: Roles = ANYONE
    shown_rows: OwnRows | None = None
    reads_hidden: Roles = ANYONE
    classes: tuple[str, ...] = ()
    display_prefix: str = ""
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    blank_fields: tuple[str, ...] = ()
    extends: str | None = None
    journal_fields: Mapping[str, str] = field(default_factory=dict)
    journal_views: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    internal_journals: tuple[str, ...] = ()
    is_audited: bool = True
    parts: tuple[tuple[str, str], ...] = ()
    filled_by_rules: tuple[str, ...] = ()
    origin_field: str | None = None
    contended_field: str | None = None
    sorted_as: Mapping[str, str] = field(default_factory=dict)
    restated_fields: frozenset[str] = frozenset()
    own_groups: OwnGroups | None = None
    login_field: str | None = None
    is_closed_to_tokens: bool = False
    related_path: Callable[[Mapping[str, Any]], str] | None = None
    write_limit: str = ""

    @cached_property
    def columns(self) -> Mapping[str, Column[Any]]:
        """Columns by field name in the order of the model, without secrets."""
        return {column.key: column for column in self._described if not self._entry_of(column).is_secret}

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Dictionary entries by field name. Secrets are included, because they can be written."""
        return {column.key: self._entry_of(column) for column in self._described}

    @property
    def _described(self) -> list[Column[Any]]:
        """The columns that have a dictionary entry; the others are internal and never served."""
        return [column for column in inspect(self.model).columns if "entry" in column.info]

    @property
    def source(self) -> DatabaseTable:
        """The database table."""
        source: DatabaseTable = self.model.__table__
        return source

    @property
    def keeps_class(self) -> bool:
        """Return whether records, attachments, and the audit trail of this table have the name of this class."""
        return bool(self.classes) and self.access.update is not NOBODY

    def fields_for(self, permissions: Permissions) -> tuple[str, ...]:
        """Return the fields that a caller may read, in the order of the model."""
        return self._all_fields if "admin" in permissions.roles else self.public_fields

    @cached_property
    def _all_fields(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @cached_property
    def public_fields(self) -> tuple[str, ...]:
        """The fields that callers other than administrators may read, in the order of the model."""
        return tuple(name for name in self.columns if not self.entries[name].is_private)

    def integration_of(self, record: Mapping[str, Any]) -> str | None:
        """Return the sys_id of the integration that created a record, if the table stores it."""
        return record.get(self.origin_field) if self.origin_field else None

    def journals_for(self, permissions: Permissions) -> tuple[str, ...]:
        """Return the journal fields whose entries a caller may read."""
        if permissions.has_role(self.reads_all):
            return tuple(self.journal_fields)
        return tuple(name for name in self.journal_fields if name not in self.internal_journals)

    def _entry_of(self, column: Column[Any]) -> Entry:
        entry: Entry = column.info["entry"]
        own = self.choices.get(column.key)
        return entry if own is None else replace(entry, choices=own)


@dataclass(frozen=True, eq=False)
class View(Table):
    """A table whose records are the rows of a statement, which nobody writes: `model` is the statement as a subquery.

    `declared` are the dictionary entries of its columns, which include those of every table.
    """

    declared: Mapping[str, Entry] = field(default_factory=dict)

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """Columns by field name in the order of their entries."""
        return {name: self.source.c[name] for name in self.declared}

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Dictionary entries by field name."""
        return self.declared

    @property
    def source(self) -> Any:
        """The subquery."""
        return self.model


# Every served table by name. Empty until the catalog is imported.
TABLES: dict[str, Table] = {}
_cascades: list[Cascade] = []


def serve_tables(tables: Iterable[Table], cascades: Iterable[Cascade] = ()) -> Mapping[str, Table]:
    """Register tables and the cascades of their records; return all served tables by name."""
    TABLES.update((table.name, table) for table in tables)
    _cascades.extend(cascades)
    return TABLES


def delete_beside(class_name: str, sys_ids: Sequence[str]) -> None:
    """Run every cascade: delete the rows that other packages keep for records, such as attachments."""
    for cascade in _cascades:
        cascade(class_name, sys_ids)


def get_table(name: str) -> Table:
    """Return a served table by name. Raises `TableUnknown`."""
    try:
        return TABLES[name]
    except KeyError:
        raise TableUnknown(name) from None


def find_table(name: str) -> Table | None:
    """Return a served table by name, or None."""
    return TABLES.get(name)


def table_of_users() -> tuple[Table, str]:
    """Return the table of users, and its field with the names with which they sign in."""
    return next((table, table.login_field) for table in TABLES.values() if table.login_field is not None)


def lineage_of(table: Table) -> tuple[Table, ...]:
    """Return a table and the tables that it extends, the nearest first."""
    return (table, *lineage_of(get_table(table.extends))) if table.extends else (table,)
