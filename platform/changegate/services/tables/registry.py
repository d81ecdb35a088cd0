"""The registry: what a table is to the Table API, and the tables that the catalog has registered."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, inspect
from sqlalchemy import Table as DatabaseTable

from changegate.errors import TableUnknown
from changegate.models.base import Entry
from changegate.services.access.caller import Caller

Values = dict[str, Any]
Roles = frozenset[str]
OwnRows = Callable[["Table"], ColumnElement[bool]]
# Deletes the rows kept beside records, given the name of their table and their sys_ids.
Cascade = Callable[[str, Sequence[str]], None]
# The parameter of an `own_rows` clause that the caller's sys_id is bound to.
OWNER = "owner"
ANYONE: Roles = frozenset()
NOBODY: Roles = frozenset({"nobody"})


class Rules(Protocol):
    """What a table does about writes; every write of one of its records passes here.

    A record's values come in Python's types, references as sys_ids. What runs before may change the values or refuse
    the write; what runs after finds the record written, in the same transaction.
    """

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the texts of fields that a new record has where the request says nothing; defaults come after."""

    def origin_of(self, caller: Caller) -> Mapping[str, Any]:
        """Return the fields of a new record that name the integration and workload it comes from."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Complete or refuse a new record's values in place."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Do what follows from a new record."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Complete or refuse changes to a record in place."""

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Do what follows from changes; `record` is what it was before them."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion of a record, or do what follows from it."""

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse what the deletion has made of the other records."""


class NoRules:
    """A table whose records are written as they come; the rules of others add to this."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    def origin_of(self, caller: Caller) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def before_create(self, values: Values, caller: Caller) -> None:
        """Do nothing."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Do nothing."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Do nothing."""

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Do nothing."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Do nothing."""

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Access:
    """The roles that may do each thing; `ANYONE` admits every caller, `NOBODY` not even administrators."""

    read: Roles
    create: Roles = NOBODY
    update: Roles = NOBODY
    delete: Roles = NOBODY

    def admits(self, operation: str, caller: Caller) -> bool:
        """Tell whether a caller's roles allow an operation: read, create, update or delete."""
        roles: Roles = getattr(self, operation)
        return roles is not NOBODY and (not roles or caller.has_role(roles))


@dataclass(frozen=True, eq=False)
class Table:
    """One table as the Table API serves it.

    `extends` is the table it is a class of, and `classes` are the values of sys_class_name that belong to it.
    `own_rows` is the clause for the rows that a caller without one of the roles `reads_all` may see.
    `choices` overrides a column's choices where the class has its own. `journal_fields` take entries that are kept
    apart, and are given with their labels; they are among `blank_fields`, which are shown and always empty, except that
    `journal_views` show the entries of several journals. Entries of `internal_journals` are shown only to callers with
    one of the roles `reads_all`. `is_audited` tables leave a trail.
    `parts` are the tables, and their fields, whose records belong to one of this table's and are deleted with it.
    `filled_by_rules` are fields that a record must have and a request may leave out.
    `origin_field` holds the integration that created a record. `login_field` holds the name by which the users of a
    table sign in; where a reference is expected, it also means the user.
    """

    name: str
    label: str
    model: type[Any]
    display_field: str
    access: Access
    rules: Rules = field(default_factory=NoRules)
    own_rows: OwnRows | None = None
    reads_all: Roles = ANYONE
    classes: tuple[str, ...] = ()
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
    login_field: str | None = None

    @cached_property
    def columns(self) -> Mapping[str, Column[Any]]:
        """Columns by field name, in the model's order; those that nobody may see are not among them."""
        return {column.key: column for column in self._described if not self._entry_of(column).is_secret}

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Dictionary entries by field name, secrets included since they can be written."""
        return {column.key: self._entry_of(column) for column in self._described}

    @property
    def _described(self) -> list[Column[Any]]:
        """The columns that have a dictionary entry; the others are the product's own affair."""
        return [column for column in inspect(self.model).columns if "entry" in column.info]

    @property
    def source(self) -> DatabaseTable:
        """The database table."""
        source: DatabaseTable = self.model.__table__
        return source

    @property
    def keeps_class(self) -> bool:
        """Return whether records are written, and their files and trail kept, under the name of this class."""
        return bool(self.classes) and self.access.update is not NOBODY

    def fields_for(self, caller: Caller) -> tuple[str, ...]:
        """Return the fields a caller may read, in the model's order."""
        return self._all_fields if "admin" in caller.roles else self.public_fields

    @cached_property
    def _all_fields(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @cached_property
    def public_fields(self) -> tuple[str, ...]:
        """The fields that not only administrators may read, in the model's order."""
        return tuple(name for name in self.columns if not self.entries[name].is_private)

    def integration_of(self, record: Mapping[str, Any]) -> str | None:
        """Return the sys_id of the integration that created a record, where the table's records name it."""
        return record.get(self.origin_field) if self.origin_field else None

    def journals_for(self, caller: Caller) -> tuple[str, ...]:
        """Return the journal fields whose entries a caller may read."""
        if caller.has_role(self.reads_all):
            return tuple(self.journal_fields)
        return tuple(name for name in self.journal_fields if name not in self.internal_journals)

    def _entry_of(self, column: Column[Any]) -> Entry:
        entry: Entry = column.info["entry"]
        own = self.choices.get(column.key)
        return entry if own is None else replace(entry, choices=own)


# Every served table by name. Empty until the catalog is imported.
TABLES: dict[str, Table] = {}
_cascades: list[Cascade] = []


def serve_tables(tables: Iterable[Table], cascades: Iterable[Cascade] = ()) -> Mapping[str, Table]:
    """Register tables, and what is deleted with their records; return all tables that are served, by name."""
    TABLES.update((table.name, table) for table in tables)
    _cascades.extend(cascades)
    return TABLES


def delete_beside(class_name: str, sys_ids: Sequence[str]) -> None:
    """Delete what other packages keep beside records."""
    for cascade in _cascades:
        cascade(class_name, sys_ids)


def get_table(name: str) -> Table:
    """Return a served table; raises `TableUnknown`."""
    try:
        return TABLES[name]
    except KeyError:
        raise TableUnknown(name) from None


def find_table(name: str) -> Table | None:
    """Return a served table by name."""
    return TABLES.get(name)


def table_of_users() -> tuple[Table, str]:
    """Return the table of the users who call, and the field of the names by which they sign in."""
    return next((table, table.login_field) for table in TABLES.values() if table.login_field is not None)


def lineage_of(table: Table) -> tuple[Table, ...]:
    """Return a table and those it is a class of, the nearest first."""
    return (table, *lineage_of(get_table(table.extends))) if table.extends else (table,)
