"""Change tasks: parts of a change with a life of their own."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from changegate.errors import AccessRefused, RequestUnreadable
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.support.people import ROOT

CHANGES, TASKS = get_table("change_request"), get_table("change_task")


@pytest.fixture
def change(either_app: Flask) -> Iterator[str]:
    with either_app.app_context():
        yield create_record(CHANGES, ROOT, {})["sys_id"]


def create(**sent: Any) -> Any:
    return create_record(TASKS, ROOT, sent)


def updated(sys_id: str, **sent: Any) -> dict[str, Any]:
    return dict(zip(TASKS.fields_for(ROOT.permissions), update_record(TASKS, ROOT, sys_id, sent), strict=True))


def test_tasks_have_numbers_of_their_own(change: str) -> None:
    numbers = [create(change_request=change)["number"] for _ in range(2)]
    assert numbers == ["CTASK0010001", "CTASK0010002"]
    assert create_record(CHANGES, ROOT, {})["number"] == "CHG0030002"


def test_a_new_task_is_open_and_made_by_hand(change: str) -> None:
    created = create(change_request=change)
    assert (created["state"], created["active"], created["sys_class_name"]) == (1, True, "change_task")
    assert (created["change_task_type"], created["created_from"]) == ("planning", "manual")
    assert (created["opened_by"], created["task_effective_number"]) == (ROOT.sys_id, created["number"])


@pytest.mark.parametrize("field", ["change_request", "parent"])
def test_change_and_parent_are_one(change: str, field: str) -> None:
    created = create(**{field: change})
    assert created["change_request"] == created["parent"] == change


@pytest.mark.parametrize("field", ["change_request", "parent"])
def test_a_task_stays_with_its_change(change: str, field: str) -> None:
    other = create_record(CHANGES, ROOT, {})["sys_id"]
    task = create(change_request=change)["sys_id"]
    for value in (other, "", *([create()["sys_id"]] if field == "parent" else [])):
        with pytest.raises(AccessRefused) as refusal:
            updated(task, **{field: value})
        assert "a task stays with its change" in (refusal.value.detail or "")
    assert updated(task, **{field: change}, short_description="x")["change_request"] == change


@pytest.mark.parametrize("field", ["change_request", "parent"])
def test_a_task_without_a_change_joins_one(change: str, field: str) -> None:
    task = create()["sys_id"]
    joined = updated(task, **{field: change})
    assert joined["change_request"] == joined["parent"] == change


def test_a_parent_that_is_not_a_change_is_only_a_parent(change: str) -> None:
    first = create(change_request=change)["sys_id"]
    assert create(parent=first)["change_request"] is None


def test_a_task_is_not_a_change(change: str) -> None:
    with pytest.raises(RequestUnreadable) as refusal:
        create(change_request=create(change_request=change)["sys_id"])
    assert "change_request" in (refusal.value.detail or "")


def test_a_task_on_hold_can_be_closed(change: str) -> None:
    task = create(change_request=change, state="-5", on_hold="true", on_hold_reason="waiting")["sys_id"]
    closed = updated(task, state="3", close_code="successful", close_notes="done")
    assert (closed["state"], closed["active"], closed["on_hold"]) == (3, False, True)
    assert closed["closed_by"] == ROOT.sys_id
    assert closed["closed_at"] is not None


def test_an_approval_written_on_a_task_is_kept(change: str) -> None:
    task = create(change_request=change)["sys_id"]
    assert updated(task, approval="approved")["approval"] == "approved"


@pytest.mark.parametrize("state", ["-4", "0", "7", "nonsense"])
def test_a_task_refuses_the_states_of_a_change(change: str, state: str) -> None:
    with pytest.raises(RequestUnreadable):
        create(change_request=change, state=state)
