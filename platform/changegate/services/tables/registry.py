"""The registry's words: what a table is to the Table API. Which tables there are is said in `catalog`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, inspect
from sqlalchemy import Table as DatabaseTable

from changegate.models.base import Entry
from changegate.services.access import Caller

Values = dict[str, Any]
Roles = frozenset[str]
OwnRows = Callable[["Table"], ColumnElement[bool]]
# The parameter of an `own_rows` clause that the caller's sys_id is bound to.
OWNER = "owner"
ANYONE: Roles = frozenset()


class Rules(Protocol):
    """What a table does about writes; every write of one of its records passes here."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Complete or refuse a new record's values in place."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Complete or refuse changes to a record in place."""


class NoRules:
    """A table whose records are written as they come."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Do nothing."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Access:
    """The roles that may do each thing; `ANYONE` admits every authenticated caller."""

    read: Roles
    create: Roles
    update: Roles
    delete: Roles


@dataclass(frozen=True, eq=False)
class Table:
    """One table as the Table API serves it.

    `classes` are the values of sys_class_name that belong to it, for a table stored with others.
    `own_rows` is the clause for the rows that a caller without one of the roles `reads_all` may see.
    `choices` overrides a column's choices where the class has its own. `blank_fields` are shown, always empty.
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

    @cached_property
    def columns(self) -> Mapping[str, Column[Any]]:
        """Columns by field name, in the model's order; those that nobody may see are not among them."""
        mapped = inspect(self.model).columns
        return {column.key: column for column in mapped if not self._entry_of(column).is_secret}

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """Dictionary entries by field name, secrets included since they can be written."""
        return {column.key: self._entry_of(column) for column in inspect(self.model).columns}

    @property
    def source(self) -> DatabaseTable:
        """The database table."""
        source: DatabaseTable = self.model.__table__
        return source

    def fields_for(self, caller: Caller) -> tuple[str, ...]:
        """Return the fields a caller may read, in the model's order."""
        return self._all_fields if "admin" in caller.roles else self._public_fields

    @cached_property
    def _all_fields(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @cached_property
    def _public_fields(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if not self.entries[name].is_private)

    def _entry_of(self, column: Column[Any]) -> Entry:
        entry: Entry = column.info["entry"]
        own = self.choices.get(column.key)
        return entry if own is None else replace(entry, choices=own)
