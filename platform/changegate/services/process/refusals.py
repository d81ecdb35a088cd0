"""Refused moves, in ServiceNow's words, with what is missing; blockers and `nextstates` use the same sentences."""

from collections.abc import Iterable

from changegate.errors import OperationFailed
from changegate.services.process.freezes import describe_freezes
from changegate.services.state_models.conditions import Facts, field_labels
from changegate.services.state_models.decision import Decision, Move

# Clients search the message for the name of the business rule.
ABORTED = (
    "Operation against file 'change_request' was aborted by Business Rule "
    "'Change Model: Check State Transition^03ee7a1fb54b4a5c8df2ad3a0b3c3f52'. "
    "Business Rule Stack:Change Model: Check State Transition. "
)


class MoveRefused(OperationFailed):
    """The state model of a change does not allow a move."""


def move_refused(decision: Decision, state: int) -> OperationFailed:
    """Return the refusal of a move to a state: what is missing, or else where the change can move."""
    moves = decision.moves_to(state)
    if not moves:
        return MoveRefused(f"{ABORTED}From {decision.model.label_of(decision.state)}, {_possible_moves(decision)}")
    missing = moves[0].missing
    if all(condition.field for condition in missing):
        return data_policy(condition.field for condition in missing if condition.field)
    return MoveRefused(f"{ABORTED}{sentence_of(moves[0], decision.facts)}")


def sentence_of(move: Move, facts: Facts) -> str:
    """Return the sentence with the missing conditions of a move, and how to satisfy them."""
    names = ", ".join(condition.name for condition in move.missing)
    sentences = [sentence for each in move.missing for sentence in (*describe_freezes(each, facts), each.description)]
    return f"{move.transition.name} needs: {names}. {' '.join(sentences)}"


def data_policy(names: Iterable[str]) -> OperationFailed:
    """Return the refusal of a write that leaves mandatory fields empty."""
    labels = ", ".join(field_labels(tuple(names)))
    return OperationFailed(f"Data Policy Exception: The following fields are mandatory: {labels}")


def _possible_moves(decision: Decision) -> str:
    states = dict.fromkeys(move.transition.to_state for move in decision.moves if move.is_available)
    names = ", ".join(decision.model.label_of(state) for state in sorted(states)) or "no other state"
    return f"it can move to: {names}."
