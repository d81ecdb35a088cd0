"""The history of a change: where it begins, and what stays of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import connection
from changegate.errors import AccessRefused
from changegate.models import ChgHistory, SysAudit, Task
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import count_records
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import create_user
from tests.support.statements import counted_statements

ROOT = Caller("6816f79cc0a8016401c5a33be04be441", "admin", Permissions(frozenset({"admin"})))
CHANGES, TASKS, HISTORY = (get_table(name) for name in ("change_request", "change_task", "chg_history"))


@pytest.fixture(autouse=True)
def at_work(either_app: Flask) -> Iterator[None]:
    with either_app.app_context():
        yield


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


def test_history_stays_when_its_change_and_tasks_are_deleted() -> None:
    change = create_record(CHANGES, ROOT, {"short_description": "a change"})
    task = create_record(TASKS, ROOT, {"change_request": change["sys_id"]})
    delete_record(CHANGES, ROOT, change["sys_id"])

    assert connection().execute(select(Task.sys_id)).all() == []
    kinds = [(kind, facts["number"]) for kind, _, facts in history(change["sys_id"])]
    assert kinds == [("created", change["number"]), ("deleted", change["number"]), ("deleted", task["number"])]


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
