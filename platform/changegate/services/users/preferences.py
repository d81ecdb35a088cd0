"""Preferences: settings that users make for themselves, by name, and their saved filters."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import SysUserPreference
from changegate.models.base import new_sys_id, utc_now
from changegate.services.access.caller import Caller
from changegate.services.tables.rules import Rules, Values

_TABLE = SysUserPreference.__table__
_IS_OWN = (_TABLE.c["user"] == parameter("user"), _TABLE.c["name"] == parameter("name"))
_VALUE = Prepared(select(_TABLE.c["value"]).where(*_IS_OWN))


class FilterRules(Rules):
    """Rules of sys_filter: users save filters for themselves, and administrators also for others and for all."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Set the user of a filter; one of an administrator may have none."""
        if not _is_administrator(caller):
            values["user"] = caller.sys_id

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a change of another user's filter, and of the user."""
        _require_own(record, caller)
        if not _is_administrator(caller):
            changes.pop("user", None)

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion of another user's filter."""
        _require_own(record, caller)


def _is_administrator(caller: Caller) -> bool:
    return "admin" in caller.permissions.roles


def _require_own(record: Mapping[str, Any], caller: Caller) -> None:
    if record["user"] != caller.sys_id and not _is_administrator(caller):
        raise OperationFailed("Only an administrator can edit a shared filter or one of another user")


def find_preference(user: str, name: str) -> str | None:
    """Return the value of a preference, or None if the user has not set it."""
    row = _VALUE.first({"user": user, "name": name})
    return None if row is None else row.value


def set_preference(caller: Caller, name: str, value: str) -> None:
    """Set a preference of the caller; an empty value removes it."""
    is_own = (_TABLE.c["user"] == caller.sys_id, _TABLE.c["name"] == name)
    if not value:
        connection().execute(delete(_TABLE).where(*is_own))
        return
    stamps = {"sys_updated_on": utc_now(), "sys_updated_by": caller.user_name}
    if not connection().execute(update(_TABLE).where(*is_own).values(value=value, **stamps)).rowcount:
        created = {"sys_created_on": utc_now(), "sys_created_by": caller.user_name, "sys_mod_count": 0}
        row = {"sys_id": new_sys_id(), "user": caller.sys_id, "name": name, "value": value, **created, **stamps}
        connection().execute(insert(_TABLE).values(row))
