"""The standing of a change: which rules wait, for whom, since when, and why nobody was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.stages import ANSWERED, Rounds, count_stage, read_rounds
from changegate.services.approvals.stored import list_approvals

NOBODY = Initiators({}, {}, None)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one rule of a change waits for: `missing` more approvals by users who have open `approvals`.

    A stage in which nobody could be asked has a `reason` instead of a rule, and no `users`. A rule that everyone
    has left has both.
    """

    state: int
    policy: str | None
    rule: str | None
    missing: int
    users: Sequence[str]
    approvals: Sequence[str]
    since: datetime
    reason: str | None = None


def waiting_for(change: Row) -> list[Waiting]:
    """Return what the open stages of a change wait for, the earliest state first; empty if they are all approved."""
    rounds = read_rounds(change["sys_id"])
    return _waiting(change, rounds, _rows_of(change, rounds))


def _rows_of(change: Row, rounds: Rounds) -> Sequence[Row]:
    return list_approvals(change["sys_id"], rounds.number) if rounds.number else ()


def _waiting(change: Row, rounds: Rounds, rows: Sequence[Row]) -> list[Waiting]:
    waiting: list[Waiting] = []
    if all(stage.outcome == APPROVED for stage in rounds.stages.values()):
        return waiting
    # Needed only for answers, which most changes that wait do not have.
    initiators = initiators_of(change) if any(row["state"] in ANSWERED for row in rows) else NOBODY
    for state, stage in sorted(rounds.stages.items()):
        policy = stage.definition["policy_name"]
        reason = stage.definition["reason"] if stage.outcome == NOT_REQUESTED else None
        if stage.asks_people:
            counted = count_stage(change, stage, rows, initiators, only_answers=True)
            for rule, result in zip(stage.rules, counted.rollup.results, strict=True):
                if not result.is_passed:
                    is_open = [row for row in counted.rows if _is_open(row, rule["rule"])]
                    users, approvals = [row["approver"] for row in is_open], [row["sys_id"] for row in is_open]
                    missing = rule["required"] - len(result.counted)
                    why = None if is_open else reason
                    waiting.append(Waiting(state, policy, rule["name"], missing, users, approvals, stage.since, why))
        elif reason is not None:
            waiting.append(Waiting(state, policy, None, 1, (), (), stage.since, reason))
    return waiting


def _is_open(row: Row, rule: str) -> bool:
    return bool(row["approval_def"] == rule and (row["state"] == REQUESTED or row["is_held"]))


def facts_of(change: Row) -> dict[str, int]:
    """Return the facts about the approvals of the current round, for the conditions of transitions and policies.

    `approval.missing` is the number of rules that are not passed, and 1 where nobody could be asked.
    """
    rounds = read_rounds(change["sys_id"])
    rows = _rows_of(change, rounds)
    states = [row["state"] for row in rows if row["voided_at"] is None]
    counts = {state: states.count(state) for state in (REQUESTED, APPROVED, REJECTED)}
    missing = len(_waiting(change, rounds, rows))
    return {**{f"approval.{state}": count for state, count in counts.items()}, "approval.missing": missing}
