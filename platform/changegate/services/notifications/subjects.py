"""The records that notifications are about, as far as a user may read them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import RecordNotFound
from changegate.models import Task
from changegate.services.access.caller import Caller
from changegate.services.tables.reading.records import get_row
from changegate.services.tables.registry import get_table

INTEGRATION, APPROVAL = "oauth_entity", "sysapproval_approver"
_TITLE = ("number", "short_description")
_TASK = Prepared(select(*(Task.__table__.c[name] for name in _TITLE)).where(Task.sys_id == parameter("sys_id")))


def title_of(reader: Caller, table: str, sys_id: str) -> str | None:
    """Return the title of a record for a user, or None if the user may not read it.

    Approvers see what they are asked about, even if they may not read the change.
    """
    try:
        if table == APPROVAL:
            [task] = get_row(get_table(APPROVAL), reader, sys_id, ("sysapproval",))
            row = _TASK.first({"sys_id": task})
        else:
            row = get_row(get_table(table), reader, sys_id, ("name",) if table == INTEGRATION else _TITLE)
    except RecordNotFound:
        return None
    return None if row is None else ": ".join(filter(None, row))


def is_internal_for(reader: Caller, event: Mapping[str, Any]) -> bool:
    """Return whether an event is a work note that a user may not read."""
    return event["event"] == "noted" and not reader.permissions.has_role(get_table(event["table"]).reads_all)
