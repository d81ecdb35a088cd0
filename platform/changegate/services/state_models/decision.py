"""The decision: which moves of a change are possible, and for each what passed and what is missing.

It is pure: everything that it takes into account is in the model and in the facts. Each write path, `nextstates`,
refusals, and blockers use it.
"""

from dataclasses import dataclass

from changegate.services.state_models.conditions import Facts
from changegate.services.state_models.model import StateModel, Transition, TransitionCondition


@dataclass(frozen=True, slots=True)
class MoveCheck:
    """One condition of a transition, and whether the facts pass it."""

    condition: TransitionCondition
    has_passed: bool


@dataclass(frozen=True, slots=True)
class Move:
    """One transition from the current state, with its checks."""

    transition: Transition
    checks: tuple[MoveCheck, ...]

    @property
    def is_available(self) -> bool:
        """Return whether every condition passed."""
        return all(check.has_passed for check in self.checks)

    @property
    def missing(self) -> tuple[TransitionCondition, ...]:
        """The conditions that failed."""
        return tuple(check.condition for check in self.checks if not check.has_passed)


@dataclass(frozen=True, slots=True)
class Decision:
    """The moves from the current state of a change, and the facts they depend on; a final state has none."""

    model: StateModel
    state: int
    moves: tuple[Move, ...]
    facts: Facts

    def moves_to(self, state: int) -> tuple[Move, ...]:
        """Return the moves that lead to a state, the available ones first."""
        moves = (move for move in self.moves if move.transition.to_state == state)
        return tuple(sorted(moves, key=lambda move: (not move.is_available, len(move.missing))))

    @property
    def automatic_move(self) -> Move | None:
        """The first automatic move that is available, or None."""
        automatic = (move for move in self.moves if move.transition.is_automatic)
        return next((move for move in automatic if move.is_available), None)


def decide(model: StateModel, facts: Facts) -> Decision:
    """Return the decision of a model about a change with these facts, which include `state`."""
    state = facts["state"]
    moves = tuple(Move(transition, _checks(transition, facts)) for transition in model.transitions_from(state))
    return Decision(model, state, moves, facts)


def _checks(transition: Transition, facts: Facts) -> tuple[MoveCheck, ...]:
    return tuple(MoveCheck(condition, condition.condition.matches(facts)) for condition in transition.conditions)
