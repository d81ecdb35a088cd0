"""The rules for writes of change requests; no other module decides about them."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import AccessRefused, OperationFailed
from changegate.models.change_request import CHANGE_STATES
from changegate.services.access.caller import Caller
from changegate.services.process.creation_presets import find_model_of_type, find_presets, find_type_of_model
from changegate.services.process.lifecycle import TaskRules, begin_task, follow_state
from changegate.services.process.transitions import NEW, STANDARD, passes_gates, require_move
from changegate.services.tables.registry import Values

NOT_REQUESTED = "not requested"
PROCESS_FIELDS = ("opened_at", "opened_by", "closed_at", "closed_by", "approval_set")
PROTECTED_FIELD_REFUSED = (
    "{}: only a change manager or an administrator, by name and password, may change this field of a change that exists"
)


class ChangeRules(TaskRules):
    """Rules of change_request."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the values that the template or the model sets in a new change."""
        return find_presets(sent)

    def before_create(self, values: Values, caller: Caller) -> None:
        """Set the state, number, and model of a new change, who opened it, and when.

        See docs/reference/change-records.md#numbers-and-defaults.
        """
        values.setdefault("state", NEW)
        # Administrators may import changes in any state. All other changes begin new and unapproved.
        if "admin" not in caller.roles or caller.grant is not None:
            _require_beginning(values)
        begin_task(values, caller, table="change_request", prefix="CHG")
        values.setdefault("requested_by", caller.sys_id)
        if not values.get("chg_model"):
            values["chg_model"] = find_model_of_type(values.get("type") or "normal")

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse fields that approvals decide, ignore process fields, and keep state, type, and model consistent."""
        changes.pop("approval", None)
        _match_type_and_model(changes)
        if not passes_gates(caller):
            for name in PROCESS_FIELDS:
                changes.pop(name, None)
            _refuse_protected_fields(record, changes)
        require_move(record, changes, caller)
        follow_state(record, changes, caller)


def _require_beginning(values: Values) -> None:
    """Refuse a change that would begin in a later state, and drop fields that only the process may set."""
    if values["state"] != NEW:
        raise OperationFailed(f"A change begins in state {CHANGE_STATES[str(NEW)]} ({NEW})")
    for name in PROCESS_FIELDS:
        values.pop(name, None)
    values["approval"] = NOT_REQUESTED


def _refuse_protected_fields(record: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse changes of the requester, and of fields that determine which approvals a change needs."""
    changed = {name for name, value in changes.items() if value != record[name]}
    is_other_type = "type" in changed and (record["state"] != NEW or changes["type"] == STANDARD)
    refused = changed & {"requested_by", "std_change_producer_version"} | ({"type"} if is_other_type else set())
    if refused:
        raise AccessRefused("Operation Failed", PROTECTED_FIELD_REFUSED.format(min(refused)))


def _match_type_and_model(changes: Values) -> None:
    """Derive the model from a new type, or the type from a new model; if both are sent, keep both."""
    if "type" in changes and "chg_model" not in changes:
        changes["chg_model"] = find_model_of_type(changes["type"])
    elif changes.get("chg_model") and "type" not in changes:
        change_type = find_type_of_model(changes["chg_model"])
        changes |= {"type": change_type} if change_type else {}
