"""The next states of a change in the form that clients of ServiceNow's API read."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models import SysUserGroup
from changegate.services.process.changes import lock_change
from changegate.services.process.next_states import next_states
from changegate.services.tables.writing.records import create_record
from tests.services.process.test_moves import ASSESS, AUTHORIZE, CANCELED, CHANGES, CLOSED, IMPLEMENT, NEW, ROOT
from tests.support.statements import counted_statements


@pytest.fixture
def group(app: Flask) -> Iterator[str]:
    with app.app_context():
        group = SysUserGroup(name="Network")
        db.session.add(group)
        db.session.commit()
        yield group.sys_id


def states_of(**sent: Any) -> dict[str, Any]:
    change = lock_change(create_record(CHANGES, ROOT, sent)["sys_id"])
    assert change is not None
    return next_states(change)


def test_a_new_change_without_a_group(group: str) -> None:
    found = states_of()
    assert found["state_label"] == {"-5": "New", "-4": "Assess", "4": "Canceled"}
    # Strings, with the current state first.
    assert found["available_states"] == ["-5", "-4", "4"]
    [[to_assess], [to_canceled]] = found["state_transitions"]
    assert {name: value for name, value in to_assess.items() if name not in {"sys_id", "conditions"}} == {
        "display_value": "New to Assess",
        "from_state": "-5",
        "to_state": "-4",
        "automatic_transition": False,
        "transition_available": False,
    }
    assert [(each["passed"], each["condition"]["name"]) for each in to_assess["conditions"]] == [
        (True, "Not On hold"),
        (False, "Assignment group set"),
    ]
    assert to_assess["conditions"][1]["condition"]["description"] == "Set Assignment group (assignment_group)."
    assert to_canceled["transition_available"] and to_canceled["conditions"] == []
    ids = [
        to_assess["sys_id"],
        to_canceled["sys_id"],
        *(each["condition"]["sys_id"] for each in to_assess["conditions"]),
    ]
    assert all(len(each) == 32 for each in ids) and len(set(ids)) == len(ids)


def test_manual_and_automatic_transitions_to_a_state_are_alternatives(group: str) -> None:
    found = states_of(state=ASSESS, assignment_group=group)
    assert found["available_states"] == [str(ASSESS), str(AUTHORIZE), str(NEW), str(CANCELED)]
    [to_authorize], to_new, [to_canceled] = found["state_transitions"]
    assert [(each["automatic_transition"], each["transition_available"]) for each in to_new] == [
        (False, True),
        (True, False),
    ]
    assert not to_authorize["transition_available"] and to_canceled["transition_available"]


def test_a_final_state_has_no_next_one(group: str) -> None:
    found = states_of(state=CLOSED)
    assert found == {"state_label": {"3": "Closed"}, "available_states": ["3"], "state_transitions": []}


@pytest.mark.parametrize(("state", "most"), [(NEW, 1), (ASSESS, 1), (IMPLEMENT, 2), (CLOSED, 1)])
def test_only_facts_that_decide_are_read(group: str, state: int, most: int) -> None:
    change = lock_change(create_record(CHANGES, ROOT, {"state": state, "assignment_group": group})["sys_id"])
    assert change is not None
    next_states(change)
    with counted_statements() as statements:
        next_states(change)
    assert len(statements) == most


def test_a_change_without_active_tasks_does_not_advance_by_itself(group: str) -> None:
    found = states_of(state=IMPLEMENT, assignment_group=group)
    [to_review, _] = found["state_transitions"]
    available = {each["automatic_transition"]: each["transition_available"] for each in to_review}
    assert available == {False: True, True: False}
