"""A state model in the form in which it decides: states, transitions, and parsed conditions."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.services.state_models.conditions import FactCondition


@dataclass(frozen=True, slots=True)
class TransitionCondition:
    """A named condition; `description` explains how to satisfy it.

    `field` is the field that the target state makes mandatory, for a condition that follows from this.
    """

    sys_id: str
    name: str
    condition: FactCondition
    description: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A transition between two states, by their values; an automatic one is made without a caller's request."""

    sys_id: str
    name: str
    from_state: int
    to_state: int
    is_automatic: bool
    conditions: tuple[TransitionCondition, ...]


@dataclass(frozen=True, slots=True)
class State:
    """A state, and the fields that a change in it must have."""

    value: int
    label: str
    is_initial: bool
    mandatory_fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StateModel:
    """The states of a model by value, and its active transitions in the order in which they are considered."""

    sys_id: str
    name: str
    states: Mapping[int, State]
    transitions: tuple[Transition, ...]

    @property
    def initial(self) -> int | None:
        """The value of the state in which a change begins, or None in an unfinished model."""
        return next((state.value for state in self.states.values() if state.is_initial), None)

    def label_of(self, value: int) -> str:
        """Return the label of a state, or its value if the model does not have it."""
        state = self.states.get(value)
        return str(value) if state is None else state.label

    def transitions_from(self, value: int) -> tuple[Transition, ...]:
        """Return the transitions that leave a state; a final state has none."""
        return tuple(transition for transition in self.transitions if transition.from_state == value)

    def is_final(self, value: int) -> bool:
        """Return whether no transition leaves a state."""
        return not self.transitions_from(value)

    def facts_needed_in(self, value: int) -> frozenset[str]:
        """Return the facts that the moves from a state depend on."""
        conditions = (condition for move in self.transitions_from(value) for condition in move.conditions)
        return frozenset(name for condition in conditions for name in condition.condition.fields)

    def mandatory_in(self, value: int) -> tuple[str, ...]:
        """Return the fields that a change in a state must have."""
        state = self.states.get(value)
        return () if state is None else state.mandatory_fields
