"""What a write of a change does beside writing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from changegate.errors import OperationFailed
from changegate.models import ChangeRequest
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.process.change_rules import ChangeRules

ANN = Caller("a" * 32, "ann", Permissions(frozenset({"itil"})))
ROOT = Caller("d" * 32, "root", Permissions(frozenset({"admin"})))
ROOTS_TOKEN = Caller("d" * 32, "root", Permissions(frozenset({"admin"}), TokenGrant("e" * 32, "s")))


@pytest.fixture
def rules(app: Flask) -> Iterator[ChangeRules]:
    with app.app_context():
        yield ChangeRules()


def test_a_new_change_is_numbered_open_and_its_caller_s(rules: ChangeRules) -> None:
    values: dict[str, Any] = {}
    rules.before_create(values, ANN)
    assert values["number"] == values["task_effective_number"] == "CHG0030001"
    assert (values["state"], values["active"]) == (-5, True)
    assert values["opened_by"] == values["requested_by"] == ANN.sys_id
    assert values["opened_at"].tzinfo is UTC


SENT = {"opened_at": datetime(2026, 1, 31, tzinfo=UTC), "opened_by": "b" * 32, "approval": "approved", "state": 3}


def test_an_administrator_brings_in_changes_as_they_were(rules: ChangeRules) -> None:
    values = dict(SENT)
    rules.before_create(values, ROOT)
    assert {name: values[name] for name in SENT} == SENT


@pytest.mark.parametrize("caller", [ANN, ROOTS_TOKEN], ids=["user", "token of an administrator"])
def test_only_administrators_create_approved_changes_or_those_opened_by_others(
    rules: ChangeRules, caller: Caller
) -> None:
    values = {**SENT, "state": -5, "requested_by": "c" * 32}
    rules.before_create(values, caller)
    assert (values["approval"], values["opened_by"]) == ("not requested", caller.sys_id)
    assert values["opened_at"] > SENT["opened_at"]  # type: ignore[operator]
    assert values["requested_by"] == "c" * 32


@pytest.mark.parametrize("state", [-4, -1, 0, 3, 4])
@pytest.mark.parametrize("caller", [ANN, ROOTS_TOKEN], ids=["user", "token of an administrator"])
def test_only_administrators_create_changes_in_a_later_state(rules: ChangeRules, caller: Caller, state: int) -> None:
    with pytest.raises(OperationFailed, match="Operation Failed") as refusal:
        rules.before_create({"state": state}, caller)
    assert refusal.value.detail == "A change begins in state New (-5)"


BEFORE: dict[str, Any] = {
    **dict.fromkeys(ChangeRequest.__table__.columns.keys()),
    "sys_id": "f" * 32,
    "chg_model": MODELS_OF_TYPES["normal"],
    "approval": "not requested",
    "state": -5,
    "type": "normal",
    "on_hold": False,
    "unauthorized": False,
    "std_change_producer_version": None,
    "assignment_group": None,
    "reassignment_count": 0,
    "closed_at": None,
    "closed_by": None,
}


@pytest.mark.parametrize(("before", "state", "active"), [(-4, -5, True), (-1, 0, True), (0, 3, False), (-1, 4, False)])
def test_a_change_is_active_until_closed_or_canceled(rules: ChangeRules, before: int, state: int, active: bool) -> None:
    created, changed = {"state": state}, {"state": state}
    rules.before_create(created, ROOT)
    filled = {"assignment_group": "a" * 32, "close_code": "successful", "close_notes": "done"}
    rules.before_update({**BEFORE, **filled, "state": before}, changed, ANN)
    assert created["active"] is changed["active"] is active


@pytest.mark.parametrize(("state", "active"), [(-5, True), (3, False)])
def test_active_follows_the_state_whatever_is_sent(rules: ChangeRules, state: int, active: bool) -> None:
    said: dict[str, Any] = {"active": not active}
    rules.before_update({**BEFORE, "state": state, "active": active}, said, ANN)
    assert said == {"active": active}


def test_stores_who_closed_a_change_and_when(rules: ChangeRules) -> None:
    closing: dict[str, Any] = {"state": 4}
    rules.before_update(BEFORE, closing, ANN)
    assert closing["closed_by"] == ANN.sys_id
    assert closing["closed_at"].tzinfo is UTC
    again: dict[str, Any] = {"state": 4}
    rules.before_update({**BEFORE, **closing}, again, ROOT)
    assert again == {"state": 4, "active": False}


@pytest.mark.parametrize(
    ("before", "changes", "count"),
    [("x", {"assignment_group": "y"}, 3), (None, {"assignment_group": "y"}, None), ("x", {"state": -4}, None)],
)
def test_counts_a_move_from_one_group_to_another(
    rules: ChangeRules, before: str | None, changes: dict[str, Any], count: int | None
) -> None:
    rules.before_update({**BEFORE, "assignment_group": before, "reassignment_count": 2}, changes, ANN)
    assert changes.get("reassignment_count") == count
