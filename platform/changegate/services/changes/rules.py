"""What happens when a change request is written; nothing else decides about changes."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import OperationFailed
from changegate.models.base import utc_now
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access import Caller
from changegate.services.changes.numbering import next_number
from changegate.services.tables.registry import Values

NEW = -5
CLOSED_STATES = frozenset({3, 4})
NOT_REQUESTED = "not requested"
SAID_BY_THE_PROCESS = ("opened_at", "opened_by", "closed_at", "closed_by", "approval_set")


class ChangeRules:
    """Writes to change_request."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Give the change its number and fill in who opened it and when (rest_api.md §5.1, §5.2)."""
        values.setdefault("state", NEW)
        # An administrator may bring in changes from elsewhere; nobody else's begins approved or half done.
        if "admin" not in caller.roles or caller.grant is not None:
            _require_beginning(values)
        values["number"] = values["task_effective_number"] = next_number("change_request", "CHG")
        values["active"] = values["state"] not in CLOSED_STATES
        values.setdefault("opened_at", utc_now())
        values.setdefault("opened_by", caller.sys_id)
        values.setdefault("requested_by", caller.sys_id)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Keep active in step with the state and count reassignments."""
        if "state" in changes:
            changes["active"] = changes["state"] not in CLOSED_STATES
        if record["assignment_group"] and "assignment_group" in changes:
            changes["reassignment_count"] = record["reassignment_count"] + 1


def _require_beginning(values: Values) -> None:
    """Refuse a change that would begin in a later state, and forget what only the process may say of it."""
    if values["state"] != NEW:
        raise OperationFailed(f"A change begins in state {CHANGE_STATES[str(NEW)]} ({NEW})")
    for name in SAID_BY_THE_PROCESS:
        values.pop(name, None)
    values["approval"] = NOT_REQUESTED
