"""The columns of every table, and the functions with which models declare columns and their dictionary entries.

The `info` of a column contains its dictionary entry: label, kind, choices, reference, limits. The Table API, the
console, and `sys_dictionary` read it; nothing else describes a column.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    func,
    true,
)
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from changegate.database.skipping import FOR_COUNTS, NOT_ON_SQLITE
from changegate.database.text_search import BEGINNINGS

SYS_ID_LENGTH = 32


def new_sys_id() -> str:
    """Return a new sys_id: 32 lower-case hex digits."""
    return secrets.token_hex(16)


def new_ordered_sys_id() -> str:
    """Return a new sys_id that sorts after earlier ones, so that rows of the same second keep their order."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


def utc_now() -> datetime:
    """Return the current time to the second, the precision of the APIs."""
    return datetime.now(UTC).replace(microsecond=0)


class UTCDateTime(TypeDecorator[datetime]):
    """A time, always aware UTC in Python; SQLite stores it without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return an aware time in UTC; a naive time is an error of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime is not an instant")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the stored time in UTC; PostgreSQL returns it in the time zone of its settings."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Choices = Mapping[str, str]
_DIGITS_ONLY = str.maketrans("", "", "-: T")


def version_of(update_count: int, updated_on: datetime | str) -> str:
    """Return the version of a record from values in Python types or as returned by a driver.

    It includes the time of the update: the count alone would repeat if a record is deleted and created again.
    """
    # SQLite stores UTC as text.
    in_utc = updated_on.astimezone(UTC).isoformat(" ") if isinstance(updated_on, datetime) else updated_on
    return f"{update_count}-{in_utc[:19].translate(_DIGITS_ONLY)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The dictionary entry of one column.

    `kind` is ServiceNow's internal type name if there is one. `choices` maps stored text to label. `is_read_only`
    columns are ignored on input, `is_private` columns are shown to administrators only, and `is_secret` columns are
    never shown. `description` is a sentence about the values, `example` a
    valid one.
    """

    kind: str
    label: str
    max_length: int | None = None
    reference: str | None = None
    choices: Choices | None = None
    is_read_only: bool = False
    is_private: bool = False
    is_secret: bool = False
    description: str | None = None
    example: str | None = None


def _column(column_type: Any, *args: Any, entry: Entry, **options: Any) -> MappedColumn[Any]:
    return mapped_column(column_type, *args, info={"entry": entry}, **options)


def string(
    label: str, length: int = 255, description: str | None = None, example: str | None = None, **options: Any
) -> MappedColumn[Any]:
    """Declare a one-line text."""
    entry = Entry("string", label, length, description=description, example=example, **_flags(options))
    return _column(String(length), entry=entry, **options)


class UpperCaseString(String):
    """Text stored in capitals, so that comparisons need no `upper()` and can use the index."""


def record_number(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare the number of a record, such as CHG0030001."""
    entry = Entry("string", label, 40, **_flags(options))
    return _column(UpperCaseString(40), entry=entry, **options)


def text(label: str, length: int = 4000, **options: Any) -> MappedColumn[Any]:
    """Declare a multi-line text."""
    return _column(Text, entry=Entry("string", label, length, **_flags(options)), **options)


def integer(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a whole number."""
    return _column(Integer, entry=Entry("integer", label, **_flags(options)), **options)


def boolean(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a boolean."""
    return _column(Boolean, entry=Entry("boolean", label, **_flags(options)), **options)


def instant(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a time in UTC."""
    return _column(UTCDateTime, entry=Entry("glide_date_time", label, **_flags(options)), **options)


def day(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a date."""
    return _column(Date, entry=Entry("glide_date", label, **_flags(options)), **options)


def choice(label: str, choices: Choices, **options: Any) -> MappedColumn[Any]:
    """Declare a text that is one of `choices`."""
    return _column(String(40), entry=Entry("choice", label, 40, choices=choices, **_flags(options)), **options)


def integer_choice(label: str, choices: Choices, **options: Any) -> MappedColumn[Any]:
    """Declare an integer that is one of `choices`, which are keyed by its text."""
    return _column(Integer, entry=Entry("integer", label, choices=choices, **_flags(options)), **options)


def glide_list(label: str, reference: str, **options: Any) -> MappedColumn[Any]:
    """Declare a list of sys_ids, stored as comma-separated text."""
    return _column(Text, entry=Entry("glide_list", label, 4000, reference=reference, **_flags(options)), **options)


def reference(
    label: str, table: str, *, stored_in: str | None = None, is_stored_loose: bool = False, **options: Any
) -> MappedColumn[Any]:
    """Declare a reference to a record of `table` by sys_id.

    `stored_in` is the database table if it differs from `table`, as for classes that share one. `is_stored_loose`
    leaves out the foreign key, for tables that are not served and for rows that outlive the record.
    """
    on_delete = options.pop("ondelete", "SET NULL")
    keys = [] if is_stored_loose else [ForeignKey(f"{stored_in or table}.sys_id", ondelete=on_delete)]
    entry = Entry("reference", label, SYS_ID_LENGTH, reference=table, **_flags(options))
    return _column(String(SYS_ID_LENGTH), *keys, entry=entry, **options)


def domain(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare the domain. There is only one, so the reference needs no record."""
    entry = Entry("domain_id", label, SYS_ID_LENGTH, reference="sys_user_group", **_flags(options))
    return _column(String(SYS_ID_LENGTH), entry=entry, **options)


def index_of_filled(column: Column[Any], *others: Column[Any]) -> Index:
    """Declare a partial index of the rows that have a value in a column; that column comes first."""
    return _index_of_filled(f"ix_{column.table.name}_{column.name}", column, *others)


def index_of_filled_text(column: Column[Any], *others: Column[Any]) -> Index:
    """Declare a partial index of the rows that have a text in a column, ignoring case as comparisons do."""
    return _index_of_filled(f"ix_{column.table.name}_{column.name}_lower", func.lower(column), *others)


def index_of_beginnings(column: Column[Any], *others: Column[Any]) -> Index:
    """Declare an index for prefix searches in a column of texts, ignoring case."""
    lowered = func.lower(column)
    condition = lowered.is_not(None)
    # PostgreSQL uses an index for LIKE only if it compares bytes, and takes an expression from an index only if the
    # column is in it too.
    return Index(
        f"ix_{column.table.name}_{column.name}_lower",
        lowered.label("lowered"),
        *others,
        info={BEGINNINGS: column.name},
        sqlite_where=condition,
        postgresql_where=condition,
        postgresql_ops={"lowered": "text_pattern_ops"},
        postgresql_include=[column.name],
    )


def _index_of_filled(name: str, first: ColumnElement[Any], *others: Column[Any]) -> Index:
    # The same expression in the column and in the condition: SQLite uses a partial index only then.
    return index_of_few(name, first.is_not(None), first, *others)


def index_of_few(name: str, condition: ColumnElement[bool], *columns: ColumnElement[Any]) -> Index:
    """Declare a partial index, of the rows for which a condition is true."""
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


def index_of_active(name: str, *columns: Column[Any]) -> Index:
    """Declare an index that is partial on SQLite, with the active records of a table.

    PostgreSQL would compare the condition of a partial index with each condition of a query: with thousands, that takes
    longer than the query. It knows how many records are active, so the column `active` is enough.
    """
    return Index(name, *columns, sqlite_where=columns[0].table.c["active"] == true())


def index_on_sqlite(name: str, condition: ColumnElement[bool], *columns: Column[Any]) -> Index:
    """Declare a partial index that only SQLite has."""
    index: Index = Index(name, *columns, sqlite_where=condition).ddl_if(dialect="sqlite")
    return index


def index_on_postgres(name: str, *columns: Column[Any], **info: Any) -> Index:
    """Declare an index that only PostgreSQL has."""
    index: Index = Index(name, *columns, info={NOT_ON_SQLITE: True, **info}).ddl_if(dialect="postgresql")
    return index


def index_of_counts(name: str, *columns: Column[Any]) -> Index:
    """Declare an index of columns with few values, only for PostgreSQL, which stores equal entries together.

    It has 7 bytes for each record instead of the 100 of an index with an order and the sys_id, so counts take half as
    long. SQLite stores each entry, and would gain little.
    """
    return index_on_postgres(name, *columns, **{FOR_COUNTS: True})


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options.pop(name) for name in ("is_read_only", "is_private", "is_secret") if name in options}


class Record:
    """The columns that ServiceNow gives every table; a mixin."""

    if TYPE_CHECKING:
        __tablename__: str
    # Labels of fields whose columns have no dictionary entry.
    labels: ClassVar[Mapping[str, str]] = {}

    sys_id: Mapped[str] = _column(
        String(SYS_ID_LENGTH),
        entry=Entry("GUID", "Sys ID", SYS_ID_LENGTH, is_read_only=True),
        primary_key=True,
        default=new_sys_id,
    )
    sys_created_on: Mapped[datetime] = instant("Created", is_read_only=True, default=utc_now)
    sys_created_by: Mapped[str] = string("Created by", 40, is_read_only=True, default="system")
    sys_updated_on: Mapped[datetime] = instant("Updated", is_read_only=True, default=utc_now)
    sys_updated_by: Mapped[str] = string("Updated by", 40, is_read_only=True, default="system")
    sys_mod_count: Mapped[int] = integer("Updates", is_read_only=True, default=0)

    @property
    def record_version(self) -> str:
        """The version of the stored record."""
        return version_of(self.sys_mod_count, self.sys_updated_on)
