"""The values of records as their table demands them: defaults, stamps, and mandatory fields."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy.sql.schema import ScalarElementColumnDefault

from changegate.errors import OperationFailed
from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import Table
from changegate.services.tables.rules import Values


@lru_cache(maxsize=128)
def defaults_of(table: Table) -> Values:
    """Return the defaults of a new record."""
    columns = ((name, column.default) for name, column in table.source.c.items() if name in table.entries)
    scalars = {name: default.arg for name, default in columns if isinstance(default, ScalarElementColumnDefault)}
    return {name: value for name, value in scalars.items() if _is_open_to(table, name, value)}


def _is_open_to(table: Table, name: str, value: Any) -> bool:
    """Return whether the default of a shared column applies to a class: it must be among the choices of the class."""
    choices = table.entries[name].choices
    return choices is None or str(value) in choices


@lru_cache(maxsize=128)
def _blank(table: Table) -> Values:
    return dict.fromkeys(table.columns)


@lru_cache(maxsize=128)
def _hidden(table: Table) -> tuple[str, ...]:
    return tuple(name for name in table.source.c.keys() if name not in table.columns)


def whole_record(table: Table, values: Values) -> Values:
    """Return a new record's values for every field, without secrets and internal columns."""
    whole = _blank(table) | values
    for name in _hidden(table):
        whole.pop(name, None)
    return whole


def stamps_of(caller: Caller) -> Values:
    """Return who creates a record, and when."""
    now = utc_now()
    return {
        "sys_created_on": now,
        "sys_created_by": caller.user_name,
        "sys_updated_on": now,
        "sys_updated_by": caller.user_name,
        "sys_mod_count": 0,
    }


def class_of(table: Table) -> Values:
    """Return the class of a new record, if its table stores classes."""
    return {"sys_class_name": table.name} if table.classes else {}


@lru_cache(maxsize=128)
def _mandatory_fields(table: Table) -> tuple[str, ...]:
    columns = table.source.c.items()
    return tuple(
        name for name, column in columns if name in table.entries and not column.nullable and column.default is None
    )


def require_mandatory(table: Table, values: Values) -> None:
    """Raise `OperationFailed` if a new record lacks mandatory fields."""
    missing = [name for name in _mandatory_fields(table) if values.get(name) is None]
    if missing:
        raise _data_policy_exception(table, missing)


def _data_policy_exception(table: Table, names: Iterable[str]) -> OperationFailed:
    labels = ", ".join(table.entries[name].label for name in names)
    return OperationFailed(f"Data Policy Exception: The following fields are mandatory: {labels}")


def is_clearable(table: Table, name: str, value: Any) -> bool:
    """Return whether a change of a field is made; emptying a choice or boolean is ignored.

    See docs/reference/table-api.md#writes. Raises `OperationFailed` for emptying a mandatory field.
    """
    entry = table.entries[name]
    if value is not None:
        return True
    if entry.choices is not None or entry.kind == "boolean":
        return False
    if table.source.c[name].nullable:
        return True
    raise _data_policy_exception(table, [name])
