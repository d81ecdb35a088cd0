"""Bound states: as long as Implement lies ahead of a change, its approvals depend on its content and on people."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from changegate.database import connection
from changegate.models import ChgModel, Task
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.state_models.model import StateModel
from changegate.services.state_models.shipped import ASSESS, AUTHORIZE, IMPLEMENT, SCHEDULED
from changegate.services.state_models.stored import get_model, model_of

# Shipped models are read-only, so that their states need no statement.
_SHIPPED_MODELS = frozenset(MODELS_OF_TYPES.values())
_SHIPPED_STATES = (ASSESS, AUTHORIZE, SCHEDULED)
_TASKS = Task.__table__.c


def is_bound(change: Mapping[str, Any]) -> bool:
    """Return whether an edit of the change, time, and people can still end its approvals."""
    if change["chg_model"] in _SHIPPED_MODELS:
        return change["state"] in _SHIPPED_STATES
    return change["state"] in bound_states(model_of(change))


def bound_states(model: StateModel) -> frozenset[int]:
    """Return the states from which a change can move to Implement, other than through the initial state.

    In a model without Implement, these are the states from which it can move to a final one.
    """
    final = {state for state in model.states if not model.transitions_from(state)}
    targets = {IMPLEMENT} if IMPLEMENT in model.states else final
    ahead, added = set(targets), set(targets)
    while added:
        added = {each.from_state for each in model.transitions if each.to_state in added - {model.initial}} - ahead
        ahead |= added
    return frozenset(ahead - targets - {model.initial})


def bound_changes() -> ColumnElement[bool]:
    """Return the clause for the changes in a bound state; reads the models of the site."""
    bound: dict[str | None, tuple[int, ...]] = dict.fromkeys((None, *_SHIPPED_MODELS), _SHIPPED_STATES)
    own = select(ChgModel.sys_id).where(ChgModel.sys_id.not_in(_SHIPPED_MODELS))
    for sys_id in connection().execute(own).scalars():
        if model := get_model(sys_id):
            bound[sys_id] = tuple(bound_states(model))
    clauses = (and_(_TASKS["chg_model"].is_not_distinct_from(each), _TASKS["state"].in_(bound[each])) for each in bound)
    states = {state for of_model in bound.values() for state in of_model}
    # The states alone as well, because an index finds the changes in a list of states.
    return and_(_TASKS["sys_class_name"] == "change_request", _TASKS["state"].in_(states), or_(*clauses))
