"""Writes of state models: shipped ones are read-only, copies belong to the site, and active ones stay valid."""

from typing import Any

import pytest
from sqlalchemy import func, select

from changegate.database import commit, connection, rollback
from changegate.errors import AccessRefused, ChangegateError, InputInvalid, OperationFailed
from changegate.models import ChgModel, SttrmState, SttrmStateTransition, SttrmTransitionCondition
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.seed.first_start import seed_first_start
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.state_models.model import StateModel
from changegate.services.state_models.shipped import refresh_shipped_models
from changegate.services.state_models.stored import get_model, new_version
from changegate.services.tables.display.shapes import Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
TOKEN = Caller(ROOT.sys_id, "admin", Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "s")))
NORMAL = MODELS_OF_TYPES["normal"]
TABLES = ("sttrm_state", "sttrm_state_transition", "sttrm_transition_condition")
CLASSES = {"sttrm_state": SttrmState, "sttrm_state_transition": SttrmStateTransition}
CLASSES["sttrm_transition_condition"] = SttrmTransitionCondition


def create(table: str, caller: Caller = ROOT, **sent: Any) -> str:
    return str(create_record(get_table(table), caller, sent)["sys_id"])


def write(table: str, sys_id: str, caller: Caller = ROOT, **sent: Any) -> None:
    update_record(get_table(table), caller, sys_id, sent)


def copy(**sent: Any) -> str:
    sys_id = create("chg_model", **{"name": "Network", "copied_from": "Normal", **sent})
    commit()
    return sys_id


def a_row(table: str, model: str) -> str:
    of_model = {"sttrm_state": SttrmState.sttrm_model, "sttrm_state_transition": SttrmStateTransition.sttrm_model}
    statement = select(CLASSES[table].sys_id).order_by(CLASSES[table].sys_id)
    if table in of_model:
        statement = statement.where(of_model[table] == model)
    else:
        statement = statement.join(
            SttrmStateTransition, SttrmStateTransition.sys_id == SttrmTransitionCondition.transition
        )
        statement = statement.where(SttrmStateTransition.sttrm_model == model)
    return str(connection().execute(statement).scalars().first())


def state(model: str, value: int) -> str:
    statement = select(SttrmState.sys_id).where(SttrmState.sttrm_model == model, SttrmState.state_value == value)
    return str(connection().execute(statement).scalar_one())


def stored(model: str) -> StateModel:
    found = get_model(model)
    assert found is not None
    return found


def shape_of(model: str) -> Any:
    found = stored(model)
    moves = [
        (
            move.name,
            move.from_state,
            move.to_state,
            move.is_automatic,
            [each.condition.text for each in move.conditions],
        )
        for move in found.transitions
    ]
    return list(found.states.values()), moves


def test_a_copy_has_everything_of_its_model() -> None:
    model = copy()
    assert shape_of(model) == shape_of(NORMAL)
    row = connection().execute(select(ChgModel).where(ChgModel.sys_id == model)).one()
    assert (row.copied_from, row.record_preset, row.sys_policy) == (NORMAL, "type=normal^EQ", None)
    assert {each.sys_id for each in stored(model).transitions}.isdisjoint(
        {each.sys_id for each in stored(NORMAL).transitions}
    )


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_a_shipped_model_are_read_only(table: str) -> None:
    row = a_row(table, NORMAL)
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        write(table, row, order=77)
    assert f"copied_from={NORMAL}" in str(refusal.value.detail)
    with pytest.raises(OperationFailed):
        delete_record(get_table(table), ROOT, row)


def test_a_shipped_model_takes_no_further_rows() -> None:
    with pytest.raises(OperationFailed):
        create("sttrm_state", sttrm_model=NORMAL, state_value=9, state_label="Parked")
    move = a_row("sttrm_state_transition", NORMAL)
    with pytest.raises(OperationFailed):
        create("sttrm_transition_condition", transition=move, name="x", condition="risk=4", description="x")
    with pytest.raises(OperationFailed):
        states = {"from_state": state(NORMAL, -2), "to_state": state(NORMAL, 3)}
        create("sttrm_state_transition", sttrm_model=NORMAL, name="Jump", **states)


def test_a_shipped_model_itself_is_read_only() -> None:
    for sent in ({"name": "Mine"}, {"active": "false"}, {"record_preset": "type=standard^EQ"}):
        with pytest.raises(OperationFailed):
            write("chg_model", NORMAL, **sent)
    with pytest.raises(OperationFailed):
        delete_record(get_table("chg_model"), ROOT, NORMAL)
    write("chg_model", NORMAL, name="Normal")


def test_no_token_writes_models() -> None:
    model = copy()
    with pytest.raises(AccessRefused):
        create("chg_model", TOKEN, name="By token")
    with pytest.raises(AccessRefused):
        write("chg_model", model, TOKEN, name="By token")
    with pytest.raises(AccessRefused):
        delete_record(get_table("chg_model"), TOKEN, model)
    for table in TABLES:
        with pytest.raises(AccessRefused):
            write(table, a_row(table, model), TOKEN, order=77)
        with pytest.raises(AccessRefused):
            delete_record(get_table(table), TOKEN, a_row(table, model))
    with pytest.raises(AccessRefused):
        create("sttrm_state", TOKEN, sttrm_model=model, state_value=9, state_label="Parked")


def test_another_model_is_only_copied_when_a_model_is_created() -> None:
    model = copy()
    write("chg_model", model, copied_from=MODELS_OF_TYPES["standard"])
    found = connection().execute(select(ChgModel.copied_from).where(ChgModel.sys_id == model)).scalar_one()
    assert found == NORMAL


def test_a_change_of_a_model_takes_effect_at_once() -> None:
    model = copy()
    before = len(stored(model).transitions[0].conditions)
    move = stored(model).transitions[0].sys_id
    added = create(
        "sttrm_transition_condition", transition=move, name="Low", condition="risk=4", description="Set risk."
    )
    assert len(stored(model).transitions[0].conditions) == before + 1
    write("sttrm_transition_condition", added, condition="risk=3")
    assert "risk=3" in [each.condition.text for each in stored(model).transitions[0].conditions]
    delete_record(get_table("sttrm_transition_condition"), ROOT, added)
    assert len(stored(model).transitions[0].conditions) == before
    write("sttrm_state", state(model, -5), state_label="Draft")
    assert stored(model).label_of(-5) == "Draft"
    write("sttrm_state_transition", stored(model).transitions[-1].sys_id, active="false")
    assert len(stored(model).transitions) == len(stored(NORMAL).transitions) - 1


def test_a_change_that_is_rolled_back_has_no_effect() -> None:
    model = copy()
    write("sttrm_state", state(model, -5), state_label="Draft")
    assert stored(model).label_of(-5) == "Draft"
    rollback()
    assert stored(model).label_of(-5) == "New"
    write("sttrm_state", state(model, -5), state_label="Begun")
    commit()
    assert stored(model).label_of(-5) == "Begun"


BREAKING = {
    "no initial state": (lambda model: ("sttrm_state", state(model, -5), {"initial": "false"}), "initial state"),
    "two initial states": (lambda model: ("sttrm_state", state(model, -4), {"initial": "true"}), "initial state"),
    "an unreachable state": (
        lambda model: ("sttrm_state_transition", move(model, 0, 3), {"active": "false"}),
        "Closed",
    ),
}


def move(model: str, before: int, after: int) -> str:
    return next(
        each.sys_id for each in stored(model).transitions if (each.from_state, each.to_state) == (before, after)
    )


@pytest.mark.parametrize("name", ["no initial state", "two initial states", "an unreachable state"])
def test_an_active_model_stays_valid(name: str) -> None:
    model = copy()
    change, words = BREAKING[name]
    table, sys_id, sent = change(model)
    with pytest.raises(OperationFailed) as refusal:
        write(table, sys_id, **sent)
    assert "cannot be active" in str(refusal.value.detail) and str(words) in str(refusal.value.detail)
    rollback()
    write("chg_model", model, active="false")
    write(table, sys_id, **sent)
    with pytest.raises(OperationFailed):
        write("chg_model", model, active="true")


def test_the_conditions_of_a_copy_can_be_compared_with_those_of_its_origin() -> None:
    """The query of docs/change-process.md returns the same rows for both, until one of them changes."""

    def conditions(model: str) -> list[tuple[str, ...]]:
        query = f"transition.sttrm_model.name={model}^ORDERBYtransition.from_state.order"
        query += "^ORDERBYtransition.to_state.order^ORDERBYorder"
        fields = ("transition.name", "name", "condition")
        table = get_table("sttrm_transition_condition")
        page = read_page(table, ROOT, parse_encoded_query(query), Shape("", fields=fields), limit=1000, offset=0)
        return [tuple(record.values()) for record in page.records]

    model = copy()
    assert conditions("Network") == conditions("Normal")
    released = get_table("sttrm_transition_condition").source.c
    is_copied = (released["transition"] == move(model, -5, -4), released["name"] == "Not On hold")
    row = connection().execute(select(released["sys_id"]).where(*is_copied)).scalar_one()
    delete_record(get_table("sttrm_transition_condition"), ROOT, row)
    assert len(conditions("Normal")) == len(conditions("Network")) + 1


def test_a_model_with_a_cycle_of_automatic_moves_cannot_be_saved() -> None:
    """Two automatic transitions that lead to each other would move a change without end."""
    model = copy()
    to_assess = move(model, -5, -4)
    with pytest.raises(OperationFailed) as refusal:
        write("sttrm_state_transition", to_assess, automatic_transition="true")
    assert "between New, Assess, Authorize, Scheduled form a cycle" in str(refusal.value.detail)


def test_a_state_can_be_removed_only_from_an_inactive_model() -> None:
    model = copy()
    with pytest.raises(OperationFailed):
        delete_record(get_table("sttrm_state"), ROOT, state(model, -4))
    rollback()
    write("chg_model", model, active="false")
    delete_record(get_table("sttrm_state"), ROOT, state(model, -4))
    commit()
    assert -4 not in stored(model).states
    assert not any(-4 in (each.from_state, each.to_state) for each in stored(model).transitions)


def test_a_transition_stays_within_its_model() -> None:
    model = copy()
    with pytest.raises(InputInvalid, match="to_state: The state belongs to another model"):
        create(
            "sttrm_state_transition",
            **{"sttrm_model": model, "name": "x", "from_state": state(model, -2), "to_state": state(NORMAL, 3)},
        )
    with pytest.raises(InputInvalid, match="no transition"):
        write("sttrm_state_transition", move(model, -5, -4), to_state=state(model, -5))
    write("sttrm_state", state(model, -5), sttrm_model=NORMAL)
    assert -5 in stored(model).states


def test_conditions_of_mandatory_fields_have_sys_ids_of_their_own() -> None:
    model = copy()
    write("sttrm_state", state(model, -4), mandatory_fields="business_service, business_duration")
    [assess] = (each for each in stored(model).transitions if (each.from_state, each.to_state) == (-5, -4))
    ids = [each.sys_id for each in assess.conditions]
    assert len(ids) == len(set(ids)) >= 2
    assert {len(each) for each in ids} == {32}


@pytest.mark.parametrize(
    ("table", "sent", "problem"),
    [
        ("sttrm_transition_condition", {"condition": "task.activ=0"}, "condition: 'task.activ' is neither"),
        ("sttrm_transition_condition", {"condition": "^EQ"}, "condition: A condition such as"),
        ("sttrm_state", {"mandatory_fields": "assignment_group, no_field"}, "'no_field' is not a field of a change"),
    ],
)
def test_an_invalid_row_is_refused(table: str, sent: dict[str, str], problem: str) -> None:
    model = copy()
    with pytest.raises(InputInvalid, match=problem.replace("(", r"\(")):
        write(table, a_row(table, model), **sent)


def test_a_row_without_its_owner_is_refused_as_incomplete() -> None:
    for table, sent in (("sttrm_state", {"state_value": 1, "state_label": "x"}), ("sttrm_transition_condition", {})):
        with pytest.raises(ChangegateError) as refusal:
            create(table, **sent)
        assert "mandatory" in str(refusal.value.detail)


def test_only_an_inactive_model_without_changes_is_deleted() -> None:
    model = copy()
    change = create("change_request", chg_model="Network")
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        delete_record(get_table("chg_model"), ROOT, model)
    assert "Deactivate it" in str(refusal.value.detail)
    write("chg_model", model, active="false")
    with pytest.raises(OperationFailed) as refusal:
        delete_record(get_table("chg_model"), ROOT, model)
    assert "used by 1 changes" in str(refusal.value.detail)
    delete_record(get_table("change_request"), ROOT, change)
    delete_record(get_table("chg_model"), ROOT, model)
    assert get_model(model) is None
    assert connection().execute(select(func.count()).where(SttrmState.sttrm_model == model)).scalar_one() == 0


def test_a_model_without_states_is_only_a_name() -> None:
    assert get_model(create("chg_model", name="Firewall")) is None
    assert get_model("0" * 32) is None


def test_the_parent_table_shows_the_models_and_writes_nothing() -> None:
    with pytest.raises(AccessRefused):
        create("sttrm_model", name="x")


def test_prepare_restores_the_shipped_models_and_keeps_copies() -> None:
    model = copy()
    write("sttrm_state", state(model, -5), state_label="Draft")
    before = shape_of(NORMAL)
    connection().execute(SttrmState.__table__.update().where(SttrmState.sttrm_model == NORMAL).values(state_label="?"))
    new_version(NORMAL)
    assert shape_of(NORMAL) != before
    seed_first_start(None)
    assert shape_of(NORMAL) == before
    assert stored(model).label_of(-5) == "Draft"
    version = select(ChgModel.states_version).where(ChgModel.sys_id == NORMAL)
    kept = connection().execute(version).scalar_one()
    refresh_shipped_models()
    assert connection().execute(version).scalar_one() == kept
