"""The stages of a change: for each state that requested approvals, its rules as they were, and what the answers yield.

A round begins when the change leaves New. It has a stage for each state that requested approvals, such as Assess and
Authorize; `approval` of the change is approved only if every stage is. A rejection, a cancellation, and a return to New
end the round. Its approvals and decisions stay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.approvals.people import list_faults, person_keys
from changegate.services.approvals.rollup import (
    APPROVED,
    NOT_REQUESTED,
    REJECTED,
    REQUESTED,
    Answer,
    Quorum,
    Rollup,
    find_needless,
    roll_up,
)
from changegate.services.approvals.stored import add_decision, list_approvals, list_decisions, update_approval
from changegate.services.approvals.voiding import find_uncovered

CANCELLED, NOT_REQUIRED = "cancelled", "not_required"
# Key of an explanation: everyone whom a rule asked has left before enough of them answered.
EMPTIED = "emptied"
ANSWERED = frozenset({APPROVED, REJECTED})
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """The value that the field `approval` of a change must have now; `reason` says why nobody was asked."""

    approval: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A state in which approvals were requested: the decision that defines it, and the outcome of the latest one."""

    definition: Row
    outcome: str

    @property
    def state(self) -> int:
        """The state of the change on whose entry the approvals were requested."""
        return int(self.definition["stage"])

    @property
    def asks_people(self) -> bool:
        """Return whether people were asked; otherwise, claims have decided, or there was nobody to ask.

        A stage that everyone has left since then keeps its rules, so that its quorums do not fall.
        """
        return bool(self.definition["outcome"] == REQUESTED or self.definition["explanation"].get(EMPTIED))

    @property
    def rules(self) -> Sequence[Row]:
        """The rules with the approvals that they require, as they were when these were requested."""
        rules: Sequence[Row] = self.definition["explanation"].get("rules", ())
        return rules

    @property
    def quorums(self) -> list[Quorum]:
        """The rules in the form of the rollup."""
        return [Quorum(rule["rule"], rule["required"]) for rule in self.rules]

    @property
    def counts_person_once(self) -> bool:
        """Return whether a person counts for one rule only."""
        return bool(self.definition["explanation"].get("counts_person_once", True))

    @property
    def since(self) -> datetime:
        """The time since when the stage waits."""
        since: datetime = self.definition["sys_created_on"]
        return since


@dataclass(frozen=True, slots=True)
class Rounds:
    """The current round of a change: its number, and its stages by state while it is open."""

    number: int
    stages: Mapping[int, Stage]


def read_rounds(change: str) -> Rounds:
    """Return the current round of a change; the number of a change without decisions is 0."""
    decisions = list_decisions(change)
    number = max((each["round"] for each in decisions), default=0)
    stages: dict[int, Stage] = {}
    for each in decisions:
        if each["round"] != number:
            continue
        if each["outcome"] in {REJECTED, CANCELLED}:
            stages.clear()
            continue
        stage = stages.get(each["stage"])
        is_answered = stage is not None and each["outcome"] == APPROVED and stage.asks_people
        stages[each["stage"]] = Stage(stage.definition if stage and is_answered else each, each["outcome"])
    return Rounds(number, stages)


@dataclass(frozen=True, slots=True)
class Counted:
    """A stage with its approvals, and what they add up to."""

    stage: Stage
    rows: Sequence[Row]
    answers: Sequence[Answer]
    rollup: Rollup


def count_stage(
    change: Row, stage: Stage, rows: Sequence[Row], initiators: Initiators, *, only_answers: bool = False
) -> Counted:
    """Return what the approvals of a stage add up to now. `rows` are those of the round.

    With `only_answers`, the accounts of people who have not answered are not compared: they change no result of a rule.
    """
    of_stage = [row for row in rows if row["stage"] == stage.state and row["voided_at"] is None]
    users = {row["answered_by"] or row["approver"] for row in of_stage}
    compared = {row["answered_by"] for row in of_stage if row["answered_by"]} if only_answers else users
    keys = dict(zip(users, users, strict=True)) | person_keys(compared)
    ignored = _ignored_answers(change, stage, of_stage, initiators)
    answers = [
        Answer(
            row["sys_id"],
            row["approval_def"],
            keys[row["answered_by"] or row["approver"]],
            row["state"],
            ignored.get(row["sys_id"]),
        )
        for row in of_stage
    ]
    rollup = roll_up(stage.quorums, answers, counts_person_once=stage.counts_person_once)
    return Counted(stage, of_stage, answers, rollup)


def _ignored_answers(change: Row, stage: Stage, rows: Sequence[Row], initiators: Initiators) -> dict[str, str]:
    """Return, by sys_id, why answers do not count.

    Their content or time is over, or the person who answered, or for whom they answered, asked for the change. Until
    the stage is approved, these people must also be active and have the role that the rule requires.
    """
    ignored = find_uncovered(change, rows)
    for rule in stage.rules:
        of_rule = [row for row in rows if row["approval_def"] == rule["rule"] and row["state"] in ANSWERED]
        is_decided = stage.outcome == APPROVED or not of_rule
        people = {row[name] for row in of_rule for name in ("answered_by", "approver")}
        faults = {} if is_decided else list_faults(people, rule["role"])
        for row in of_rule:
            reason = faults.get(row["answered_by"]) or faults.get(row["approver"])
            if reason is None and not rule["definition"]["allows_requester"]:
                reason = initiators.why_not(row["answered_by"]) or initiators.why_not(row["approver"])
            if reason is not None:
                ignored[row["sys_id"]] = reason
    return ignored


def settle(change: Row, caller: Caller) -> ApprovalOutcome:
    """Count the answers of every stage; append decisions, and end the approvals that have become needless.

    The caller holds the lock of the change.
    """
    rounds = read_rounds(change["sys_id"])
    if not rounds.stages:
        return ApprovalOutcome(change["approval"])
    initiators = initiators_of(change)
    rows = list_approvals(change["sys_id"], rounds.number)
    approvals = []
    for stage in rounds.stages.values():
        if not stage.asks_people:
            approvals.append(stage.outcome)
            continue
        counted = count_stage(change, stage, rows, initiators)
        _end_needless(counted, caller)
        approval = counted.rollup.approval
        if approval in {NOT_REQUESTED, REQUESTED}:
            # A stage whose answers are all void still waits for the people who are asked again.
            approval = NOT_REQUESTED if stage.outcome == NOT_REQUESTED else REQUESTED
        approvals.append(approval)
        if approval != stage.outcome:
            append_decision(change, rounds, counted, approval, initiators, caller)
    return ApprovalOutcome(combine(approvals))


def combine(approvals: Sequence[str]) -> str:
    """Return the approval of a change from those of its stages."""
    for approval in (REJECTED, NOT_REQUESTED):
        if approval in approvals:
            return approval
    return APPROVED if all(approval == APPROVED for approval in approvals) else REQUESTED


def _end_needless(counted: Counted, caller: Caller) -> None:
    """Set the approvals whose answers cannot change the result any more to No Longer Required."""
    once = counted.stage.counts_person_once
    needless = set(find_needless(counted.stage.quorums, counted.answers, counts_person_once=once))
    for row in counted.rows:
        if row["sys_id"] in needless:
            update_approval(row, {"state": NOT_REQUIRED}, caller)


def append_decision(
    change: Row, rounds: Rounds, counted: Counted, approval: str, initiators: Initiators, caller: Caller
) -> None:
    """Append the decision that the answers of a stage have led to, with every rule and every answer."""
    rows = {row["sys_id"]: row for row in counted.rows}
    stage, definition = counted.stage, counted.stage.definition
    explanation = {
        **definition["explanation"],
        "rules": [
            {
                **rule,
                "passed": result.is_passed,
                "counted": [_shown(rows[answer.sys_id]) for answer in result.counted],
                "not_counted": [{**_shown(rows[sys_id]), "reason": why} for sys_id, why in result.not_counted.items()],
            }
            for rule, result in zip(stage.rules, counted.rollup.results, strict=True)
        ],
        "rejections": [_shown(rows[answer.sys_id]) for answer in counted.rollup.rejections],
        **shown_initiators(initiators),
    }
    kept = ("stage", "policy", "policy_name", "policy_version", "facts")
    values = {name: definition[name] for name in kept}
    values |= {"round": rounds.number, "explanation": explanation}
    add_decision(change, {**values, "outcome": approval}, caller)


def shown_initiators(initiators: Initiators) -> dict[str, Any]:
    """Return the people who asked for a change, and why they may not approve it, as an explanation holds them."""
    reasons = {user: initiators.why_not(user) for user in initiators.links}
    return {"initiators": reasons, "unmapped_actor": initiators.unmapped_actor}


def _shown(row: Row) -> dict[str, Any]:
    names = ("approver", "answered_by", "answered_as", "answered_at", "state", "content_hash")
    return {"approval": row["sys_id"], **{name: row[name] for name in names}}
