"""Edits of state models in their histories; those of approval policies are in tests/services/approvals."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from changegate.database import connection
from changegate.models import ChgHistory
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.evidence.verification import verify
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.support.people import ROOT

pytestmark = pytest.mark.usefixtures("either_app_context")
MODELS, STATES = get_table("chg_model"), get_table("sttrm_state")


@pytest.fixture
def model() -> str:
    sent = {"name": "Network", "copied_from": MODELS_OF_TYPES["normal"], "active": "false"}
    return str(create_record(MODELS, ROOT, sent)["sys_id"])


def edits(model: str) -> list[tuple[str, dict[str, Any]]]:
    """Return table and changes of every entry about a model."""
    rows = connection().execute(
        select(ChgHistory.kind, ChgHistory.sys_created_by, ChgHistory.facts)
        .where(ChgHistory.subject_table == "chg_model", ChgHistory.subject_id == model)
        .order_by(ChgHistory.seq)
    )
    found = []
    for kind, user, facts in rows:
        assert (kind, user) == ("model_edited", "admin")
        read = json.loads(facts)
        found.append((read["table"], read["changes"]))
    return found


def test_the_history_of_a_model_begins_with_its_creation(model: str) -> None:
    [(table, changes)] = edits(model)
    assert table == "chg_model"
    assert changes["name"] == [None, "Network"]
    assert changes["copied_from"] == [None, MODELS_OF_TYPES["normal"]]


def test_edits_of_a_model_and_its_states_are_recorded_with_the_model(model: str) -> None:
    update_record(MODELS, ROOT, model, {"description": "For switches"})
    found = select(STATES.source.c["sys_id"]).where(STATES.source.c["sttrm_model"] == model)
    state = str(connection().execute(found.where(STATES.source.c["state_value"] == -4)).scalar_one())
    update_record(STATES, ROOT, state, {"state_label": "Check"})
    delete_record(STATES, ROOT, state)

    assert edits(model)[1:3] == [
        ("chg_model", {"description": [edits(model)[0][1].get("description", [None, None])[1], "For switches"]}),
        ("sttrm_state", {"state_label": ["Assess", "Check"]}),
    ]
    tables = [table for table, _ in edits(model)[3:]]
    assert tables[-1] == "sttrm_state"
    # With the state, its transitions and their conditions are deleted.
    assert {"sttrm_state_transition", "sttrm_transition_condition"} <= set(tables)
    assert edits(model)[-1][1]["state_label"] == ["Check", None]


def test_the_history_of_a_model_stays_after_its_deletion(model: str) -> None:
    delete_record(MODELS, ROOT, model)
    table, changes = edits(model)[-1]
    assert (table, changes["name"]) == ("chg_model", ["Network", None])
    assert verify().is_clean
