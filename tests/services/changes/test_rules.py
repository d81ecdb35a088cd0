"""What a write of a change does beside writing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from changegate.services.access import Caller
from changegate.services.changes.rules import ChangeRules

ANN = Caller("a" * 32, "ann", frozenset({"itil"}))


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


def test_what_the_caller_says_of_the_opening_stands(rules: ChangeRules) -> None:
    sent = {"opened_at": datetime(2026, 1, 31, tzinfo=UTC), "opened_by": "b" * 32, "requested_by": "c" * 32}
    values = dict(sent)
    rules.before_create(values, ANN)
    assert {name: values[name] for name in sent} == sent


@pytest.mark.parametrize(("state", "active"), [(-5, True), (0, True), (3, False), (4, False)])
def test_a_change_is_active_until_closed_or_canceled(rules: ChangeRules, state: int, active: bool) -> None:
    created, changed = {"state": state}, {"state": state}
    rules.before_create(created, ANN)
    rules.before_update({"assignment_group": None, "reassignment_count": 0}, changed, ANN)
    assert created["active"] is changed["active"] is active


@pytest.mark.parametrize(
    ("before", "changes", "count"),
    [("x", {"assignment_group": "y"}, 3), (None, {"assignment_group": "y"}, None), ("x", {"state": 0}, None)],
)
def test_counts_a_move_from_one_group_to_another(
    rules: ChangeRules, before: str | None, changes: dict[str, Any], count: int | None
) -> None:
    rules.before_update({"assignment_group": before, "reassignment_count": 2}, changes, ANN)
    assert changes.get("reassignment_count") == count
