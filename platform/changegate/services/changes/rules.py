"""What happens when a change request is written; nothing else decides about changes."""

from collections.abc import Mapping
from typing import Any

from changegate.models.base import utc_now
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access import Caller
from changegate.services.changes.numbering import next_number
from changegate.services.tables.registry import Values

NEW = -5
CLOSED_STATES = frozenset({3, 4})
STATES = frozenset(int(state) for state in CHANGE_STATES)


class ChangeRules:
    """Writes to change_request."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Give the change its number and fill in who opened it and when (rest_api.md §5.1, §5.2)."""
        values["number"] = values["task_effective_number"] = next_number("change_request", "CHG")
        values.setdefault("state", NEW)
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
