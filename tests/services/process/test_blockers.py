"""What a change waits for, who can remove each blocker, and how."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from changegate.database import connection
from changegate.errors import OperationFailed
from changegate.extensions import db, now
from changegate.models import ChgHistory, SysUserGroup, Task
from changegate.services.process.blockers import CHANGES as CHANGES_PATH
from changegate.services.process.blockers import TASKS as TASKS_PATH
from changegate.services.process.blockers import Blocker, Call, list_blockers
from changegate.services.process.changes import lock_change
from changegate.services.tables.values import render_value
from changegate.services.tables.writing.records import create_record, update_record
from tests.services.process.test_moves import (
    ASSESS,
    CANCELED,
    CHANGES,
    CLOSED,
    DONE,
    IMPLEMENT,
    NEW,
    REVIEW,
    ROOT,
    SCHEDULED,
    WRITER,
    add_task,
)


@pytest.fixture
def group(app: Flask) -> Iterator[str]:
    with app.app_context():
        group = SysUserGroup(name="Network")
        db.session.add(group)
        db.session.commit()
        yield group.sys_id


def create(**sent: Any) -> str:
    return str(create_record(CHANGES, ROOT, sent)["sys_id"])


def blockers_of(change: str) -> list[Blocker]:
    locked = lock_change(change)
    assert locked is not None
    return list_blockers(locked)


def created_on(change: str) -> datetime:
    created: datetime = connection().execute(select(Task.sys_created_on).where(Task.sys_id == change)).scalar_one()
    return created


def history_of(change: str) -> list[Any]:
    return list(connection().execute(select(ChgHistory.__table__).where(ChgHistory.subject_id == change)))


def test_a_missing_field_is_a_write_away(group: str) -> None:
    change = create()
    [blocker] = blockers_of(change)
    assert (blocker.code, blocker.field) == ("field", "assignment_group")
    assert blocker.sentence == "Set Assignment group (assignment_group)."
    assert blocker.how == Call("PATCH", f"{CHANGES_PATH}/{change}", {"assignment_group": ""})
    assert {"type": "role", "name": "itil"} in blocker.who_can
    update_record(CHANGES, WRITER, change, {"assignment_group": group})
    [ready] = blockers_of(change)
    assert blocker.since == ready.since == created_on(change)
    assert (ready.code, ready.field, ready.how) == (
        "move",
        "state",
        Call("PATCH", f"{CHANGES_PATH}/{change}", {"state": str(ASSESS)}),
    )
    assert "can move to Assess" in ready.sentence
    assert ready.how is not None
    update_record(CHANGES, WRITER, change, dict(ready.how.body))
    [moved] = [entry for entry in history_of(change) if entry.kind == "moved"]
    past = moved.sys_created_on - timedelta(days=2)
    connection().execute(update(Task).where(Task.sys_id == change).values(sys_created_on=past, on_hold=True))
    assert [blocker.since for blocker in blockers_of(change) if blocker.code == "on_hold"] == [moved.sys_created_on]


def test_the_hold_comes_first_and_the_tasks_one_by_one(group: str) -> None:
    held = {"on_hold": True, "on_hold_reason": "Vendor"}
    change = create(state=REVIEW, assignment_group=group, **held)
    tasks = {add_task(change, short_description="Tell the users"), add_task(change)}
    add_task(change, state=4)
    found = blockers_of(change)
    assert [blocker.code for blocker in found] == ["on_hold", "field", "field", "task", "task"]
    assert found[0].how == Call("PATCH", f"{CHANGES_PATH}/{change}", {"on_hold": "false"})
    assert {blocker.field for blocker in found[1:3]} == {"close_code", "close_notes"}
    assert {blocker.task for blocker in found[3:]} == tasks
    for blocker in found[3:]:
        body = {"state": "3", "close_code": "", "close_notes": ""}
        assert blocker.how == Call("PATCH", f"{TASKS_PATH}/{blocker.task}", body)
        assert blocker.since is not None
        assert blocker.sentence.startswith("Close or cancel the active change tasks. CTASK")
    assert any(blocker.sentence.endswith(": Tell the users") for blocker in found)


def test_a_missing_approval_is_a_blocker_of_its_own(group: str) -> None:
    [blocker] = blockers_of(create(state=ASSESS, assignment_group=group))
    assert (blocker.code, blocker.how) == ("approval", None)
    [blocker] = blockers_of(create(state=SCHEDULED, assignment_group=group, approval="requested"))
    assert blocker.code == "approval"


def test_a_standard_change_without_a_template_can_get_another_type(group: str) -> None:
    change = create(type="standard", assignment_group=group)
    [blocker] = blockers_of(change)
    how = Call("PATCH", f"{CHANGES_PATH}/{change}", {"type": "normal"})
    assert (blocker.code, blocker.field, blocker.how) == ("condition", "type", how)
    assert {"type": "role", "name": "itil"} in blocker.who_can

    update_record(CHANGES, WRITER, change, dict(how.body))
    [ready] = blockers_of(change)
    assert (ready.code, "can move to Assess" in ready.sentence) == ("move", True)


@pytest.mark.parametrize("state", [CLOSED, CANCELED])
def test_a_change_in_a_final_state_waits_for_nothing(group: str, state: int) -> None:
    assert blockers_of(create(state=state)) == []


def test_refusals_use_the_same_sentences(group: str) -> None:
    change = create(state=REVIEW, assignment_group=group)
    add_task(change)
    with pytest.raises(OperationFailed) as refusal:
        update_record(CHANGES, WRITER, change, {"state": CLOSED, "close_code": "successful", "close_notes": "x"})
    [task] = [blocker for blocker in blockers_of(change) if blocker.code == "task"]
    assert task.sentence.partition(" CTASK")[0] in str(refusal.value.detail)


def test_an_implementation_and_its_tasks_begin_at_their_planned_start(group: str) -> None:
    """A pipeline that waits can sleep until then."""
    start, past = (now().replace(microsecond=0) + timedelta(days=days) for days in (2, -2))
    window = {"start_date": render_value(CHANGES.entries["start_date"], start)}
    change = create(assignment_group=group, state=SCHEDULED, approval="approved", **window)
    assert [blocker.not_before for blocker in blockers_of(change)] == [start]
    connection().execute(update(Task).where(Task.sys_id == change).values(start_date=past))
    assert [blocker.not_before for blocker in blockers_of(change)] == [None]

    change = create(assignment_group=group, state=REVIEW, **DONE)
    planned = add_task(change)
    connection().execute(update(Task).where(Task.sys_id == planned).values(planned_start_date=start))
    add_task(change)
    assert [blocker.not_before for blocker in blockers_of(change) if blocker.code == "task"] == [start, None]


def test_an_implementation_waits_for_its_end(group: str) -> None:
    [blocker] = blockers_of(create(state=IMPLEMENT, assignment_group=group))
    assert (blocker.code, blocker.how and blocker.how.body) == ("move", {"state": str(REVIEW)})
    assert NEW not in (blocker.how.body if blocker.how else ())
