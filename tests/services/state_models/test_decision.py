"""The shipped models as a table: which state leads where, for each type, and what each move needs."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from flask import Flask

from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.state_models.decision import decide
from changegate.services.state_models.model import StateModel
from changegate.services.state_models.stored import get_model

NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
STATES = (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED)
TYPES = ("normal", "standard", "emergency")
GROUP, HOLD, APPROVED, REJECTED, TEMPLATE, PENDING = "group", "hold", "approved", "rejected", "template", "pending"
TASKS, CODE, NOTES, UNAUTHORIZED, AUTHORIZED, LAST = "tasks", "code", "notes", "unauthorized", "authorized", "last"
REVIEWED, PLAN, NOW = "reviewed", "no freeze in the plan", "no freeze now"
# What is needed, with the facts that lack it and the facts that have it.
NEEDS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    GROUP: ({"assignment_group": None}, {"assignment_group": "a" * 32}),
    HOLD: ({"on_hold": True}, {"on_hold": False}),
    APPROVED: ({"approval": "requested"}, {"approval": "approved"}),
    REJECTED: ({"approval": "requested"}, {"approval": "rejected"}),
    PENDING: ({"approval": "not requested", "approval.missing": 1}, {"approval": "approved", "approval.missing": 0}),
    TEMPLATE: (
        {"std_change_producer_version": "b" * 32, "template.active": 0},
        {"std_change_producer_version": "b" * 32, "template.active": 1},
    ),
    PLAN: ({"freeze.planned": 1}, {"freeze.planned": 0}),
    NOW: ({"freeze.now": 2}, {"freeze.now": 0}),
    TASKS: ({"task.active": 1}, {"task.active": 0}),
    REVIEWED: ({"review.missing": 1}, {"review.missing": 0}),
    LAST: ({"task.active_work": 0, "event": ""}, {"task.active_work": 0, "event": "task_closed"}),
    CODE: ({"close_code": None}, {"close_code": "successful"}),
    NOTES: ({"close_notes": ""}, {"close_notes": "done"}),
    UNAUTHORIZED: ({"unauthorized": False}, {"unauthorized": True}),
    AUTHORIZED: ({"unauthorized": True}, {"unauthorized": False}),
}
LATER = {
    (SCHEDULED, IMPLEMENT, False): {GROUP, HOLD, PENDING, NOW},
    (IMPLEMENT, REVIEW, False): {GROUP, HOLD},
    (IMPLEMENT, REVIEW, True): {GROUP, HOLD, LAST},
    (REVIEW, CLOSED, False): {GROUP, HOLD, TASKS, REVIEWED, CODE, NOTES},
    **{(state, CANCELED, False): set() for state in (NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT)},
}
# Moves by type, from, to, and whether they are automatic, with all that they need.
TABLE: Mapping[str, Mapping[tuple[int, int, bool], set[str]]] = {
    "normal": {
        (NEW, ASSESS, False): {GROUP, HOLD},
        (ASSESS, AUTHORIZE, True): {GROUP, HOLD, APPROVED},
        (ASSESS, NEW, False): {HOLD},
        (ASSESS, NEW, True): {HOLD, REJECTED},
        (AUTHORIZE, SCHEDULED, True): {GROUP, HOLD, APPROVED, PLAN},
        (AUTHORIZE, NEW, True): {HOLD, REJECTED},
        (SCHEDULED, NEW, True): {HOLD, REJECTED},
        **LATER,
    },
    "standard": {(NEW, SCHEDULED, False): {GROUP, HOLD, TEMPLATE, PLAN}, **LATER},
    "emergency": {
        (NEW, AUTHORIZE, False): {GROUP, HOLD},
        (AUTHORIZE, SCHEDULED, True): {GROUP, HOLD, APPROVED, AUTHORIZED, PLAN},
        (AUTHORIZE, REVIEW, True): {GROUP, HOLD, APPROVED, UNAUTHORIZED},
        (AUTHORIZE, NEW, False): {HOLD},
        (AUTHORIZE, NEW, True): {HOLD, REJECTED},
        (SCHEDULED, NEW, True): {HOLD, REJECTED},
        **LATER,
    },
}
NOTHING = {name: value for lacking, _ in NEEDS.values() for name, value in lacking.items()}


@pytest.fixture(scope="module")
def models(request: pytest.FixtureRequest) -> dict[str, StateModel]:
    return {}


@pytest.fixture(autouse=True)
def loaded(app: Flask, models: dict[str, StateModel]) -> Iterator[None]:
    with app.app_context():
        for change_type in TYPES:
            if change_type not in models:
                model = get_model(MODELS_OF_TYPES[change_type])
                assert model is not None
                models[change_type] = model
        yield


def available(model: StateModel, facts: Mapping[str, Any]) -> set[tuple[int, int, bool]]:
    moves = (move for move in decide(model, facts).moves if move.is_available)
    return {(facts["state"], move.transition.to_state, move.transition.is_automatic) for move in moves}


@pytest.mark.parametrize("change_type", TYPES)
def test_no_other_moves_exist(models: dict[str, StateModel], change_type: str) -> None:
    model = models[change_type]
    exist = {(each.from_state, each.to_state, each.is_automatic) for each in model.transitions}
    assert exist == set(TABLE[change_type])
    for before, after in product(STATES, STATES):
        moves = decide(model, {**NOTHING, "state": before}).moves_to(after)
        assert bool(moves) == any(key[:2] == (before, after) for key in TABLE[change_type])


@pytest.mark.parametrize("change_type", TYPES)
def test_each_move_needs_exactly_what_the_table_has(models: dict[str, StateModel], change_type: str) -> None:
    model = models[change_type]
    for key, needs in TABLE[change_type].items():
        satisfied = {name: value for need in needs for name, value in NEEDS[need][1].items()}
        facts = {**NOTHING, "on_hold": True, "state": key[0], **satisfied}
        assert key in available(model, facts), key
        for need in needs:
            assert key not in available(model, facts | NEEDS[need][0]), (key, need)


@pytest.mark.parametrize("change_type", TYPES)
@pytest.mark.parametrize("state", [CLOSED, CANCELED])
def test_final_states_have_no_moves(models: dict[str, StateModel], change_type: str, state: int) -> None:
    decision = decide(models[change_type], {**NOTHING, "state": state})
    assert decision.moves == () and decision.automatic_move is None
    assert (decision.model, decision.state) == (models[change_type], state)


def test_review_cannot_be_canceled(models: dict[str, StateModel]) -> None:
    assert not any(decide(models[each], {**NOTHING, "state": REVIEW}).moves_to(CANCELED) for each in TYPES)


def test_the_missing_conditions_are_named_with_the_way_to_satisfy_them(models: dict[str, StateModel]) -> None:
    has = {
        "assignment_group": "a" * 32,
        "on_hold": False,
        "close_code": "successful",
        "task.active": 1,
        "review.missing": 0,
    }
    facts = {**NOTHING, "state": REVIEW, **has}
    [move] = decide(models["normal"], facts).moves_to(CLOSED)
    assert [(each.name, each.description, each.field) for each in move.missing] == [
        ("No active Change Tasks", "Close or cancel the active change tasks.", None),
        ("Close notes set", "Set Close notes (close_notes).", "close_notes"),
    ]
    passed = [check.condition.name for check in move.checks if check.has_passed]
    named = "Review task of an emergency or unauthorized change"
    assert passed == ["Not On hold", named, "Assignment group set", "Close code set"]
    assert not move.is_available


def test_of_several_moves_the_available_one_comes_first(models: dict[str, StateModel]) -> None:
    facts = {**NOTHING, "state": ASSESS, "on_hold": False}
    assert [move.transition.is_automatic for move in decide(models["normal"], facts).moves_to(NEW)] == [False, True]
    first, second = decide(models["normal"], facts | {"approval": "rejected", "on_hold": True}).moves_to(NEW)
    assert len(first.missing) <= len(second.missing)


def test_the_first_automatic_move_is_made(models: dict[str, StateModel]) -> None:
    facts = {**NOTHING, "state": AUTHORIZE, "on_hold": False, "approval": "approved", "assignment_group": "a" * 32}
    facts |= {"freeze.planned": 0}
    for unauthorized, target in ((True, REVIEW), (False, SCHEDULED)):
        move = decide(models["emergency"], facts | {"unauthorized": unauthorized}).automatic_move
        assert move is not None and move.transition.to_state == target
    # A transition on request is never made automatically.
    assert decide(models["emergency"], facts | {"approval": "requested"}).automatic_move is None


def test_conditions_have_sys_ids_of_their_own(models: dict[str, StateModel]) -> None:
    ids = [each.sys_id for model in models.values() for move in model.transitions for each in move.conditions]
    assert len(ids) == len(set(ids))
    assert all(len(each) == 32 for each in ids)
