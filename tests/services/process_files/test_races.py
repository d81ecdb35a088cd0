"""A file that is applied beside edits through the API: one waits for the other, and nothing is mixed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection, rollback
from changegate.models import ChgPolicyApproval
from changegate.services.tables.registry import get_table
from tests.services.approvals.asked_changes import add, edit
from tests.services.process.test_races import ROUNDS, Race
from tests.services.process_files.process_texts import PROCESS, actions, apply

OTHER = PROCESS.replace("value: 2", "value: 1").replace("approval=approved\n", "approval=approved^risk=4\n")


@pytest.fixture
def race(either_app: Flask) -> Iterator[Race]:
    race = Race(either_app)
    with either_app.app_context():
        apply(PROCESS)
        commit()
    yield race


def applying(text: str) -> Callable[[], Any]:
    def work() -> str:
        apply(text)
        return "applied"

    return work


def row_of(table: str, **fields: Any) -> str:
    source = get_table(table).source
    clauses = [source.c[name] == value for name, value in fields.items()]
    return str(connection().execute(select(source.c.sys_id).where(*clauses).limit(1)).scalar_one())


def editing(table: str, sys_id: str, **sent: Any) -> Callable[[], Any]:
    return lambda: edit(table, sys_id, **sent)


def kept(text: str) -> bool:
    """Return whether a file changes nothing."""
    try:
        return {action for _, action in actions(text)} == {"keep"}
    finally:
        rollback()


def test_a_file_and_an_edit_of_the_same_policy_take_turns(race: Race) -> None:
    with race.app.app_context():
        rule = row_of("chg_approval_def", name="Peers")
    for at in range(ROUNDS):
        text = (OTHER, PROCESS)[at % 2]
        assert race.run(applying(text), editing("chg_approval_def", rule, reminder_hours=24 + at)) == ["applied", None]
        edited = text.replace("wait_for: count", f"wait_for: count\n        reminder_hours: {24 + at}")
        with race.app.app_context():
            # The file has undone the edit, or the edit came after it.
            assert kept(text) or kept(edited)


def test_a_file_and_an_edit_of_a_row_of_the_same_model_take_turns(race: Race) -> None:
    with race.app.app_context():
        condition = row_of("sttrm_transition_condition", condition="approval=approved", name="Approved", order=100)
        transition = row_of("sttrm_state_transition", name="Request approval")
        model = row_of("chg_model", name="Network")
    for at in range(ROUNDS):
        text = (OTHER, PROCESS)[at % 2]
        edits = (
            editing("sttrm_transition_condition", condition, description=f"Edit {at}"),
            editing("sttrm_state_transition", transition, order=at),
            lambda at=at: add("sttrm_state", sttrm_model=model, state_value=50 + at, state_label="Late") and None,
        )
        results = race.run(applying(text), *edits)
        assert results[0] == "applied"
        # A state that no transition leads to makes the model invalid: it is refused, as ever.
        assert set(results[1:]) <= {None, 403, 404}


def test_two_files_at_once_leave_one_of_them(race: Race) -> None:
    for _ in range(ROUNDS):
        assert race.run(applying(OTHER), applying(PROCESS)) == ["applied", "applied"]
        with race.app.app_context():
            assert kept(OTHER) or kept(PROCESS)


def test_two_files_that_create_the_same_record_create_it_once(race: Race) -> None:
    text = PROCESS.replace("Night shift", "Day shift")
    results = race.run(applying(text), applying(text))
    assert "applied" in results
    with race.app.app_context():
        statement = select(ChgPolicyApproval.sys_id).where(ChgPolicyApproval.name == "Day shift")
        assert len(connection().execute(statement).all()) == 1
