"""Requests: the approvals that a change needs when it enters a state, their end, and their repetition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from changegate.extensions import now
from changegate.services.approvals.asking import accept_earlier, ask_people, expand_rule, rule_of, why_impossible
from changegate.services.approvals.counting import StageCount, count_answers, count_stage
from changegate.services.approvals.deadlines import ESCALATED, ask_manager, find_manager
from changegate.services.approvals.eligibility import list_exclusions
from changegate.services.approvals.policies import PEOPLE, UNDECIDED, PolicySelection, select_policy
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.rounds import CANCELLED, EDITORS, EMPTIED, NOT_REQUIRED, STAGES, Round, Row, is_open
from changegate.services.approvals.voiding import void_after_edit
from changegate.services.jobs.queue import enqueue
from changegate.services.tables.journals import add_journal_entries
from changegate.services.tables.rules import Values

# The kind of job that asks change managers for help, beside the work note; notifications have its handler.
APPROVERS_MISSING = "approvals.approvers_missing"
NOTE = "Approval could not be requested: {}. Change managers, please make sure that enough users can approve."
REPEATED = "approvals were requested again"
EDITED = "the change was edited"
REJECTED_BY_CLAIMS = "verified claims have rejected the change"
# Returns the facts for the conditions of policies.
Gather = Callable[[], Row]


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """The users whom the rules of a policy ask; `reason` is why no user can be asked."""

    rules: Sequence[Row]
    reason: str | None
    explanation: Row


def on_entry(current: Round, state: int, facts: Row) -> str:
    """Request the approvals of a change that has entered a state, or decide by claims; return the new `approval`.

    If no user can be asked, it is not requested, and the decision has the reason. In states without policies, it stays.
    The caller holds the lock of the change.
    """
    if state not in STAGES:
        return str(current.change["approval"])
    if not current.stages or state in current.stages:
        end_open(current, REPEATED)
        current.begin_next()
    return _request(current, state, select_policy(current.change, state, facts))


def is_waiting(current: Round) -> bool:
    """Return whether a change has requested approvals in its round, or must request them in its state."""
    return bool(current.stages) or _is_unasked(current)


def after_edit(current: Round, edited: frozenset[str], gather: Gather) -> str:
    """Void the answers that depend on what the caller has edited, and request approvals again if needed."""
    # First, because an answer that depends on the edit shows the difference, even if another policy applies now.
    is_void = void_after_edit(current, edited)
    # Without users to ask, the edit may have named other people.
    if is_void or current.change["approval"] == NOT_REQUESTED or _is_unasked(current):
        return request_again(current, EDITED, gather)
    return _reselect(current, EDITED, gather())


def request_again(current: Round, reason: str, gather: Gather, *, keeps_approved: bool = False) -> str:
    """Select policies again, and ask the people whose answers are void or whom the rules ask now.

    With `keeps_approved`, approved stages stay as they are: no answer is void because the person has left since.
    """
    if _is_unasked(current):
        if not current.stages:
            current.begin_next()
        state = current.change["state"]
        approval = _request(current, state, select_policy(current.change, state, gather()))
    else:
        approval = _reselect(current, reason, gather(), keeps_approved=keeps_approved)
    return approval if approval == REJECTED else redraw(current, reason)


def end_round(current: Round, reason: str) -> None:
    """Cancel the open approvals of a change and end its round, because it was cancelled or goes back to New."""
    end_open(current, reason)
    if current.stages:
        last = current.stages[max(current.stages)].definition
        current.decide(CANCELLED, {**last, "facts": None, "explanation": None}, reason)


def end_open(current: Round, reason: str) -> None:
    """Cancel the open approvals of a change. Its answers and decisions stay as they are."""
    current.end([(row, reason) for row in current.rows if is_open(row)])


def hold_approvals(current: Round) -> None:
    """Set the open approvals of a change to No Longer Required while it is on hold."""
    for row in current.rows:
        if row["state"] == REQUESTED:
            current.update(row, {"state": NOT_REQUIRED, "held_at": now()})


def release_approvals(current: Round) -> None:
    """Request the approvals again that a hold had ended; their deadlines move by the time of the hold."""
    for row in current.rows:
        if row["held_at"]:
            due_date = row["due_date"] and row["due_date"] + (now() - row["held_at"])
            current.update(row, {"state": REQUESTED, "held_at": None, "due_date": due_date})


def redraw(current: Round, reason: str) -> str:
    """Determine again whom the rules of the open stages ask: people have joined or left. A quorum never falls.

    Open approvals of people who may no longer approve are cancelled. People whose answers were voided are asked again,
    and so are those whose answers were not needed, if the others are too few now. If no user is left to ask, `approval`
    is not requested, until people come back or join.
    """
    for stage in [*current.stages.values()]:
        if stage.asks_people:
            count = count_stage(current, stage)
            if count.rollup.approval not in {APPROVED, REJECTED}:
                _redraw_stage(current, count, reason)
    return count_answers(current)


def _redraw_stage(current: Round, count: StageCount, reason: str) -> None:
    stage, definition = count.stage, count.stage.definition
    rules = [expand_rule(current, stage.state, rule) for rule in stage.rules]
    ended: dict[str, tuple[Values, str]] = {}
    for rule in rules:
        of_rule = (row for row in current.rows if (row["stage"], row["approval_def"]) == (stage.state, rule["rule"]))
        # The last one of each person: one whose answer was voided may have an older approval that was not needed.
        latest = {row["approver"]: row for row in of_rule}
        rows = [row for row in latest.values() if row["state"] != CANCELLED]
        for row in filter(is_open, rows):
            if why := _why_gone(current, stage.state, rule, row, reason):
                ended[row["sys_id"]] = (row, why)
        skipping = _not_asked_again(rule, count, [row for row in rows if row["sys_id"] not in ended])
        ask_people(current, definition, rule, skipping=skipping)
        for row, _ in ended.values():
            if row["approval_source"] == ESCALATED and row["approval_def"] == rule["rule"]:
                ask_manager(current, stage.state, rule, row)
    current.end(ended.values())
    emptied, notice = _why_too_few(current, count, rules)
    former = definition["reason"] if stage.outcome == NOT_REQUESTED else _why_too_few(current, count, stage.rules)[1]
    outcome = NOT_REQUESTED if emptied else REQUESTED
    is_new = outcome != stage.outcome or definition["explanation"].get(EDITORS, {}) != current.edits
    if is_new or rules != [{name: rule.get(name) for name in rules[0]} for rule in stage.rules]:
        explanation = {**definition["explanation"], "rules": rules, EMPTIED: emptied is not None}
        current.decide(outcome, {**definition, "explanation": explanation}, emptied or reason)
    if notice and notice != former:
        _notify_managers(current, notice)


def _why_gone(current: Round, stage: int, rule: Row, row: Row, reason: str) -> str | None:
    """Return why a rule no longer asks the approver of an open approval, or None if it does.

    A manager to whom the rule was escalated is still asked, although the rule does not name them.
    """
    approver = row["approver"]
    if approver in rule["asked"]:
        return None
    if row["approval_source"] == ESCALATED and find_manager(row["group"]) == approver:
        return list_exclusions(current, stage, rule, [approver]).get(approver)
    return str(rule["excluded"].get(approver, reason))


def _why_too_few(current: Round, count: StageCount, rules: Sequence[Row]) -> tuple[str | None, str | None]:
    """Return why rules that are not passed have no open approval any more, and why they could not be passed at all."""
    rows = (row for row in current.rows if row["stage"] == count.stage.state and is_open(row))
    waiting = {row["approval_def"] for row in rows}
    failed = {result.rule.sys_id for result in count.rollup.results if not result.is_passed}
    emptied = [rule for rule in rules if rule["rule"] in failed - waiting]
    once = count.stage.counts_person_once
    reason = why_impossible(emptied, counts_person_once=once)
    return reason, reason or why_impossible([rule for rule in rules if rule["rule"] in failed], counts_person_once=once)


def _not_asked_again(rule: Row, count: StageCount, rows: Sequence[Row]) -> set[str]:
    """Return the people who are not asked again: all who have an approval, or if they are too few, those who count."""
    ignored = {answer.sys_id for answer in count.answers if answer.ignored_because}
    having = {row["approver"] for row in rows}
    counting = {
        row["approver"] for row in rows if is_open(row) or (row["state"] == APPROVED and row["sys_id"] not in ignored)
    }
    is_enough = len(counting | (set(rule["asked"]) - having)) >= rule["required"]
    return having if is_enough else counting


def _is_unasked(current: Round) -> bool:
    """Return whether no user could be asked when the change entered its state, or the change was imported in it."""
    change = current.change
    if change["approval"] == REJECTED or change["state"] not in STAGES:
        return False
    stage = current.stages.get(change["state"])
    return stage is None or (change["approval"] == NOT_REQUESTED and not stage.asks_people)


def _reselect(current: Round, reason: str, facts: Row, *, keeps_approved: bool = False) -> str:
    """Select the policy of each stage again after an edit; a stage with another policy is requested again.

    A stage that claims have decided is decided again, because the edit may have come from another user. With
    `keeps_approved`, approved stages stay as they are: no answer is void because the person has left since.
    """
    for stage in [*current.stages.values()]:
        if keeps_approved and stage.outcome == APPROVED:
            continue
        selection = select_policy(current.change, stage.state, facts)
        policy = selection.policy["sys_id"] if selection.policy else None
        verdict = PEOPLE if stage.asks_people else stage.outcome
        if (policy, selection.verdict) != (stage.definition["policy"], verdict):
            rows = (row for row in current.rows if row["stage"] == stage.state)
            current.end([(row, reason) for row in rows if is_open(row) or row["state"] == APPROVED])
            if _request(current, stage.state, selection) == REJECTED:
                return REJECTED
    return count_answers(current)


def _request(current: Round, state: int, selection: PolicySelection) -> str:
    """Request the approvals of the selected policy, or append the decision that claims or a lack of people led to."""
    policy = selection.policy or {"sys_id": None, "name": None, "version": None}
    explanation: dict[str, Any] = {"claims": selection.claims, "passed_over": selection.passed_over}
    stage = {"stage": state, "policy": policy["sys_id"], "facts": selection.facts, "explanation": explanation}
    stage |= {"policy_name": policy["name"], "policy_version": policy["version"]}
    if selection.verdict == REJECTED:
        current.decide(REJECTED, stage)
        end_open(current, REJECTED_BY_CLAIMS)
        return REJECTED
    if selection.verdict not in {PEOPLE, UNDECIDED}:
        current.decide(selection.verdict, stage)
        return count_answers(current)
    plan = plan_request(current, state, selection)
    explanation |= plan.explanation
    if plan.reason is not None:
        former = current.stages.get(state)
        if former is None or former.definition["reason"] != plan.reason:
            current.decide(NOT_REQUESTED, stage, plan.reason)
            _notify_managers(current, plan.reason)
        return NOT_REQUESTED
    current.decide(REQUESTED, stage)
    for rule in plan.rules:
        ask_people(current, stage, rule, skipping=accept_earlier(current, stage, rule))
    return count_answers(current)


def plan_request(current: Round, state: int, selection: PolicySelection) -> RequestPlan:
    """Return whom the people rules of a selected policy ask, or why no user can be asked. Nothing is written."""
    policy = selection.policy
    if policy is None or selection.verdict != PEOPLE:
        return RequestPlan([], selection.reason, {})
    once = policy["counts_person_once"]
    rules = [expand_rule(current, state, rule_of(rule, policy)) for rule in selection.rules]
    explanation = {"counts_person_once": once, "rules": rules, **current.initiators.shown()}
    reason = _why_unmapped(policy, current) or why_impossible(rules, counts_person_once=once)
    return RequestPlan(rules, reason, explanation)


def _why_unmapped(policy: Row, current: Round) -> str | None:
    actor = current.initiators.unmapped_actor
    if not policy["requires_mapped_actor"] or actor is None:
        return None
    required = f"policy {policy['name']} requires that the person behind the token is known"
    return f"{required}, and {actor} belongs to no user"


def _notify_managers(current: Round, reason: str) -> None:
    """Ask change managers for help, also by a work note.

    Callers compare the reason with the former one: each cause has one note.
    """
    notes = {"work_notes": NOTE.format(reason)}
    add_journal_entries("change_request", current.change["sys_id"], notes, current.caller)
    enqueue(APPROVERS_MISSING, {"change": current.change["sys_id"], "reason": reason})
