"""The count of a round: what its answers add up to, and what the change still waits for."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changegate.extensions import now
from changegate.services.approvals.asking import why_impossible
from changegate.services.approvals.bound import is_bound
from changegate.services.approvals.eligibility import list_exclusions
from changegate.services.approvals.hours import expiry_of
from changegate.services.approvals.people import person_keys
from changegate.services.approvals.rollup import (
    APPROVED,
    NOT_REQUESTED,
    REJECTED,
    REQUESTED,
    Answer,
    Rollup,
    find_needless,
    roll_up,
)
from changegate.services.approvals.rounds import ANSWERED, NOT_REQUIRED, STAGES, Round, Row, Stage, is_open
from changegate.services.approvals.voiding import find_uncovered, why_void
from changegate.services.tables.rules import Values

_SHOWN = ("approver", "answered_by", "answered_as", "answered_at", "state", "content_hash")


@dataclass(frozen=True, slots=True)
class StageCount:
    """A stage with its approvals that are not void, these as answers, and what they add up to."""

    stage: Stage
    rows: Sequence[Values]
    answers: Sequence[Answer]
    rollup: Rollup


@dataclass(frozen=True, slots=True)
class OpenRule:
    """A rule that is not passed: it needs `missing` more approvals, besides those that count, and has `opened` ones.

    `uncounted` are answers that do not count; those that no longer do are requested again by a job. `reason` explains
    why there are too few open approvals. `expired_at` is set if an approval given now would have expired already: it is
    the time of that expiry. A stage for which no user was asked has no `rule`.
    """

    stage: Stage
    rule: Row | None
    missing: int
    opened: Sequence[Row] = ()
    uncounted: Sequence[Row] = ()
    reason: str | None = None
    expired_at: datetime | None = None


def count_stage(current: Round, stage: Stage, *, compares_open: bool = True) -> StageCount:
    """Return what the approvals of a stage add up to now.

    Without `compares_open`, the accounts of people who have not answered are not compared: they change no result of a
    rule, only whose answers are needless.
    """
    rows = [row for row in current.rows if row["stage"] == stage.state and row["voided_at"] is None]
    rows.sort(key=lambda row: (row["answered_at"] is None, row["answered_at"] or 0, row["sys_id"]))
    users = {row["sys_id"]: row["answered_by"] or row["approver"] for row in rows}
    compared = {users[row["sys_id"]] for row in rows if compares_open or row["answered_by"]}
    keys = person_keys(compared)
    answers = []
    for row in rows:
        user, rule = users[row["sys_id"]], stage.rule_of(row)
        ignored = _why_ignored(current, stage, rule, row) if rule and row["state"] in ANSWERED else None
        answers.append(Answer(row["sys_id"], row["approval_def"], keys.get(user, user), row["state"], ignored))
    rollup = roll_up(stage.quorums, answers, counts_person_once=stage.counts_person_once)
    return StageCount(stage, rows, answers, rollup)


def _why_ignored(current: Round, stage: Stage, rule: Row, row: Row) -> str | None:
    """Return why an answer does not count: its content or time, or one of the people who gave it."""
    if row["state"] == APPROVED and (reason := why_void(current, row)):
        return reason
    people = (row["answered_by"], row["approver"])
    excluded = list_exclusions(current, stage.state, rule, people, answer=row)
    return next((excluded[user] for user in people if user in excluded), None)


def count_answers(current: Round) -> str:
    """Count the answers of every stage, append decisions, and end needless approvals; return `approval` of the change.

    The caller holds the lock of the change.
    """
    approvals = []
    for stage in [*current.stages.values()]:
        approvals.append(_count_and_decide(current, stage) if stage.asks_people else stage.outcome)
        if approvals[-1] == REJECTED:
            return REJECTED
    if not approvals:
        return str(current.change["approval"])
    if NOT_REQUESTED in approvals:
        return NOT_REQUESTED
    return REQUESTED if REQUESTED in approvals else APPROVED


def _count_and_decide(current: Round, stage: Stage) -> str:
    count = count_stage(current, stage)
    needless = set(find_needless(stage.quorums, count.answers, counts_person_once=stage.counts_person_once))
    for row in count.rows:
        if row["sys_id"] in needless:
            current.update(row, {"state": NOT_REQUIRED})
    approval = count.rollup.approval
    if approval in {NOT_REQUESTED, REQUESTED}:
        # A stage whose answers are all void still waits for the people who are asked again.
        approval = NOT_REQUESTED if stage.outcome == NOT_REQUESTED else REQUESTED
    if approval != stage.outcome:
        current.decide(approval, {**stage.definition, "explanation": _explain(current, count)})
    return approval


def _explain(current: Round, count: StageCount) -> dict[str, Any]:
    """Return the explanation of a decision: every rule, and every answer that counted or did not count."""
    rows = {row["sys_id"]: row for row in count.rows}
    results = zip(count.stage.rules, count.rollup.results, strict=True)
    rules = [
        {
            **rule,
            "passed": result.is_passed,
            "counted": [_shown(rows[answer.sys_id]) for answer in result.counted],
            "not_counted": [{**_shown(rows[sys_id]), "reason": why} for sys_id, why in result.not_counted.items()],
        }
        for rule, result in results
    ]
    rejections = [_shown(rows[answer.sys_id]) for answer in count.rollup.rejections]
    explanation = count.stage.definition["explanation"]
    return {**explanation, "rules": rules, "rejections": rejections, **current.initiators.shown()}


def _shown(row: Row) -> dict[str, Any]:
    return {"approval": row["sys_id"], **{name: row[name] for name in _SHOWN}}


def list_open_rules(current: Round) -> Iterator[OpenRule]:
    """Yield what the stages of a round wait for, the earliest state first; nothing if they are all approved."""
    if all(stage.outcome == APPROVED for stage in current.stages.values()):
        return
    for _, stage in sorted(current.stages.items()):
        reason = stage.definition["reason"] if stage.outcome == NOT_REQUESTED else None
        if not stage.asks_people:
            if reason is not None:
                yield OpenRule(stage, None, 1, reason=reason)
            continue
        count = count_stage(current, stage, compares_open=False)
        for rule, result in zip(stage.rules, count.rollup.results, strict=True):
            if not result.is_passed:
                opened = [row for row in count.rows if row["approval_def"] == rule["rule"] and is_open(row)]
                uncounted = [row for row in count.rows if row["sys_id"] in result.not_counted]
                why = _why_too_few(rule, opened, reason, [*result.not_counted.values()])
                expiry = expiry_of(current.change, rule["definition"])
                expired_at = expiry if expiry is not None and expiry <= now() else None
                missing = rule["required"] - len(result.counted)
                yield OpenRule(stage, rule, missing, opened, uncounted, why, expired_at)


def _why_too_few(rule: Row, opened: Sequence[Row], reason: str | None, uncounted: Sequence[str]) -> str | None:
    """Return why the open approvals of a rule cannot be enough, or None."""
    if not opened:
        return reason or "; ".join(uncounted) or None
    return why_impossible([rule], counts_person_once=False)


def facts_of(change: Row, edited: Collection[str] = (), *, counts: bool = True) -> dict[str, Any]:
    """Return the facts about the approvals of a change for the conditions of transitions and policies.

    `change` may have values that a request is about to write, and `edited` names them: a request that edits and moves a
    change at once is decided by what was approved. `approval` is only requested if an answer no longer counts, and
    approvals that no policy requested do not count. `approval.missing` is the number of rules that are not passed, and
    1 for a state in which no user was asked. Nothing is written.
    """
    approval, depends = change["approval"], change["approval"] == APPROVED and is_bound(change)
    if not (counts or depends):
        return {"approval": approval}
    current = Round(change)
    if depends and change["state"] in STAGES - current.stages.keys():
        approval = NOT_REQUESTED
    elif depends and (any(find_uncovered(current)) or (edited and any(find_uncovered(current, frozenset(edited))))):
        approval = REQUESTED
    if not counts:
        return {"approval": approval}
    states = [row["state"] for row in current.rows]
    counted = {f"approval.{state}": states.count(state) for state in (REQUESTED, APPROVED, REJECTED)}
    return {"approval": approval, **counted, "approval.missing": len([*list_open_rules(current)])}
