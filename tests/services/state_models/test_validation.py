"""Which models are invalid: states that cannot be reached or left, and cycles of automatic transitions."""

import pytest

from changegate.services.state_models.model import State, StateModel, Transition
from changegate.services.state_models.validation import find_problems

LABELS = {1: "Draft", 2: "Work", 3: "Done", 4: "Parked"}


def model(
    *moves: tuple[int, int, bool], initial: tuple[int, ...] = (1,), states: tuple[int, ...] = (1, 2, 3)
) -> StateModel:
    transitions = tuple(
        Transition(f"{at}", "", before, after, auto, ()) for at, (before, after, auto) in enumerate(moves)
    )
    return StateModel("m", "M", {each: State(each, LABELS[each], each in initial, ()) for each in states}, transitions)


THROUGH = ((1, 2, False), (2, 3, False))


@pytest.mark.parametrize(
    ("broken", "problems"),
    [
        (model(*THROUGH), []),
        (model(*THROUGH, (2, 1, False)), []),
        (model((1, 2, True), (2, 3, True)), []),
        (model((1, 2, True), (2, 1, False), (2, 3, True)), []),
        (model(*THROUGH, initial=()), ["The model needs exactly one initial state; it has 0."]),
        (model(*THROUGH, initial=(1, 2)), ["The model needs exactly one initial state; it has 2."]),
        (model(*THROUGH, states=(1, 2, 3, 4)), ["No transition leads to Parked."]),
        (
            model(*THROUGH, (2, 4, False), (4, 2, False), states=(1, 2, 3, 4)),
            [],
        ),
        (
            model((1, 2, False), (2, 1, False), states=(1, 2)),
            ["No transition leads from Draft, Work to a final state."],
        ),
        (
            model((1, 2, True), (2, 1, True), (2, 3, False)),
            ["The automatic transitions between Draft, Work form a cycle. Make one of them manual."],
        ),
        (
            model((1, 2, False), (2, 4, True), (4, 3, True), (4, 2, True), states=(1, 2, 3, 4)),
            ["The automatic transitions between Work, Parked form a cycle. Make one of them manual."],
        ),
    ],
)
def test_problems_of_a_model(broken: StateModel, problems: list[str]) -> None:
    assert list(find_problems(broken)) == problems
