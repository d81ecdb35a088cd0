"""The rules for writes of change requests; no other module decides about them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from changegate.errors import AccessRefused, OperationFailed
from changegate.models.change_request import CHANGE_STATES
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.access.caller import Caller
from changegate.services.approvals.bound import is_bound
from changegate.services.approvals.content import ATTACHMENTS
from changegate.services.approvals.requests import end_open, hold_approvals, release_approvals
from changegate.services.approvals.rollup import NOT_REQUESTED, REJECTED
from changegate.services.approvals.rounds import Round
from changegate.services.conflicts.detection import CONFLICT, NOT_RUN, RELEVANT_FIELDS, detect, status_of_new, withdraw
from changegate.services.conflicts.overlaps import is_planned
from changegate.services.history.chain import begin
from changegate.services.process.creation_presets import (
    find_model_of_type,
    find_presets,
    find_type_of_model,
    require_active,
)
from changegate.services.process.edits import after_edit, after_item
from changegate.services.process.freezes import keep_edited_in_freezes
from changegate.services.process.lifecycle import TaskRules, begin_task, follow_state, is_import
from changegate.services.process.moves import advance, after_move, ends_change, require_move
from changegate.services.process.recording import record_edits
from changegate.services.process.refusals import data_policy
from changegate.services.process.risk_calculation import begin_risk, edited_by_caller, follow_edit
from changegate.services.process.work_tasks import hold_tasks, release_tasks
from changegate.services.schedules.freezes import compared_fields
from changegate.services.standard_changes.content import STANDARD
from changegate.services.standard_changes.templates import begin_from_template, keep_template
from changegate.services.state_models.shipped import NEW
from changegate.services.state_models.stored import get_model, model_of
from changegate.services.tables.rules import AttachedFile, Values

EMERGENCY = "emergency"
# Fields that only the process sets, and an administrator who imports a change.
PROCESS_FIELDS = ("opened_at", "opened_by", "closed_at", "closed_by", "approval_set")
# Who asked for a change and from which template it was created decide who may approve it, and whether anybody has to.
FIXED_FIELDS = ("requested_by", "std_change_producer_version")
FIELD_FIXED = "{}: the field cannot change after the creation of a change. Cancel the change and create another one"
TYPE_OF_MODEL = "type: the model of this change sets the type {}. Send this type, or another model"
UNAUTHORIZED_TYPE = (
    "unauthorized: an unauthorized change has the type Emergency. Set type to emergency, or unauthorized to false"
)
DELETED = "the change was deleted"
EXCLUSION = "exclude_from_conflict_detection"
EXCLUSION_REFUSED = f"{EXCLUSION}: only a change manager can exclude a change. Ask one, or resolve the conflict"
TYPE_FIXED = "{}: type and model can change only in the initial state, without approvals, and never to Standard"


class ChangeRules(TaskRules):
    """Rules of change_request."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the values that the template or the model sets in a new change."""
        return find_presets(sent)

    def before_create(self, values: Values, caller: Caller) -> None:
        """Set the state, number, and model of a new change, who opened it, and when.

        See docs/reference/change-records.md#numbers-and-defaults.
        """
        if not values.get("chg_model"):
            values["chg_model"] = find_model_of_type(values.get("type") or "normal")
        _require_type_of_model(values)
        initial = _initial_state(values["chg_model"])
        values.setdefault("state", initial)
        # Administrators may import changes in any state. All other changes begin new and unapproved.
        if not is_import(caller):
            _require_beginning(values, initial)
        if missing := begin_from_template(values, caller):
            raise data_policy(missing)
        begin_task(values, caller, table="change_request")
        begin_risk(values)
        values.setdefault("requested_by", caller.sys_id)
        _require_manager_of_exclusion(values, caller)
        # Last, because it takes a lock.
        values |= status_of_new(values)

    def after_create(self, values: Values, caller: Caller) -> None:
        """Store the conflicts; begin the history of a change that is imported in a later state, or with an approval."""
        if values.get("conflict_last_run") and values["conflict_status"] == CONFLICT:
            detect(values)
        if (values["state"], values["approval"]) != (_initial_state(values["chg_model"]), NOT_REQUESTED):
            begin("change_request", values["sys_id"])

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse what approvals and the state model decide, ignore process fields, and keep the fields consistent."""
        for name in ("approval", "conflict_status", *PROCESS_FIELDS):
            changes.pop(name, None)
        _match_type_and_model(changes)
        _refuse_fixed_fields(record, changes)
        _require_unauthorized_emergency({**record, **changes}, changes)
        if missing := keep_template(record, changes):
            raise data_policy(missing)
        follow_edit(record, changes)
        keep_edited_in_freezes(record, changes, caller)
        require_move(record, changes)
        _require_reason_of_hold(record, changes)
        _require_mandatory_fields(record, changes)
        _require_manager_of_exclusion(changes, caller)
        follow_state(record, changes, caller, partial(ends_change, {**record, **changes}))
        if _may_change_conflicts({**record, **changes}, changes):
            # Last, because it takes a lock.
            changes |= detect({**record, **changes}, before=record)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Record what was edited, and carry out the effects of a move, or of a hold and its end."""
        is_released = changes.get("on_hold") is False
        if is_released:
            # Also before a move of the same write. A move requests approvals itself.
            release_tasks(record, caller)
        if "state" in changes:
            return after_move(record, caller)
        record_edits(record, changes, caller)
        if changes.get("on_hold") or (record["on_hold"] and "on_hold_reason" in changes and "on_hold" not in changes):
            hold_tasks({**record, **changes}, caller)
            hold_approvals(Round({**record, **changes}, caller))
        elif is_released:
            release_approvals(Round({**record, **changes}, caller))
            released = advance(record["sys_id"], caller)
            return after_edit(record["sys_id"], edited_by_caller(changes), caller) or released
        # In other states, nothing depends on an edit, and the change is not read again.
        return after_edit(record["sys_id"], edited_by_caller(changes), caller) if is_bound(record) else None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """End the open approvals, which cannot be answered without the change, and record the deletion."""
        end_open(Round(record, caller), DELETED)
        withdraw(record["sys_id"])
        super().before_delete(record, caller)

    def after_attachment(
        self, sys_id: str, removed: AttachedFile | None, added: AttachedFile | None, caller: Caller
    ) -> None:
        """Void the answers that depend on the attachments."""
        before, after = (None if file is None else list(file) for file in (removed, added))
        after_item(sys_id, ATTACHMENTS, before, after, caller)


def _initial_state(model: str | None) -> int:
    """Return the initial state of a model; that of shipped models needs no statement."""
    stored = None if model is None or model in MODELS_OF_TYPES.values() else get_model(model)
    initial = None if stored is None else stored.initial
    return NEW if initial is None else initial


def _require_beginning(values: Values, initial: int) -> None:
    """Refuse a change that would begin in a later state, and drop fields that only the process may set."""
    if values["state"] != initial:
        raise OperationFailed(f"A change begins in state {CHANGE_STATES.get(str(initial), initial)} ({initial})")
    if values.get("on_hold"):
        raise OperationFailed("on_hold: a change cannot be created on hold")
    _require_unauthorized_emergency(values, values)
    for name in PROCESS_FIELDS:
        values.pop(name, None)
    values |= {"approval": NOT_REQUESTED, "conflict_status": NOT_RUN}


def _refuse_fixed_fields(record: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse changes of the requester and the template, and changes of type that would bypass an approval."""
    changed = [name for name, value in changes.items() if value != record[name]]
    for name in FIXED_FIELDS:
        if name in changed:
            raise AccessRefused("Operation Failed", FIELD_FIXED.format(name))
    fields = [name for name in ("chg_model", "type") if name in changed]
    if fields and not _may_change_type({**record, **changes}, record):
        raise AccessRefused("Operation Failed", TYPE_FIXED.format(fields[-1]))
    if fields:
        _require_type_of_model({**record, **changes})
    if changes.get("chg_model") and "chg_model" in changed:
        require_active(changes["chg_model"])


def _may_change_type(change: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    model = change["chg_model"]
    is_standard = STANDARD in {change["type"], find_type_of_model(model) if model else None}
    states = {model_of(record).initial, model_of({**change, "state": record["state"]}).initial}
    is_unapproved = record["approval"] in {NOT_REQUESTED, REJECTED}
    return is_unapproved and states == {record["state"]} and (not is_standard or record["type"] == STANDARD)


def _match_type_and_model(changes: Values) -> None:
    """Derive the model from a new type, or the type from a new model."""
    if "type" in changes and "chg_model" not in changes:
        changes["chg_model"] = find_model_of_type(changes["type"])
    elif changes.get("chg_model") and "type" not in changes:
        change_type = find_type_of_model(changes["chg_model"])
        changes |= {"type": change_type} if change_type else {}


def _require_type_of_model(change: Mapping[str, Any]) -> None:
    """Refuse a type other than that of the model, which decides about moves; the type decides about approvals."""
    change_type = find_type_of_model(change["chg_model"]) if change.get("chg_model") else None
    if change_type and (change.get("type") or "normal") != change_type:
        raise OperationFailed(TYPE_OF_MODEL.format(change_type))


def _may_change_conflicts(change: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Return whether edits decide about conflicts with other changes, or about the freezes that cover a change."""
    is_relevant = not RELEVANT_FIELDS.isdisjoint(changes)
    return is_relevant or (is_planned(change) and not compared_fields().isdisjoint(changes))


def _require_unauthorized_emergency(change: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    is_edited = {"unauthorized", "type"} & changes.keys()
    if is_edited and change.get("unauthorized") and change.get("type") != EMERGENCY:
        raise OperationFailed(UNAUTHORIZED_TYPE)


def _require_manager_of_exclusion(changes: Mapping[str, Any], caller: Caller) -> None:
    """Refuse callers who hide a change from the conflicts of others without being a manager of changes."""
    if changes.get(EXCLUSION):
        caller.permissions.require_role({"change_manager"}, EXCLUSION_REFUSED)


def _require_reason_of_hold(record: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse a hold without a reason, and in a state in which nothing can be held."""
    change = {**record, **changes}
    if not change["on_hold"] or not {"on_hold", "on_hold_reason", "state"} & changes.keys():
        return
    if not change["on_hold_reason"]:
        raise data_policy(["on_hold_reason"])
    model = model_of(change)
    if change["state"] == model.initial or model.is_final(change["state"]):
        raise OperationFailed(f"on_hold: a change in {model.label_of(change['state'])} cannot be put on hold")


def _require_mandatory_fields(record: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Refuse to empty a field that is mandatory in the state of a change; moves check it themselves."""
    emptied = [name for name, value in changes.items() if value in {None, ""}]
    if emptied and "state" not in changes:
        mandatory = model_of({**record, **changes}).mandatory_in(record["state"])
        if missing := [name for name in mandatory if name in emptied]:
            raise data_policy(missing)
