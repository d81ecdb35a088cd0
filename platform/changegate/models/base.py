"""What every table has, and the words in which a model declares its columns and their dictionary.

A column's `info` is its dictionary entry: label, kind, choices, reference, limits. The Table API, the console
and later `sys_dictionary` read it; nothing else describes a column.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
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
)
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

SYS_ID_LENGTH = 32


def new_sys_id() -> str:
    """Return a fresh sys_id: 32 lower-case hex digits."""
    return secrets.token_hex(16)


def new_ordered_sys_id() -> str:
    """Return a fresh sys_id that sorts after earlier ones: what is written within one second keeps its order."""
    return f"{time.time_ns():016x}{secrets.token_hex(8)}"


def utc_now() -> datetime:
    """Return the present instant to the second, as the wire shows it."""
    return datetime.now(UTC).replace(microsecond=0)


class UTCDateTime(TypeDecorator[datetime]):
    """An instant, always aware UTC in Python; SQLite has no zones and stores it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Turn an aware instant into UTC; a naive one is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime is not an instant")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the stored instant in UTC; PostgreSQL answers in the zone of its own settings."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Choices = Mapping[str, str]
_DIGITS_ONLY = str.maketrans("", "", "-: T")


def version_of(update_count: int, updated_on: datetime | str) -> str:
    """Return the version of a record, from values in Python's types or as a driver gives them.

    The count of updates alone would repeat itself when a record is deleted and another is created in its place.
    """
    # SQLite stores UTC as text.
    in_utc = updated_on.astimezone(UTC).isoformat(" ") if isinstance(updated_on, datetime) else updated_on
    return f"{update_count}-{in_utc[:19].translate(_DIGITS_ONLY)}"


@dataclass(frozen=True, slots=True)
class Entry:
    """The dictionary entry of one column.

    `kind` is ServiceNow's internal type name where there is one. `choices` maps stored text to label.
    `is_read_only` columns are ignored on input; `is_private` ones are shown to administrators only;
    `is_secret` ones to nobody. `description` is a sentence about the values.
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


def _column(column_type: Any, *args: Any, entry: Entry, **options: Any) -> MappedColumn[Any]:
    return mapped_column(column_type, *args, info={"entry": entry}, **options)


def string(label: str, length: int = 255, description: str | None = None, **options: Any) -> MappedColumn[Any]:
    """Declare a one-line text."""
    entry = Entry("string", label, length, description=description, **_flags(options))
    return _column(String(length), entry=entry, **options)


class UpperCaseString(String):
    """Text that is stored in capitals: it is compared as it is, so that its index serves."""


def record_number(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare the number that people know a record by, such as CHG0030001."""
    entry = Entry("string", label, 40, **_flags(options))
    return _column(UpperCaseString(40), entry=entry, **options)


def text(label: str, length: int = 4000, **options: Any) -> MappedColumn[Any]:
    """Declare a text of several lines."""
    return _column(Text, entry=Entry("string", label, length, **_flags(options)), **options)


def integer(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a whole number."""
    return _column(Integer, entry=Entry("integer", label, **_flags(options)), **options)


def boolean(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a yes or no."""
    return _column(Boolean, entry=Entry("boolean", label, **_flags(options)), **options)


def instant(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a date-time, UTC."""
    return _column(UTCDateTime, entry=Entry("glide_date_time", label, **_flags(options)), **options)


def day(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare a date."""
    return _column(Date, entry=Entry("glide_date", label, **_flags(options)), **options)


def choice(label: str, choices: Choices, **options: Any) -> MappedColumn[Any]:
    """Declare a text that is one of `choices`."""
    return _column(String(40), entry=Entry("choice", label, 40, choices=choices, **_flags(options)), **options)


def integer_choice(label: str, choices: Choices, **options: Any) -> MappedColumn[Any]:
    """Declare a whole number that is one of `choices`, which are keyed by its text."""
    return _column(Integer, entry=Entry("integer", label, choices=choices, **_flags(options)), **options)


def glide_list(label: str, reference: str, **options: Any) -> MappedColumn[Any]:
    """Declare a list of sys_ids, stored comma-joined."""
    return _column(Text, entry=Entry("glide_list", label, 4000, reference=reference, **_flags(options)), **options)


def reference(
    label: str, table: str, *, stored_in: str | None = None, is_stored_loose: bool = False, **options: Any
) -> MappedColumn[Any]:
    """Declare a reference to a record of `table` by sys_id.

    `stored_in` is the database table of a class that is stored with others. `is_stored_loose` leaves out the
    foreign key, for tables that are not served.
    """
    on_delete = options.pop("ondelete", "SET NULL")
    keys = [] if is_stored_loose else [ForeignKey(f"{stored_in or table}.sys_id", ondelete=on_delete)]
    entry = Entry("reference", label, SYS_ID_LENGTH, reference=table, **_flags(options))
    return _column(String(SYS_ID_LENGTH), *keys, entry=entry, **options)


def domain(label: str, **options: Any) -> MappedColumn[Any]:
    """Declare the domain; this product has one, so it is a reference that needs no record."""
    entry = Entry("domain_id", label, SYS_ID_LENGTH, reference="sys_user_group", **_flags(options))
    return _column(String(SYS_ID_LENGTH), entry=entry, **options)


def index_of_filled(column: Column[Any], *others: Column[Any]) -> Index:
    """Declare an index of the rows that have a value in a column, by that one first; the others cost it nothing."""
    is_filled = column.is_not(None)
    name = f"ix_{column.table.name}_{column.name}"
    return Index(name, column, *others, sqlite_where=is_filled, postgresql_where=is_filled)


def index_of_filled_text(column: Column[Any]) -> Index:
    """Declare an index of the rows that have a text in a column, as text is compared: without case."""
    folded = func.lower(column)
    # The same expression in both places: for SQLite nothing else follows from a comparison.
    is_filled = folded.is_not(None)
    name = f"ix_{column.table.name}_{column.name}_lower"
    return Index(name, folded, sqlite_where=is_filled, postgresql_where=is_filled)


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options.pop(name) for name in ("is_read_only", "is_private", "is_secret") if name in options}


class Record:
    """The columns that ServiceNow gives every table; a mixin."""

    if TYPE_CHECKING:
        __tablename__: str

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
        """The version of the record as it is stored."""
        return version_of(self.sys_mod_count, self.sys_updated_on)
