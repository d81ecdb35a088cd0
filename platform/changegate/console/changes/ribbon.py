"""The ribbon: the states of a change's model, the moves that are possible, and what the others wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changegate.console.records.record_form import FormField
from changegate.models.base import Entry
from changegate.services.process.blockers import Blocker, list_blockers
from changegate.services.process.moves import decide_about
from changegate.services.state_models.decision import Decision, Move
from changegate.services.state_models.shipped import CANCELED
from changegate.services.state_models.validation import list_reachable
from changegate.services.tables.registry import Table

# The sentence that a move backward is asked for goes into the work notes.
REASON = "work_notes"
# Buttons of moves with the names that shipped models give them; a model of a site names its moves itself.
BUTTONS: Mapping[str, str] = {
    "New to Assess": "Request approval",
    "New to Authorize": "Request approval",
    "New to Scheduled": "Schedule",
    "Scheduled to Implement": "Start work",
    "Implement to Review": "Finish work",
    "Review to Closed": "Close the change",
}


@dataclass(frozen=True, slots=True)
class StateStep:
    """A state of the model: before the current one, the current one, or after it."""

    label: str
    value: int
    position: str


@dataclass(frozen=True, slots=True)
class MoveTarget:
    """A state to move the change to: its button in words, the inputs that the move needs, and what prevents it."""

    value: int
    label: str
    words: str
    is_forward: bool
    inputs: Sequence[FormField]
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What the change can do next, and what it waits for."""

    steps: Sequence[StateStep]
    targets: Sequence[MoveTarget]
    blockers: Sequence[Blocker]


def journal_inputs(table: Table) -> Mapping[str, FormField]:
    """Return the inputs for the journals of a table, by name."""
    entry = Entry("string", "", 4000)
    return {name: FormField(name, label, "text", entry) for name, label in table.journal_fields.items()}


def ribbon_of(change: Mapping[str, Any], fields: Mapping[str, FormField]) -> Ribbon:
    """Return the ribbon of a change with all its values; `fields` are the inputs of its form by name."""
    decision = decide_about(change)
    # A move that is possible has a button.
    blockers = [blocker for blocker in list_blockers(change) if blocker.code != "move"]
    return Ribbon(_steps(decision), _targets(decision, fields), blockers)


def _steps(decision: Decision) -> list[StateStep]:
    """Return the states of the model that the change could take, in their order; Canceled only if it is canceled."""
    model = decision.model
    on_the_way = list_reachable(model, [state.value for state in model.states.values() if state.is_initial])
    possible = on_the_way - {CANCELED} | {decision.state}
    shown = [state for state in model.states.values() if state.value in possible]
    at = next((position for position, state in enumerate(shown) if state.value == decision.state), 0)
    return [
        StateStep(state.label, state.value, "done" if position < at else "current" if position == at else "next")
        for position, state in enumerate(shown)
    ]


def _targets(decision: Decision, fields: Mapping[str, FormField]) -> list[MoveTarget]:
    """Return the states that people can move the change to: the way on first, then the ways back."""
    manual: dict[int, Move] = {}
    for move in decision.moves:
        if not move.transition.is_automatic:
            manual.setdefault(move.transition.to_state, move)
    targets = [_target(decision, move, fields) for move in manual.values()]
    return sorted(targets, key=lambda target: not target.is_forward)


def _target(decision: Decision, move: Move, fields: Mapping[str, FormField]) -> MoveTarget:
    state = move.transition.to_state
    is_forward = state not in {CANCELED, decision.model.initial}
    wanted = dict.fromkeys(each.field for each in move.missing if each.field)
    if not is_forward:
        wanted[REASON] = None
    missing = [each.description for each in move.missing if not each.field]
    inputs = [fields[name] for name in wanted if name in fields]
    label = decision.model.label_of(state)
    return MoveTarget(state, label, _words(decision, move, label), is_forward, inputs, missing)


def _words(decision: Decision, move: Move, label: str) -> str:
    """Return the text of a button: the name of the transition, or the state if it is named after its states."""
    name, state = move.transition.name, move.transition.to_state
    if name != f"{decision.model.label_of(decision.state)} to {label}":
        return name
    if state == CANCELED:
        return "Cancel the change"
    return BUTTONS.get(name, f"Back to {label}" if state == decision.model.initial else label)
