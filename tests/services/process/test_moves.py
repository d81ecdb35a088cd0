"""What a move of a change does to its tasks, its fields, and its history, and which moves follow automatically."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import commit, connection
from changegate.errors import OperationFailed, RecordChanged
from changegate.extensions import db
from changegate.models import ChgHistory, SysUserGroup, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.process import moves
from changegate.services.process.changes import lock_change
from changegate.services.process.moves import apply_outcome
from changegate.services.state_models.model import StateModel
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing import records
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from tests.services.approvals.asked_changes import decide
from tests.services.standard_changes.template_records import add_template
from tests.support.people import ROOT

WRITER = Caller(ROOT.sys_id, "admin", Permissions(frozenset({"itil"})))
CHANGES, TASKS = get_table("change_request"), get_table("change_task")
NEW, ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CLOSED, CANCELED = -5, -4, -3, -2, -1, 0, 3, 4
DONE = {"close_code": "successful", "close_notes": "Done."}


@pytest.fixture
def group(either_app: Flask) -> Iterator[str]:
    with either_app.app_context():
        group = SysUserGroup(name="Network")
        db.session.add(group)
        db.session.commit()
        yield group.sys_id


def create(group: str, **sent: Any) -> str:
    """Bring in a change, as an administrator may in any state."""
    change = create_record(CHANGES, ROOT, {"assignment_group": group, **sent})
    commit()
    return str(change["sys_id"])


def write(sys_id: str, caller: Caller = WRITER, **sent: Any) -> dict[str, Any]:
    fields = CHANGES.fields_for(caller.permissions)
    values = dict(zip(fields, update_record(CHANGES, caller, sys_id, sent), strict=True))
    commit()
    # What the caller is shown is what is stored.
    assert {name: values[name] for name in ("state", "approval", "active", "sys_mod_count")} == {
        name: stored(sys_id)[name] for name in ("state", "approval", "active", "sys_mod_count")
    }
    return values


def stored(sys_id: str) -> Mapping[str, Any]:
    return connection().execute(select(Task.__table__).where(Task.sys_id == sys_id)).one()._mapping


def add_task(change: str, **sent: Any) -> str:
    return str(create_record(TASKS, ROOT, {"change_request": change, **sent})["sys_id"])


def write_task(task: str, **sent: Any) -> None:
    update_record(TASKS, WRITER, task, sent)
    commit()


def tasks_of(change: str) -> list[Mapping[str, Any]]:
    statement = select(Task.__table__).where(Task.__table__.c.change_request == change).order_by(Task.number)
    return [row._mapping for row in connection().execute(statement)]


def decided(change: str, approval: str) -> Mapping[str, Any]:
    locked = lock_change(change)
    assert locked is not None
    decide(change, approval, locked["state"])
    apply_outcome(locked, approval, WRITER)
    commit()
    return stored(change)


def test_implement_creates_two_tasks_and_stays(group: str) -> None:
    """An automatic move within a write would change what its caller reads back: Ansible expects the state it sent."""
    window = {"start_date": "2026-01-31 08:00:00", "end_date": "2026-01-31 10:00:00"}
    change = create(group, state=SCHEDULED, approval="approved", **window)
    moved = write(change, state=IMPLEMENT)
    assert (moved["state"], moved["work_start"] is not None) == (IMPLEMENT, True)
    assert [(task["change_task_type"], task["short_description"], task["state"]) for task in tasks_of(change)] == [
        ("implementation", "Implement", 1),
        ("testing", "Post implementation testing", 1),
    ]
    first, second = tasks_of(change)
    assert {task["created_from"] for task in (first, second)} == {"workflow"}
    assert {task["assignment_group"] for task in (first, second)} == {group}
    assert (first["planned_start_date"], first["planned_end_date"]) == (moved["start_date"], moved["end_date"])
    assert first["parent"] == change
    assert write(change, state=IMPLEMENT)["sys_mod_count"] == moved["sys_mod_count"]
    assert len(tasks_of(change)) == 2


def test_an_empty_implementation_does_not_advance_by_itself(group: str) -> None:
    change = create(group, state=IMPLEMENT)
    assert write(change, short_description="Nothing to do")["state"] == IMPLEMENT
    # A task that was never active closes nothing, and a deletion is no closure.
    write_task(add_task(change, state=3, **DONE), short_description="x")
    delete_record(TASKS, ROOT, add_task(change))
    commit()
    assert stored(change)["state"] == IMPLEMENT


@pytest.mark.parametrize("end", [{"state": 3, **DONE}, {"state": 4}], ids=["closed", "canceled"])
def test_the_last_task_that_closes_moves_the_change_to_review(group: str, end: dict[str, Any]) -> None:
    change = write(create(group, state=SCHEDULED, approval="approved"), state=IMPLEMENT)["sys_id"]
    manual = add_task(change)
    first, second = (task["sys_id"] for task in tasks_of(change) if task["created_from"] == "workflow")
    write_task(first, **end)
    write_task(manual, **end)
    assert stored(change)["state"] == IMPLEMENT
    write_task(second, **end)
    reviewed = stored(change)
    assert (reviewed["state"], reviewed["work_end"] is not None) == (REVIEW, True)


def test_an_open_review_does_not_keep_a_change_in_implement(group: str) -> None:
    change = create(group, state=IMPLEMENT)
    review, work = add_task(change, change_task_type="review"), add_task(change)
    write_task(work, state=3, **DONE)
    assert stored(change)["state"] == REVIEW
    assert stored(review)["active"]
    with pytest.raises(OperationFailed) as refusal:
        write(change, state=CLOSED, **DONE)
    assert "No active Change Tasks" in str(refusal.value.detail)


@pytest.mark.parametrize("state", [NEW, ASSESS, AUTHORIZE, SCHEDULED, REVIEW])
def test_a_task_that_closes_moves_a_change_from_implement_only(group: str, state: int) -> None:
    change = create(group, state=state)
    write_task(add_task(change), state=3, **DONE)
    assert stored(change)["state"] == state


def test_the_last_task_moves_no_change_on_hold(group: str) -> None:
    """Of a hold and an automatic move at the same time, the hold wins if it was first."""
    change = create(group, state=IMPLEMENT, on_hold=True, on_hold_reason="Vendor")
    write_task(add_task(change), state=3, **DONE)
    assert stored(change)["state"] == IMPLEMENT
    write(change, on_hold="false")
    assert write(change, state=REVIEW)["state"] == REVIEW


def test_review_cancels_workflow_tasks_and_manual_ones_block_closing(group: str) -> None:
    change = write(create(group, state=SCHEDULED, approval="approved"), state=IMPLEMENT)["sys_id"]
    manual = add_task(change)
    write(change, state=REVIEW)
    assert {task["created_from"]: (task["state"], task["active"]) for task in tasks_of(change)} == {
        "workflow": (4, False),
        "manual": (1, True),
    }
    assert all(task["closed_at"] for task in tasks_of(change) if task["sys_id"] != manual)
    with pytest.raises(OperationFailed) as refusal:
        write(change, state=CLOSED, **DONE)
    assert "Close or cancel the active change tasks." in str(refusal.value.detail)
    write_task(manual, state=3, **DONE)
    closed = write(change, state=CLOSED, **DONE)
    assert (closed["active"], closed["closed_by"]) == (False, WRITER.sys_id)


def test_canceling_cancels_every_active_task_and_the_request(group: str) -> None:
    change = create(group, state=ASSESS, approval="requested", on_hold=True, on_hold_reason="Vendor")
    closed = add_task(change, state=3, **DONE)
    add_task(change)
    add_task(change, created_from="workflow", state=-5)
    canceled = write(change, state=CANCELED, work_notes="The vendor withdrew the patch")
    assert (canceled["state"], canceled["active"], canceled["on_hold"]) == (CANCELED, False, False)
    assert canceled["approval"] == "cancelled"
    assert {task["sys_id"]: task["state"] for task in tasks_of(change)}[closed] == 3
    assert [task["state"] for task in tasks_of(change) if task["sys_id"] != closed] == [4, 4]
    journal = get_table("sys_journal_field").source
    notes = connection().execute(select(journal.c.value).where(journal.c.element_id == change)).scalars().all()
    assert notes == ["The vendor withdrew the patch"]


def test_a_hold_is_copied_to_active_tasks_and_ends_with_it(group: str) -> None:
    change = create(group, state=IMPLEMENT)
    held, by_hand = add_task(change), add_task(change, on_hold=True, on_hold_reason="Parts")
    closed = add_task(change, state=3, **DONE)
    write(change, on_hold="true", on_hold_reason="Vendor")
    assert (stored(held)["on_hold"], stored(held)["on_hold_reason"]) == (True, "Vendor")
    assert stored(by_hand)["on_hold_reason"] == "Parts"
    assert not stored(closed)["on_hold"]
    write(change, on_hold_reason="Weather")
    assert stored(held)["on_hold_reason"] == "Weather"
    write(change, on_hold="false")
    assert (stored(held)["on_hold"], stored(held)["on_hold_reason"]) == (False, None)
    assert (stored(by_hand)["on_hold"], stored(by_hand)["on_hold_reason"]) == (True, "Parts")


def test_a_move_that_ends_a_hold_releases_the_tasks_as_well(group: str) -> None:
    change = create(group, state=IMPLEMENT)
    task = add_task(change)
    write(change, on_hold="true", on_hold_reason="Vendor")
    assert write(change, state=REVIEW, on_hold="false")["state"] == REVIEW
    assert not stored(task)["on_hold"]


def test_a_task_that_is_held_again_by_hand_stays_on_hold(group: str) -> None:
    change = create(group, state=IMPLEMENT)
    task = add_task(change)
    write(change, on_hold="true", on_hold_reason="Vendor")
    write_task(task, on_hold="false")
    write_task(task, on_hold="true", on_hold_reason="Parts")
    write(change, on_hold="false")
    assert (stored(task)["on_hold"], stored(task)["on_hold_reason"]) == (True, "Parts")


def test_an_approval_moves_a_change_through_its_gates(group: str) -> None:
    change = write(create(group), state=ASSESS)["sys_id"]
    assert decided(change, "requested")["state"] == ASSESS
    authorize = decided(change, "approved")
    # Each gate needs an approval of its own.
    assert (authorize["state"], authorize["approval"]) == (AUTHORIZE, "not requested")
    scheduled = decided(change, "approved")
    assert (scheduled["state"], scheduled["approval"]) == (SCHEDULED, "approved")
    assert scheduled["approval_set"] is not None


def test_a_rejection_returns_a_change_to_new_and_stays_visible(group: str) -> None:
    change = write(create(group), state=ASSESS)["sys_id"]
    rejected = decided(change, "rejected")
    assert (rejected["state"], rejected["approval"]) == (NEW, "rejected")
    assert write(change, type="emergency")["type"] == "emergency"
    again = write(change, state=AUTHORIZE)
    assert (again["state"], again["approval"]) == (AUTHORIZE, "not requested")


def test_a_revert_resets_the_approval(group: str) -> None:
    change = create(group, state=ASSESS, approval="requested")
    reverted = write(change, state=NEW)
    assert (reverted["state"], reverted["approval"]) == (NEW, "not requested")


def test_an_approval_without_a_group_waits(group: str) -> None:
    """An automatic move that is not possible must not undo the approval that would have caused it."""
    change = create(group, state=ASSESS)
    connection().execute(update(Task).where(Task.sys_id == change).values(assignment_group=None))
    waiting = decided(change, "approved")
    assert (waiting["state"], waiting["approval"]) == (ASSESS, "approved")


def test_an_approval_on_hold_moves_nothing(group: str) -> None:
    change = create(group, state=AUTHORIZE, on_hold=True, on_hold_reason="Vendor")
    assert decided(change, "approved")["state"] == AUTHORIZE
    write(change, on_hold="false")
    assert stored(change)["state"] == SCHEDULED


def test_an_unauthorized_change_moves_to_review_when_it_is_approved(group: str) -> None:
    change = create(group, type="emergency", unauthorized=True, state=AUTHORIZE)
    assert decided(change, "approved")["state"] == REVIEW


def automatic(model: StateModel, *states: int) -> StateModel:
    """Return a model, past the rules, with an automatic move from each of these states to the next one."""
    first = model.transitions[0]
    steps = (replace(first, from_state=a, to_state=b, is_automatic=True, conditions=()) for a, b in pairwise(states))
    return replace(model, transitions=tuple(steps))


def test_a_cycle_of_automatic_moves_ends_before_it_returns(group: str) -> None:
    """In a model made past the rules, two automatic moves that lead to each other must not repeat without end."""
    change = create(group, state=ASSESS)
    loop = automatic(moves.model_of(stored(change)), ASSESS, NEW, ASSESS)
    with mock.patch.object(moves, "model_of", return_value=loop):
        assert decided(change, "approved")["state"] == NEW


def test_a_valid_model_makes_all_its_automatic_moves(group: str) -> None:
    change = create(group, state=ASSESS)
    chain = automatic(moves.model_of(stored(change)), ASSESS, *range(100, 120))
    with mock.patch.object(moves, "model_of", return_value=chain):
        assert decided(change, "approved")["state"] == 119


def test_moves_are_in_the_history(group: str) -> None:
    change = write(create(group), state=ASSESS)["sys_id"]
    decided(change, "approved")
    statement = select(ChgHistory.facts).where(ChgHistory.subject_id == change, ChgHistory.kind == "moved")
    facts = connection().execute(statement.order_by(ChgHistory.seq)).scalars().all()
    assert ['"state":["-5","-4"]' in facts[0], '"automatic":false' in facts[0]] == [True, True]
    assert ['"state":["-4","-3"]' in facts[1], '"automatic":true' in facts[1]] == [True, True]


def test_a_change_of_a_copied_model_follows_the_copy(group: str) -> None:
    create_record(get_table("chg_model"), ROOT, {"name": "Light", "copied_from": "Normal"})
    commit()
    change = create(group, chg_model="Light")
    model = moves.model_of(stored(change))
    assert model.name == "Light"
    to_assess = next(each for each in model.transitions if each.to_state == ASSESS)
    low = {"name": "Low risk", "condition": "risk=4", "description": "Set risk to Low."}
    create_record(get_table("sttrm_transition_condition"), ROOT, {"transition": to_assess.sys_id, **low})
    commit()
    with pytest.raises(OperationFailed) as refusal:
        write(change, state=ASSESS)
    assert "Low risk. Set risk to Low." in str(refusal.value.detail)
    assert write(change, state=ASSESS, risk=4)["state"] == ASSESS


def test_a_final_state_of_its_own_model_ends_a_change(group: str) -> None:
    choice = {"name": "change_request", "element": "state", "value": "7", "label": "Abandoned"}
    create_record(get_table("sys_choice"), ROOT, choice)
    copy = {"name": "Light", "copied_from": "Normal", "active": "false"}
    model = create_record(get_table("chg_model"), ROOT, copy)["sys_id"]
    state = {"sttrm_model": model, "state_value": "7", "state_label": "Abandoned"}
    end = create_record(get_table("sttrm_state"), ROOT, state)["sys_id"]
    table = get_table("sttrm_state").source
    is_start = (table.c["sttrm_model"] == model, table.c["state_value"] == IMPLEMENT)
    start = connection().execute(select(table.c["sys_id"]).where(*is_start)).scalar_one()
    move = {"sttrm_model": model, "name": "Abandon", "from_state": start, "to_state": end}
    create_record(get_table("sttrm_state_transition"), ROOT, move)
    update_record(get_table("chg_model"), ROOT, model, {"active": "true"})
    change = create(group, chg_model="Light", state=IMPLEMENT, approval="requested", on_hold=True, on_hold_reason="x")
    add_task(change)
    ended = write(change, state=7)
    assert (ended["active"], ended["on_hold"], ended["approval"]) == (False, False, "cancelled")
    assert ended["closed_at"] is not None
    assert [task["state"] for task in tasks_of(change)] == [CANCELED]


def test_a_change_begins_in_the_initial_state_of_its_model(group: str) -> None:
    model = create_record(get_table("chg_model"), ROOT, {"name": "Short", "active": "false"})["sys_id"]
    states = {
        value: create_record(
            get_table("sttrm_state"),
            ROOT,
            {"sttrm_model": model, "state_value": value, "state_label": label, "initial": value == SCHEDULED},
        )["sys_id"]
        for value, label in ((SCHEDULED, "Planned"), (CLOSED, "Done"))
    }
    ends = {"from_state": states[SCHEDULED], "to_state": states[CLOSED]}
    create_record(get_table("sttrm_state_transition"), ROOT, {"sttrm_model": model, "name": "Finish", **ends})
    update_record(get_table("chg_model"), ROOT, model, {"active": "true"})
    commit()
    change = create_record(CHANGES, WRITER, {"chg_model": "Short"})
    assert change["state"] == SCHEDULED
    with pytest.raises(OperationFailed):
        create_record(CHANGES, WRITER, {"chg_model": "Short", "state": NEW})
    assert write(change["sys_id"], state=CLOSED)["state"] == CLOSED
    # Another model would begin in another state.
    other = create_record(CHANGES, WRITER, {"chg_model": "Short"})["sys_id"]
    with pytest.raises(Exception, match="Operation Failed"):
        write(other, chg_model="Normal")


def test_a_standard_change_is_scheduled_and_approved_in_one_write(group: str) -> None:
    add_template()
    change = create_record(CHANGES, WRITER, {"std_change_producer_version": "Restart - 1", "chg_model": "standard"})
    scheduled = write(change["sys_id"], state=SCHEDULED, assignment_group=group)
    assert (scheduled["state"], scheduled["approval"]) == (SCHEDULED, "approved")


def test_a_change_that_moved_underneath_is_a_conflict(group: str) -> None:
    """Of two callers who move a change, the second gets the reason why its move is refused."""
    change = create(group, state=SCHEDULED, approval="approved")
    lock_row = records.lock_row

    def overtaken(*args: Any, **options: Any) -> Any:
        with mock.patch.object(records, "lock_row", lock_row):
            write(change, state=CANCELED)
        return lock_row(*args, **options)

    with mock.patch.object(records, "lock_row", overtaken), pytest.raises(RecordChanged) as conflict:
        write(change, state=IMPLEMENT)
    assert conflict.value.status == 409
    assert "admin changed state at the same time" in str(conflict.value.detail)
    assert "From Canceled, it can move to: no other state." in str(conflict.value.detail)
    # The same refusal without a race is no conflict.
    with pytest.raises(OperationFailed):
        write(change, state=IMPLEMENT)


def test_a_move_to_the_state_that_another_caller_reached_first_changes_nothing(group: str) -> None:
    change = create(group, state=SCHEDULED, approval="approved")
    first = write(change, state=IMPLEMENT)
    assert write(change, state=IMPLEMENT)["sys_mod_count"] == first["sys_mod_count"]


@pytest.mark.parametrize("missing", ["close_code", "close_notes"])
def test_a_task_is_closed_with_code_and_notes(group: str, missing: str) -> None:
    task = add_task(create(group))
    sent = {name: value for name, value in DONE.items() if name != missing}
    with pytest.raises(OperationFailed) as refusal:
        write_task(task, state=3, **sent)
    assert "Data Policy Exception" in str(refusal.value.detail)
    with pytest.raises(OperationFailed):
        create_record(TASKS, WRITER, {"state": 3, **sent})
    write_task(task, state=3, **DONE)
    with pytest.raises(OperationFailed):
        write_task(task, close_notes="")
    write_task(task, state=3, short_description="Closed already")


@pytest.mark.parametrize("state", [NEW, ASSESS, SCHEDULED, IMPLEMENT, REVIEW, CLOSED])
def test_tasks_move_whatever_the_state_of_their_change(group: str, state: int) -> None:
    change = create(group, state=state)
    task = add_task(change, state=-5)
    write_task(task, state=2)
    write_task(task, on_hold="true", on_hold_reason="Waiting")
    write_task(task, state=3, **DONE)
    assert (stored(task)["state"], stored(task)["on_hold"]) == (3, True)


WINDOW = {"start_date": "2026-01-31 08:00:00", "end_date": "2026-01-31 10:00:00"}


@pytest.mark.parametrize(
    ("window", "sent", "is_refused"),
    [
        (WINDOW, {"planned_start_date": "2026-01-31 07:59:59"}, True),
        (WINDOW, {"planned_end_date": "2026-01-31 10:00:01"}, True),
        (WINDOW, {"planned_start_date": "2026-01-31 08:00:00", "planned_end_date": "2026-01-31 10:00:00"}, False),
        (WINDOW, {"planned_end_date": "2021-07-15T08:00:00", "change_task_type": "planning"}, False),
        (WINDOW, {"planned_end_date": "2021-07-15T08:00:00"}, True),
        (WINDOW, {}, False),
        ({}, {"planned_end_date": "2021-07-15T08:00:00"}, False),
        ({"end_date": WINDOW["end_date"]}, {"planned_start_date": "2021-07-15 08:00:00"}, False),
    ],
)
def test_an_implementation_is_planned_in_the_window_of_its_change(
    group: str, window: dict[str, str], sent: dict[str, str], is_refused: bool
) -> None:
    change = create(group, **window)
    fields = {"change_request": change, "change_task_type": "implementation", **sent}
    task = add_task(change, change_task_type="implementation")
    for attempt in (lambda: create_record(TASKS, WRITER, fields), lambda: write_task(task, **sent)):
        if is_refused:
            with pytest.raises(OperationFailed) as refusal:
                attempt()
            assert "within the window of its change" in str(refusal.value.detail)
        else:
            attempt()
    if is_refused:
        imported = add_task(change, **fields)
        write_task(imported, short_description="Imported as it was")


def test_a_job_creates_and_cancels_tasks_in_the_name_of_no_user(group: str) -> None:
    system = Caller("", "system", Permissions(frozenset({"admin"})))
    change = stored(create(group, state=SCHEDULED, approval="approved"))["sys_id"]
    write(change, system, state=IMPLEMENT)
    write(change, system, state=CANCELED)
    assert {(task["opened_by"], task["closed_by"], task["state"]) for task in tasks_of(change)} == {(None, None, 4)}
    assert stored(change)["closed_by"] is None
