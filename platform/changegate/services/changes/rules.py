"""What happens when a change request is written; nothing else decides about changes."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import OperationFailed
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access import Caller
from changegate.services.changes.lifecycle import begin_task, follow_state
from changegate.services.changes.presets import find_model_of_type, find_presets, find_type_of_model
from changegate.services.tables.registry import NoRules, Values

NEW = -5
NOT_REQUESTED = "not requested"
SAID_BY_THE_PROCESS = ("opened_at", "opened_by", "closed_at", "closed_by", "approval_set")


class ChangeRules(NoRules):
    """Writes to change_request."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return what the template or model says of a new change."""
        return find_presets(sent)

    def before_create(self, values: Values, caller: Caller) -> None:
        """Let the change begin: its number, its model, who opened it and when (rest_api.md §5.1, §5.2)."""
        values.setdefault("state", NEW)
        # An administrator may bring in changes from elsewhere; nobody else's begins approved or half done.
        if "admin" not in caller.roles or caller.grant is not None:
            _require_beginning(values)
        begin_task(values, caller, table="change_request", prefix="CHG")
        values.setdefault("requested_by", caller.sys_id)
        if not values.get("chg_model"):
            values["chg_model"] = find_model_of_type(values.get("type") or "normal")

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Keep state and activity, type and model in step."""
        follow_state(record, changes, caller)
        _match_type_and_model(changes)


def _require_beginning(values: Values) -> None:
    """Refuse a change that would begin in a later state, and forget what only the process may say of it."""
    if values["state"] != NEW:
        raise OperationFailed(f"A change begins in state {CHANGE_STATES[str(NEW)]} ({NEW})")
    for name in SAID_BY_THE_PROCESS:
        values.pop(name, None)
    values["approval"] = NOT_REQUESTED


def _match_type_and_model(changes: Values) -> None:
    """Let the model follow a new type, and the type a new model; who says both means both."""
    if "type" in changes and "chg_model" not in changes:
        changes["chg_model"] = find_model_of_type(changes["type"])
    elif changes.get("chg_model") and "type" not in changes:
        change_type = find_type_of_model(changes["chg_model"])
        changes |= {"type": change_type} if change_type else {}
