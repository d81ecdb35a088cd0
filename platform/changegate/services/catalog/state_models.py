"""The tables of state models: models, states, transitions, and conditions."""

from functools import partial

from changegate.models import ChgModel, SttrmState, SttrmStateTransition, SttrmTransitionCondition
from changegate.services.catalog.access import READ_BY_ANYONE, REFERENCE_DATA
from changegate.services.history.recorded_rules import recorded
from changegate.services.state_models.row_rules import ConditionRules, ModelRules, StateRules, TransitionRules
from changegate.services.tables.registry import Table

_recorded = partial(recorded, subject_table="chg_model", recorded_as="model_edited")
_table = partial(Table, access=REFERENCE_DATA, blank_fields=("sys_tags",), is_closed_to_tokens=True)

STATE_MODEL_TABLES = (
    # Read only: models are written as chg_model, the class that extends it.
    Table("sttrm_model", "Model", ChgModel, "name", READ_BY_ANYONE, blank_fields=("sys_tags",)),
    _table(
        "chg_model",
        "Change Model",
        ChgModel,
        "name",
        rules=_recorded(ModelRules, "chg_model"),
        extends="sttrm_model",
        parts=(("sttrm_state", "sttrm_model"), ("sttrm_state_transition", "sttrm_model")),
    ),
    _table(
        "sttrm_state",
        "State",
        SttrmState,
        "state_label",
        rules=_recorded(StateRules, "sttrm_state", subject_of=StateRules.model_of),
        parts=(("sttrm_state_transition", "from_state"), ("sttrm_state_transition", "to_state")),
    ),
    _table(
        "sttrm_state_transition",
        "State Transition",
        SttrmStateTransition,
        "name",
        rules=_recorded(TransitionRules, "sttrm_state_transition", subject_of=TransitionRules.model_of),
        parts=(("sttrm_transition_condition", "transition"),),
    ),
    _table(
        "sttrm_transition_condition",
        "Transition Condition",
        SttrmTransitionCondition,
        "name",
        rules=_recorded(ConditionRules, "sttrm_transition_condition", subject_of=ConditionRules.model_of),
    ),
)
