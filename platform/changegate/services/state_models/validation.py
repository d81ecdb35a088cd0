"""Validation of a state model: states that cannot be reached or left, and cycles of automatic transitions."""

from collections.abc import Iterable, Iterator, Mapping

from changegate.services.state_models.model import StateModel


def find_problems(model: StateModel) -> Iterator[str]:
    """Yield a sentence for each problem that a model must not have when it is active."""
    initial = [state.value for state in model.states.values() if state.is_initial]
    if len(initial) != 1:
        yield f"The model needs exactly one initial state; it has {len(initial)}."
        return
    following = _following(model)
    reachable = _reach(following, initial)
    if lost := _labels(model, model.states.keys() - reachable):
        yield f"No transition leads to {lost}."
    final = {value for value, next_states in following.items() if not next_states}
    if stranded := _labels(model, (value for value in following if not final & _reach(following, [value]))):
        yield f"No transition leads from {stranded} to a final state."
    if cycle := _labels(model, _in_cycles(_following(model, automatic_only=True))):
        yield f"The automatic transitions between {cycle} form a cycle. Make one of them manual."


def list_reachable(model: StateModel, start: Iterable[int]) -> set[int]:
    """Return the states of a model that can be reached from some of its states, these included."""
    return _reach(_following(model), [value for value in start if value in model.states])


def _following(model: StateModel, *, automatic_only: bool = False) -> Mapping[int, set[int]]:
    """Return the states that directly follow each state."""
    following: dict[int, set[int]] = {value: set() for value in model.states}
    for transition in model.transitions:
        if transition.is_automatic or not automatic_only:
            following[transition.from_state].add(transition.to_state)
    return following


def _reach(following: Mapping[int, set[int]], start: Iterable[int]) -> set[int]:
    """Return the states that can be reached from some states, these included."""
    reached, open_states = set(start), list(start)
    while open_states:
        others = following[open_states.pop()] - reached
        reached |= others
        open_states += others
    return reached


def _in_cycles(following: Mapping[int, set[int]]) -> set[int]:
    """Return the states from which a state can be reached again."""
    return {value for value in following if value in _reach(following, following[value])}


def _labels(model: StateModel, values: Iterable[int]) -> str:
    return ", ".join(model.label_of(value) for value in sorted(values))
