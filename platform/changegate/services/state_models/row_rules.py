"""The rules for writes of state models: shipped ones are read-only, and an active one must be valid."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid, OperationFailed, RecordNotFound
from changegate.models.task import Task
from changegate.services.access.caller import Caller
from changegate.services.state_models.conditions import TABLE, parse_condition
from changegate.services.state_models.shipped import READ_ONLY
from changegate.services.state_models.stored import (
    CONDITIONS,
    MODELS,
    STATES,
    TRANSITIONS,
    copy_rows,
    new_version,
    read_model,
)
from changegate.services.state_models.validation import find_problems
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Rules, Values

STAMPS = ("sys_created_on", "sys_created_by", "sys_updated_on", "sys_updated_by", "sys_mod_count")
COPIED = ("description", "color", "table_name", "state_field", "record_preset")
_MODEL = Prepared(select(MODELS).where(MODELS.c["sys_id"] == parameter("model")))
_LOCKED_MODEL = Prepared(
    select(MODELS.c["sys_id"])
    .where(MODELS.c["sys_id"] == parameter("model"))
    .with_for_update(key_share=True)
    .execution_options(locks_rows=True)
)
_MODEL_OF_STATE = Prepared(select(STATES.c["sttrm_model"]).where(STATES.c["sys_id"] == parameter("state")))
_MODEL_OF_TRANSITION = Prepared(
    select(TRANSITIONS.c["sttrm_model"]).where(TRANSITIONS.c["sys_id"] == parameter("transition"))
)
# The row itself, by sys_id, for each class of rules.
_STATE = Prepared(select(STATES).where(STATES.c["sys_id"] == parameter("sys_id")))
_TRANSITION = Prepared(select(TRANSITIONS).where(TRANSITIONS.c["sys_id"] == parameter("sys_id")))
_CONDITION = Prepared(select(CONDITIONS).where(CONDITIONS.c["sys_id"] == parameter("sys_id")))


class ModelRules(Rules):
    """Rules of chg_model."""

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the fields of the model that a new model is a copy of."""
        source = _MODEL.first({"model": sent["copied_from"]}) if sent.get("copied_from") else None
        return {} if source is None else {name: getattr(source, name) for name in COPIED if getattr(source, name)}

    def after_create(self, values: Values, caller: Caller) -> None:
        """Copy the states, transitions, and conditions of the model that the new one is a copy of."""
        if source := values.get("copied_from"):
            copy_rows(source, values["sys_id"], {name: values[name] for name in STAMPS})
            new_version(values["sys_id"])
        _require_valid(values["sys_id"])

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a change of a shipped model, and ignore another source of a copy."""
        changes.pop("copied_from", None)
        if changes:
            _refuse_shipped(record)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse to activate an invalid model."""
        new_version(record["sys_id"])
        _require_valid(record["sys_id"])

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a shipped model, an active one, and one that changes use."""
        _refuse_shipped(record)
        if record["active"]:
            raise OperationFailed(f"Model {record['name']} is active. Deactivate it before you delete it")
        used = select(func.count()).where(Task.__table__.c["chg_model"] == record["sys_id"])
        if count := connection().execute(used).scalar_one():
            raise OperationFailed(f"Model {record['name']} is used by {count} changes. Keep it, and leave it inactive")


class _PartRules(Rules):
    """Rules of the rows that belong to a model: the model must not be shipped, and be valid afterwards if active."""

    # The fields that connect a row with its model.
    owners: tuple[str, ...] = ("sttrm_model",)
    # The statement for a row by sys_id.
    stored: Prepared = _STATE

    def model_of(self, row: Mapping[str, Any]) -> str:
        """Return the sys_id of the model that a row belongs to."""
        return str(row["sttrm_model"])

    def require_valid_row(self, row: Mapping[str, Any]) -> None:
        """Refuse a row that no model may have. Raises `InputInvalid`."""

    def before_lock(self, sys_id: str) -> None:
        """Lock the model before its row: all writers of a model take their locks in this order."""
        row = self.stored.first({"sys_id": sys_id}) if sys_id.isprintable() else None
        if row is not None:
            _LOCKED_MODEL.first({"model": self.model_of(row._asdict())})

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse a new row of a shipped model, and an invalid one."""
        if all(values.get(name) for name in self.owners):
            _LOCKED_MODEL.first({"model": self.model_of(values)})
            _require_editable(self.model_of(values))
            self.require_valid_row(values)

    def after_create(self, values: Values, caller: Caller) -> None:
        """Refuse a row that makes an active model invalid."""
        _follow(self.model_of(values))

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse changes of a shipped model, and an invalid row. A row stays in its model."""
        for name in self.owners:
            changes.pop(name, None)
        if changes:
            _require_editable(self.model_of(record))
            self.require_valid_row({**record, **changes})

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse changes that make an active model invalid."""
        _follow(self.model_of(record))

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion of a row of a shipped model."""
        _require_editable(self.model_of(record))

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse a deletion that makes an active model invalid."""
        _follow(self.model_of(record))


class StateRules(_PartRules):
    """Rules of sttrm_state."""

    def require_valid_row(self, row: Mapping[str, Any]) -> None:
        """Refuse mandatory fields that a change does not have."""
        columns = get_table(TABLE).columns
        for name in filter(None, (row.get("mandatory_fields") or "").split(",")):
            if name.strip() not in columns:
                raise InputInvalid({"mandatory_fields": [f"{name.strip()[:100]!r} is not a field of a change."]})


class TransitionRules(_PartRules):
    """Rules of sttrm_state_transition."""

    stored = _TRANSITION

    def require_valid_row(self, row: Mapping[str, Any]) -> None:
        """Refuse states of other models, and a transition to its own state."""
        for name in ("from_state", "to_state"):
            state = _MODEL_OF_STATE.first({"state": row.get(name)})
            if state is None or state.sttrm_model != row["sttrm_model"]:
                raise InputInvalid({name: ["The state belongs to another model. Choose a state of the same model."]})
        if row["from_state"] == row["to_state"]:
            raise InputInvalid({"to_state": ["A write of the same state is no transition. Choose another state."]})


class ConditionRules(_PartRules):
    """Rules of sttrm_transition_condition."""

    owners = ("transition",)
    stored = _CONDITION

    def model_of(self, row: Mapping[str, Any]) -> str:
        """Return the sys_id of the model of the transition."""
        return str(_require(_MODEL_OF_TRANSITION, transition=row["transition"]).sttrm_model)

    def require_valid_row(self, row: Mapping[str, Any]) -> None:
        """Refuse an encoded query with a term that cannot be evaluated."""
        if not parse_condition(row.get("condition") or "").fields:
            raise InputInvalid({"condition": ["A condition such as task.active=0 is expected."]})

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Give the model another version. Without the condition, the model is as valid as before."""
        transition = _MODEL_OF_TRANSITION.first({"transition": record["transition"]})
        if transition is not None:
            new_version(transition.sttrm_model)


def _require(statement: Prepared, **values: str) -> Any:
    row = statement.first(values)
    if row is None:
        raise RecordNotFound
    return row


def _refuse_shipped(model: Any) -> None:
    if model["sys_policy"] == READ_ONLY:
        raise OperationFailed(
            f"Model {model['name']} is shipped and read-only. Create a model with copied_from={model['sys_id']}, and "
            "change the copy"
        )


def _require_editable(model: str) -> None:
    _refuse_shipped(_require(_MODEL, model=model)._asdict())


def _follow(model: str) -> None:
    """Give a model another version, and refuse the write if it made an active model invalid."""
    # First: it locks the model's row, so that the rows of another writer are visible to the validation.
    new_version(model)
    _require_valid(model)


def _require_valid(sys_id: str) -> None:
    row = _require(_MODEL, model=sys_id)
    model = read_model(sys_id, row.name)
    # A model without states has those of the shipped model of its type.
    if row.active and model.states and (problems := " ".join(find_problems(model))):
        raise OperationFailed(f"Model {row.name} cannot be active: {problems} Deactivate it while you change it")
