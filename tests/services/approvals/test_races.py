"""People who answer at the same time as others, or beside moves of the change: each waits for the lock of the change.

The last of two approvals triggers one move, and nobody answers what has just ended.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask

from changegate.database import commit
from changegate.services.access.caller import Caller
from changegate.services.approvals.content import find_content
from changegate.services.approvals.policies import rules_of
from changegate.services.process.edits import recompute
from tests.services.approvals.asked_changes import (
    ASSESS,
    AUTHORIZE,
    NEW,
    SCHEDULED,
    add,
    add_policy,
    approvals_of,
    change_of,
    decisions_of,
    edit,
    of_users,
    outcomes_of,
    states_of,
)
from tests.services.approvals.test_policy_rules import version_of
from tests.services.process.test_races import Race
from tests.support.people import add_account, caller_for

ROUNDS = 4
NAMES = ("ann", "bob", "cem", "dee")
CANCELED = 4


class ApprovalRace(Race):
    """A race with people who can approve."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        with app.app_context():
            people = {name: add_account(name) for name in NAMES}
            self.callers = {name: caller_for(sys_id, "approver_user") for name, sys_id in people.items()}
            self.users = tuple(people.values())
            commit()

    def waiting(self, state: int = AUTHORIZE, **rule: Any) -> str:
        """Return an emergency in Authorize, or a normal change in Assess, that all people are asked about."""
        with self.app.app_context():
            add_policy(of_users(*self.users, **rule), state=state)
            kind = "emergency" if state == AUTHORIZE else "normal"
            change = add("change_request", type=kind, assignment_group=self.group)
            edit("change_request", change, state=state)
            commit()
            return change

    def answers(self, change: str, *names: str, state: str = "approved") -> list[Callable[[], Any]]:
        """Return the work of answering for each person."""
        with self.app.app_context():
            rows = {row["approver"]: row["sys_id"] for row in approvals_of(change, state="requested")}
        return [self._answering(rows[self.callers[name].sys_id], self.callers[name], state) for name in names]

    def _answering(self, row: str, caller: Caller, state: str) -> Callable[[], Any]:
        def work() -> str:
            edit("sysapproval_approver", row, caller, state=state, comments="seen")
            return state

        return work


@pytest.fixture
def race(either_app: Flask) -> Iterator[ApprovalRace]:
    yield ApprovalRace(either_app)


def test_of_people_who_approve_at_once_as_many_count_as_are_required(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting(wait_for="count", value=2)
        results = race.run(*race.answers(change, *NAMES))
        with race.app.app_context():
            assert change_of(change)["state"] == SCHEDULED
            assert sorted(states_of(change).values()) == ["approved", "approved", "not_required", "not_required"]
            assert outcomes_of(change) == ["requested", "approved"]
            [rule] = json.loads(decisions_of(change)[-1]["explanation"])["rules"]
            assert len(rule["counted"]) == 2
        assert sorted(map(str, results)) == ["403", "403", "approved", "approved"]
        assert race.moves(change) == 2


def test_the_last_two_approvals_move_the_change_once(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting(wait_for="all")
        assert race.run(*race.answers(change, *NAMES)) == ["approved"] * len(NAMES)
        with race.app.app_context():
            assert outcomes_of(change) == ["requested", "approved"]
            assert change_of(change)["state"] == SCHEDULED
        assert race.moves(change) == 2


def test_of_an_approval_and_a_rejection_that_each_decide_one_counts(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting()
        works = [*race.answers(change, "ann"), *race.answers(change, "bob", state="rejected")]
        results = race.run(*works)
        with race.app.app_context():
            state = change_of(change)["state"]
            decided = outcomes_of(change)
        assert (state, decided[-1], results) in (
            (SCHEDULED, "approved", ["approved", 403]),
            (NEW, "rejected", [403, "rejected"]),
        )
        assert len(decided) == 2


def test_a_cancellation_beside_an_approval_leaves_nothing_open(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting()
        cancel = partial(edit, "change_request", change, state=CANCELED)
        result, _canceled = race.run(*race.answers(change, "ann"), cancel)
        with race.app.app_context():
            assert change_of(change)["state"] == CANCELED
            states = states_of(change)
        # Scheduled can be canceled as well, so the cancellation always succeeds.
        assert set(states.values()) in ({"approved", "not_required"}, {"cancelled"})
        assert (result == "approved") == ("approved" in states.values())


def test_a_revert_beside_an_approval_is_made_before_or_refused(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting(ASSESS)
        revert = partial(edit, "change_request", change, state=NEW)
        result, reverted = race.run(*race.answers(change, "ann"), revert)
        with race.app.app_context():
            state, states = change_of(change)["state"], set(states_of(change, stage=ASSESS).values())
        if reverted is None:
            assert (state, result, states) == (NEW, 403, {"cancelled"})
        else:
            assert (state, result, reverted) == (AUTHORIZE, "approved", reverted)
            assert reverted in {403, 409} and states == {"approved", "not_required"}


def test_a_hold_beside_an_approval_loses_no_answer(race: ApprovalRace) -> None:
    for _ in range(ROUNDS):
        change = race.waiting(wait_for="all")
        hold = partial(edit, "change_request", change, on_hold=True, on_hold_reason="x")
        result, _held = race.run(*race.answers(change, "ann"), hold)
        with race.app.app_context():
            edit("change_request", change, on_hold=False)
            commit()
            states = sorted(states_of(change).values())
        given = 1 if result == "approved" else 0
        assert states == ["approved"] * given + ["requested"] * (4 - given)


def test_an_edit_beside_an_approval_is_never_approved_unseen(race: ApprovalRace) -> None:
    """Either the answer covers the new plan, or it was given first and is void, and all are asked again."""
    for _ in range(ROUNDS):
        change = race.waiting()
        plan = partial(edit, "change_request", change, implementation_plan="Another plan")
        result, _edited = race.run(*race.answers(change, "ann"), plan)
        with race.app.app_context():
            record = change_of(change)
            rows = approvals_of(change, approver=race.callers["ann"].sys_id)
            covered = find_content(rows[-1]["content_hash"])
        assert (result, record["state"]) == ("approved", SCHEDULED)
        assert covered is not None and covered["implementation_plan"] == "Another plan"
        if record["approval"] == "approved":
            assert [row["state"] for row in rows] == ["approved"]
        else:
            assert record["approval"] == "requested"
            assert [row["state"] for row in rows] == ["cancelled", "requested"]


def test_a_departure_beside_an_approval_neither_loses_nor_doubles_an_answer(race: ApprovalRace) -> None:
    """A worker follows the departure of one person while another one approves."""
    for _ in range(ROUNDS):
        change = race.waiting(wait_for="count", value=2)
        leaver = race.callers["dee"].sys_id
        with race.app.app_context():
            edit("sys_user", leaver, active=False)
            commit()
        follow = partial(recompute, {"change": change})
        [result, _followed] = race.run(*race.answers(change, "ann"), follow)
        with race.app.app_context():
            follow()
            states = states_of(change)
            edit("sys_user", leaver, active=True)
            commit()
        others = {race.callers[name].sys_id: "requested" for name in ("bob", "cem")}
        assert result == "approved"
        assert states == {race.callers["ann"].sys_id: "approved", leaver: "cancelled", **others}


def test_a_decision_names_the_version_whose_rules_it_holds(race: ApprovalRace) -> None:
    """A policy is edited while it is read."""
    with race.app.app_context():
        policy = add_policy(of_users(*race.users, wait_for="count", value=1))
        rule = rules_of(policy)[0]["sys_id"]
        commit()
    for number in range(2, 2 + ROUNDS):
        with race.app.app_context():
            version = version_of(policy)
            change = add("change_request", type="normal", assignment_group=race.group)
            commit()
        required = number % 4 + 1
        change_rule = partial(edit, "chg_approval_def", rule, value=required)
        assess = partial(edit, "change_request", change, state=ASSESS)
        race.run(change_rule, assess)
        with race.app.app_context():
            decision = decisions_of(change)[0]
            [held] = json.loads(decision["explanation"])["rules"]
        assert (decision["policy_version"] == version + 1) == (held["definition"]["value"] == required)


def test_an_answer_that_is_sent_twice_counts_once(race: ApprovalRace) -> None:
    change = race.waiting(wait_for="all")
    results = race.run(*race.answers(change, "ann"), *race.answers(change, "ann"))
    with race.app.app_context():
        assert sorted(states_of(change).values()) == ["approved", "requested", "requested", "requested"]
    assert results == ["approved", "approved"]
