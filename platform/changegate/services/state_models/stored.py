"""State models as they are stored: reading, caching, and copying their rows.

    a move of a change ──> the model's row with `states_version` (one statement)
                             ├── known: the parsed model from memory
                             └── unknown: states, transitions, and conditions are read and parsed

Each write of the rows sets another random `states_version` in its transaction, so a cached model is never outdated, in
any process, and a rolled-back version never returns.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, Remembered, parameter
from changegate.errors import OperationFailed
from changegate.models import ChgModel, SttrmState, SttrmStateTransition, SttrmTransitionCondition
from changegate.models.base import new_sys_id
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.state_models.conditions import field_labels, parse_condition
from changegate.services.state_models.model import State, StateModel, Transition, TransitionCondition
from changegate.services.tables.dictionary import sys_id_of

MODELS, STATES = ChgModel.__table__, SttrmState.__table__
TRANSITIONS, CONDITIONS = SttrmStateTransition.__table__, SttrmTransitionCondition.__table__
_STATES = Prepared(
    select(STATES).where(STATES.c["sttrm_model"] == parameter("model")).order_by(STATES.c["order"], STATES.c["sys_id"])
)
_TRANSITIONS = Prepared(
    select(TRANSITIONS)
    .where(TRANSITIONS.c["sttrm_model"] == parameter("model"))
    .order_by(TRANSITIONS.c["order"], TRANSITIONS.c["sys_id"])
)
_CONDITIONS = Prepared(
    select(CONDITIONS)
    .join(TRANSITIONS, TRANSITIONS.c["sys_id"] == CONDITIONS.c["transition"])
    .where(TRANSITIONS.c["sttrm_model"] == parameter("model"))
    .order_by(CONDITIONS.c["order"], CONDITIONS.c["sys_id"])
)


def get_model(sys_id: str) -> StateModel | None:
    """Return a model as it is stored now; None if it does not exist or has no states."""
    model = _MODELS.first({"model": sys_id})
    return model if model is not None and model.states else None


def model_of(change: Mapping[str, Any]) -> StateModel:
    """Return the state model of a change: that of its model, or else that of its type, or else Normal."""
    for sys_id in (change["chg_model"], MODELS_OF_TYPES.get(change["type"]), MODELS_OF_TYPES["normal"]):
        model = get_model(sys_id) if sys_id else None
        if model is not None:
            return model
    raise OperationFailed("This instance has no state models. Run changegate prepare")


def read_model(sys_id: str, name: str) -> StateModel:
    """Return a model from its rows, past the cache; those of this transaction included."""
    states = {row.sys_id: row for row in _STATES.all({"model": sys_id})}
    conditions: dict[str, list[TransitionCondition]] = defaultdict(list)
    for row in _CONDITIONS.all({"model": sys_id}):
        parsed = parse_condition(row.condition)
        conditions[row.transition].append(TransitionCondition(row.sys_id, row.name, parsed, row.description))
    by_value = {row.state_value: _state(row) for row in states.values()}
    rows = [
        row
        for row in _TRANSITIONS.all({"model": sys_id})
        if row.active and row.from_state in states and row.to_state in states
    ]
    transitions = (
        Transition(
            sys_id=row.sys_id,
            name=row.name,
            from_state=states[row.from_state].state_value,
            to_state=states[row.to_state].state_value,
            is_automatic=row.automatic_transition,
            conditions=(*conditions[row.sys_id], *_mandatory(row.sys_id, _state(states[row.to_state]))),
        )
        for row in rows
    )
    return StateModel(sys_id, name, by_value, tuple(transitions))


def new_version(sys_id: str, version: str | None = None) -> None:
    """Give a model another version, and lock its row, so that two writers of its rows wait for each other."""
    connection().execute(
        update(MODELS).where(MODELS.c["sys_id"] == sys_id).values(states_version=version or secrets.token_hex(16))
    )


def copy_rows(source: str, target: str, stamps: Mapping[str, Any]) -> None:
    """Copy the states, transitions, and conditions of a model to another one."""
    ids: dict[str, str] = defaultdict(new_sys_id)
    of_source = {"model": source}
    insert_rows(STATES, (_copied(row, ids, stamps, sttrm_model=target) for row in _STATES.all(of_source)))
    rows = (
        _copied(row, ids, stamps, sttrm_model=target, from_state=ids[row.from_state], to_state=ids[row.to_state])
        for row in _TRANSITIONS.all(of_source)
    )
    insert_rows(TRANSITIONS, rows)
    conditions = _CONDITIONS.all(of_source)
    insert_rows(CONDITIONS, (_copied(row, ids, stamps, transition=ids[row.transition]) for row in conditions))


def insert_rows(table: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if listed := list(rows):
        connection().execute(insert(table), listed)


def _copied(row: Any, ids: Mapping[str, str], stamps: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    # The named tuple of a row renames `order` nowhere: it is no keyword of Python.
    return {**row._asdict(), **stamps, **changed, "sys_id": ids[row.sys_id]}


def _state(row: Any) -> State:
    names = tuple(name.strip() for name in (row.mandatory_fields or "").split(",") if name.strip())
    return State(row.state_value, row.state_label, row.initial, names)


def _mandatory(transition: str, state: State) -> Iterable[TransitionCondition]:
    """Yield the conditions that the mandatory fields of the target state add to a transition."""
    for name, label in zip(state.mandatory_fields, field_labels(state.mandatory_fields), strict=True):
        # Each condition has a sys_id of its own on the wire; this one has no row, so it is derived from both.
        sys_id = sys_id_of(transition, name)
        parsed = parse_condition(f"{name}ISNOTEMPTY")
        yield TransitionCondition(sys_id, f"{label} set", parsed, f"Set {label} ({name}).", field=name)


_MODELS: Remembered[StateModel] = Remembered(
    Prepared(
        select(MODELS.c["sys_id"], MODELS.c["name"], MODELS.c["states_version"]).where(
            MODELS.c["sys_id"] == parameter("model")
        )
    ),
    lambda row: read_model(row.sys_id, row.name),
)
