"""The next states of a change, in the form of ServiceNow's Change Management API."""

from collections.abc import Mapping
from typing import Any

from changegate.services.process.moves import decide_about
from changegate.services.state_models.decision import Move


def next_states(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the states that transitions lead to, with the current one, and each transition with its conditions.

    A state is listed in `available_states` even if conditions of its transitions fail; `transition_available` of a
    transition states whether it is possible now. Transitions to the same state form one inner list.
    """
    decision = decide_about(change)
    by_target: dict[int, list[Move]] = {}
    for move in decision.moves:
        by_target.setdefault(move.transition.to_state, []).append(move)
    states = [decision.state, *by_target]
    return {
        "state_label": {str(state): decision.model.label_of(state) for state in states},
        "available_states": [str(state) for state in states],
        "state_transitions": [[_transition(move) for move in moves] for moves in by_target.values()],
    }


def _transition(move: Move) -> dict[str, Any]:
    transition = move.transition
    return {
        "sys_id": transition.sys_id,
        "display_value": transition.name,
        "from_state": str(transition.from_state),
        "to_state": str(transition.to_state),
        "transition_available": move.is_available,
        "automatic_transition": transition.is_automatic,
        "conditions": [
            {
                "passed": check.has_passed,
                "condition": {
                    "name": check.condition.name,
                    "description": check.condition.description,
                    "sys_id": check.condition.sys_id,
                },
            }
            for check in move.checks
        ],
    }
