"""The history of a change: where it begins, and what stays of it."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import db
from changegate.models import ChgHistory, SysAudit, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.attachments.upload import measure
from changegate.services.attachments.writing import Target, create_attachment, delete_attachment
from changegate.services.evidence.verification import verify
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import create_user
from tests.support.people import ROOT
from tests.support.statements import counted_statements

pytestmark = pytest.mark.usefixtures("either_app_context")
CHANGES, TASKS, HISTORY = (get_table(name) for name in ("change_request", "change_task", "chg_history"))
GROUPS = get_table("sys_user_group")


def caller(name: str, *roles: str) -> Caller:
    user = create_user(user_name=name, password=None, email=None, name=None, roles=[])
    return Caller(user.sys_id, name, Permissions(frozenset(roles)))


def history(sys_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return kind, user, and facts of every entry about a record."""
    rows = connection().execute(
        select(ChgHistory.kind, ChgHistory.sys_created_by, ChgHistory.facts)
        .where(ChgHistory.subject_id == sys_id)
        .order_by(ChgHistory.seq)
    )
    return [(kind, user, json.loads(facts)) for kind, user, facts in rows]


def test_a_creation_writes_no_history() -> None:
    with counted_statements() as statements:
        create_record(CHANGES, ROOT, {"short_description": "a change"})
    assert [text for text in statements if "chg_history" in text] == []


def test_the_history_of_a_change_begins_with_its_creation() -> None:
    ann = caller("ann", "itil")
    change = create_record(CHANGES, ann, {"short_description": "a change", "risk": "2"})
    append("change_request", change["sys_id"], "moved", {"changes": {"state": ["-5", "-4"]}}, actor_of(ROOT))

    (kind, user, facts), moved = history(change["sys_id"])
    assert (kind, user, moved[:2]) == ("created", "ann", ("moved", "admin"))
    assert facts == facts | {"number": change["number"], "short_description": "a change", "risk": "2", "state": "-5"}
    assert facts["requested_by"] == facts["opened_by"] == ann.sys_id


def test_the_creator_is_known_after_being_renamed() -> None:
    ann = caller("ann", "itil")
    change = create_record(CHANGES, ann, {})
    update_record(get_table("sys_user"), ROOT, ann.sys_id, {"user_name": "ann.lee"})
    append("change_request", change["sys_id"], "moved", {}, actor_of(ROOT))

    actors = select(ChgHistory.actor).where(ChgHistory.subject_id == change["sys_id"], ChgHistory.seq == 1)
    actor = json.loads(connection().execute(actors).scalar_one())
    assert actor == actor | {"user": ann.sys_id, "user_name": "ann"}


def imported(**sent: Any) -> str:
    return str(create_record(CHANGES, ROOT, {"risk": "4", "backout_plan": "Roll back", **sent})["sys_id"])


def test_edits_are_recorded_with_old_and_new_values() -> None:
    change = imported()
    update_record(CHANGES, ROOT, change, {"backout_plan": "Restore", "risk": "2", "watch_list": "admin"})
    created, edited = history(change)
    assert (created[2]["backout_plan"], created[2]["risk"]) == ("Roll back", "4")
    assert edited == ("edited", "admin", {"changes": {"risk": ["4", "2"], "backout_plan": ["Roll back", "Restore"]}})


def test_an_edit_of_a_field_that_is_not_recorded_costs_nothing() -> None:
    change = imported()
    with counted_statements() as statements:
        update_record(CHANGES, ROOT, change, {"watch_list": "admin", "work_notes": "noted"})
        update_record(CHANGES, ROOT, change, {"risk": "4"})
    assert [text for text in statements if "chg_history" in text] == []


@pytest.mark.parametrize("state", ["-1", "0", "3"])
def test_from_implement_on_an_edit_of_what_was_approved_is_a_deviation(state: str) -> None:
    closed = {"close_code": "successful", "close_notes": "done"} if state == "3" else {}
    change = imported(state=state, **closed)
    update_record(CHANGES, ROOT, change, {"backout_plan": "Restore", "description": "x"})
    update_record(CHANGES, ROOT, change, {"description": "y"})
    kinds = [(kind, facts.get("deviations")) for kind, _, facts in history(change)[1:]]
    assert kinds == [("deviated", ["backout_plan"]), ("edited", None)]


def test_a_move_and_an_edit_in_one_write_are_one_entry() -> None:
    change = imported()
    update_record(CHANGES, ROOT, change, {"state": "4", "description": "Not needed any more", "risk": "3"})
    created, (kind, _, facts) = history(change)
    assert kind == "moved"
    assert facts["changes"] == {
        "state": ["-5", "4"],
        "description": [None, "Not needed any more"],
        "risk": ["4", "3"],
    }
    assert (facts["automatic"], facts["transition"]) == (False, None)
    assert (created[2]["state"], created[2]["risk"]) == ("-5", "4")


@pytest.mark.parametrize("state", ["-5", "-1"])
def test_affected_items_and_attachments_are_recorded(state: str) -> None:
    """An item that is affected after Implement has begun was not approved; a further file changes nothing."""
    is_implementing = state == "-1"
    change = imported(state=state)
    item = str(create_record(get_table("cmdb_ci"), ROOT, {"name": "db"})["sys_id"])
    row = create_record(get_table("task_ci"), ROOT, {"task": change, "ci_item": item})["sys_id"]
    delete_record(get_table("task_ci"), ROOT, row)
    upload = measure(BytesIO(b"test"))
    delete_attachment(ROOT, create_attachment(ROOT, Target(CHANGES, change, "plan.txt"), upload))

    expected = "deviated" if is_implementing else "edited"
    assert [(kind, facts["changes"]) for kind, _, facts in history(change)[1:]] == [
        (expected, {"task_ci": [None, item]}),
        (expected, {"task_ci": [item, None]}),
        ("edited", {"sys_attachment": [None, ["plan.txt", upload.digest]]}),
        (expected, {"sys_attachment": [["plan.txt", upload.digest], None]}),
    ]


def test_two_writers_of_one_change_continue_its_history_one_after_the_other(either_app: Flask) -> None:
    """The lock of the change orders the writers of its chain; there is no lock for all chains."""
    changes = [imported() for _ in range(2)]
    commit()

    def edit(number: int) -> None:
        with either_app.app_context():
            update_record(CHANGES, ROOT, changes[number % 2], {"backout_plan": f"Plan {number}"})
            commit()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(edit, range(20))) == [None] * 20
    for change in changes:
        kinds = [kind for kind, _, _ in history(change)]
        assert kinds == ["created", *["edited"] * 10]
    assert verify().is_clean


def test_history_stays_when_its_change_and_tasks_are_deleted() -> None:
    change = create_record(CHANGES, ROOT, {"short_description": "a change"})
    task = create_record(TASKS, ROOT, {"change_request": change["sys_id"]})
    delete_record(CHANGES, ROOT, change["sys_id"])

    assert connection().execute(select(Task.sys_id)).all() == []
    kinds = [(kind, facts["number"]) for kind, _, facts in history(change["sys_id"])]
    assert kinds == [("created", change["number"]), ("deleted", change["number"]), ("deleted", task["number"])]


@pytest.mark.parametrize("deleted", ["change_request", "change_task", "chg_policy_approval"])
@pytest.mark.parametrize("created", ["change_request", "change_task", "chg_policy_approval"])
def test_a_sys_id_with_a_history_is_not_used_again(deleted: str, created: str) -> None:
    """A new record would continue the history, the round, and the approvals of the deleted one."""
    sent = {"chg_policy_approval": {"name": "Peers", "state": -4}}
    sys_id = create_record(get_table(deleted), ROOT, sent.get(deleted, {"short_description": "a"}))["sys_id"]
    delete_record(get_table(deleted), ROOT, sys_id)
    before = history(sys_id)
    db.session.commit()

    with pytest.raises(OperationFailed) as refusal:
        create_record(get_table(created), ROOT, {**sent.get(created, {}), "sys_id": sys_id})
    db.session.rollback()
    assert refusal.value.detail == "Unique Key violation detected: a record with this key exists already"
    assert history(sys_id) == before
    assert verify().is_clean


def test_moves_of_tasks_are_recorded_with_their_change() -> None:
    """Who closed which task, and with which result, is evidence of the implementation."""
    ann = caller("ann", "itil")
    change = create_record(
        CHANGES, ROOT, {"state": -1, "assignment_group": create_record(GROUPS, ROOT, {"name": "N"})["sys_id"]}
    )
    closed, canceled = (create_record(TASKS, ROOT, {"change_request": change["sys_id"]}) for _ in range(2))
    update_record(TASKS, ann, closed["sys_id"], {"short_description": "no move"})
    update_record(TASKS, ann, closed["sys_id"], {"state": 3, "close_code": "successful", "close_notes": "Done"})
    update_record(CHANGES, ROOT, change["sys_id"], {"state": 4})
    moved = [(user, facts) for kind, user, facts in history(change["sys_id"]) if kind == "task_moved"]
    result = {"number": closed["number"], "close_code": "successful"}
    assert moved == [
        ("ann", {"change_task": closed["sys_id"], "task_state": ["1", "3"], **result}),
        ("admin", {"change_task": canceled["sys_id"], "task_state": ["1", "4"], "number": canceled["number"]}),
    ]
    assert verify().is_clean


def test_a_task_is_recorded_with_its_change_and_alone_without_one() -> None:
    change = create_record(CHANGES, ROOT, {})
    task = create_record(TASKS, ROOT, {"change_request": change["sys_id"]})
    alone = create_record(TASKS, ROOT, {})
    delete_record(TASKS, ROOT, task["sys_id"])
    delete_record(TASKS, ROOT, alone["sys_id"])

    assert [kind for kind, _, _ in history(change["sys_id"])] == ["created", "deleted"]
    assert history(change["sys_id"])[1][2]["change_task"] == task["sys_id"]
    assert [kind for kind, _, _ in history(alone["sys_id"])] == ["created", "deleted"]
    assert history(task["sys_id"]) == []


def test_history_is_visible_with_its_change_and_then_to_change_managers_only() -> None:
    ann, tom, rita, eva = caller("ann"), caller("tom"), caller("rita", "itil"), caller("eva", "change_manager")
    everybody = (ann, tom, rita, eva, ROOT)

    def seen() -> list[int]:
        about_change = parse_encoded_query(f"subject_id={change}")
        return [count_records(HISTORY, by, about_change) for by in everybody]

    change = create_record(CHANGES, ROOT, {"requested_by": ann.sys_id})["sys_id"]
    append("change_request", change, "moved", {}, actor_of(ROOT))
    append("chg_model", "d" * 32, "model_edited", {}, actor_of(ROOT))
    assert seen() == [2, 0, 2, 2, 2]
    about_model = parse_encoded_query("subject_table=chg_model")
    assert [count_records(HISTORY, by, about_model) for by in everybody] == [0, 0, 1, 1, 1]

    delete_record(CHANGES, ROOT, change)
    assert seen() == [0, 0, 0, 3, 3]


def test_no_caller_writes_history_as_a_record() -> None:
    change = create_record(CHANGES, ROOT, {})
    append("change_request", change["sys_id"], "moved", {}, actor_of(ROOT))
    entry = connection().execute(select(ChgHistory.sys_id)).scalars().first()
    for write in (
        lambda: create_record(HISTORY, ROOT, {"kind": "moved"}),
        lambda: update_record(HISTORY, ROOT, str(entry), {"kind": "answered"}),
        lambda: delete_record(HISTORY, ROOT, str(entry)),
    ):
        with pytest.raises(AccessRefused):
            write()
    assert connection().execute(select(SysAudit.sys_id).where(SysAudit.tablename == "chg_history")).all() == []
