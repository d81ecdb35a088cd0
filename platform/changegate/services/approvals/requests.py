"""Requests: the approvals that a change needs when it enters a state, their end, and their repetition."""

from collections.abc import Mapping
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.approvals.asking import Rule, accept_earlier, ask_people, expand_rule, why_impossible
from changegate.services.approvals.deadlines import ESCALATED
from changegate.services.approvals.four_eyes import Initiators, initiators_of
from changegate.services.approvals.people import list_faults
from changegate.services.approvals.policies import PEOPLE, UNDECIDED, PolicySelection, select_policy
from changegate.services.approvals.rollup import APPROVED, NOT_REQUESTED, REJECTED, REQUESTED
from changegate.services.approvals.stages import (
    CANCELLED,
    EMPTIED,
    NOT_REQUIRED,
    ApprovalOutcome,
    Counted,
    Rounds,
    count_stage,
    read_rounds,
    settle,
    shown_initiators,
)
from changegate.services.approvals.stored import add_decision, list_approvals, update_approval, withdraw
from changegate.services.tables.journals import add_journal_entries

STAGES = frozenset({-4, -3})
NOTE = "Approval could not be requested: {}. Change managers, please make sure that somebody can approve."
REPEATED = "approvals were requested again"
REJECTED_BY_CLAIMS = "verified claims have rejected the change"
Row = Mapping[str, Any]


def is_requested(change: Row) -> bool:
    """Return whether `approval` of a change comes from a policy, if the state of the change requests approvals.

    Imported approvals, and those that were written before policies existed, do not.
    """
    return change["state"] not in STAGES or change["state"] in read_rounds(change["sys_id"]).stages


def on_entry(change: Row, state: int, caller: Caller, facts: Mapping[str, Any]) -> ApprovalOutcome:
    """Request the approvals of a change that has entered a state, or decide by claims; return what follows.

    If there is nobody to ask, `approval` is not requested and the outcome has the reason. In states without policies,
    `approval` stays. The caller holds the lock of the change.
    """
    if state not in STAGES:
        return ApprovalOutcome(change["approval"])
    rounds = read_rounds(change["sys_id"])
    if not rounds.stages or state in rounds.stages:
        _end_open(change, rounds.number, caller, REPEATED)
        rounds = Rounds(rounds.number + 1, {})
    return _request(change, state, rounds, caller, select_policy(change, state, facts))


def ask_again(change: Row, caller: Caller, facts: Mapping[str, Any]) -> ApprovalOutcome:
    """Try again to request the approvals of a change that waits in a state because there was nobody to ask."""
    rounds = read_rounds(change["sys_id"])
    stage = rounds.stages.get(change["state"])
    if change["state"] not in STAGES or change["on_hold"] or (stage and stage.outcome != NOT_REQUESTED):
        return ApprovalOutcome(change["approval"])
    rounds = rounds if rounds.stages else Rounds(rounds.number + 1, {})
    return _request(change, change["state"], rounds, caller, select_policy(change, change["state"], facts))


def cancel_pending(change: Row, caller: Caller, reason: str) -> None:
    """Cancel the open approvals of a change and end its round, because it was cancelled or goes back to New."""
    rounds = read_rounds(change["sys_id"])
    _end_open(change, rounds.number, caller, reason)
    if rounds.stages:
        last = rounds.stages[max(rounds.stages)].definition
        kept = {name: last[name] for name in ("stage", "policy", "policy_name", "policy_version")}
        add_decision(change, {**kept, "round": rounds.number, "outcome": CANCELLED, "reason": reason}, caller)


def withdraw_open(change: Row, caller: Caller, reason: str) -> None:
    """Cancel the open approvals of a change that is deleted. Its answers and decisions stay as they are."""
    _end_open(change, read_rounds(change["sys_id"]).number, caller, reason)


def hold(change: Row, caller: Caller) -> None:
    """Set the open approvals of a change to No Longer Required while it is on hold."""
    for row in list_approvals(change["sys_id"], read_rounds(change["sys_id"]).number):
        if row["state"] == REQUESTED:
            update_approval(row, {"state": NOT_REQUIRED, "is_held": True}, caller)


def release(change: Row, caller: Caller) -> None:
    """Request the approvals again that a hold had ended."""
    for row in list_approvals(change["sys_id"], read_rounds(change["sys_id"]).number):
        if row["is_held"]:
            update_approval(row, {"state": REQUESTED, "is_held": False}, caller)


def redraw(change: Row, caller: Caller, reason: str) -> ApprovalOutcome:
    """Determine again whom the rules of the open stages ask: people have joined or left. A quorum never falls.

    Open approvals of people who may no longer approve are cancelled. People whose answers were voided are asked again,
    and so are those whose answers were not needed, if the others are too few now. If nobody is left to ask, `approval`
    is not requested, until people come back or join.
    """
    rounds = read_rounds(change["sys_id"])
    initiators = initiators_of(change)
    rows = [row for row in list_approvals(change["sys_id"], rounds.number) if row["voided_at"] is None]
    for stage in rounds.stages.values():
        if stage.asks_people:
            counted = count_stage(change, stage, rows, initiators)
            if counted.rollup.approval not in {APPROVED, REJECTED}:
                _redraw_stage(change, rounds, counted, initiators, caller, reason)
    return settle(change, caller)


def _redraw_stage(
    change: Row, rounds: Rounds, counted: Counted, initiators: Initiators, caller: Caller, reason: str
) -> None:
    definition, former, was = counted.stage.definition, counted.stage.rules, counted.stage.outcome
    rules = [expand_rule(rule["rule"], rule["name"], rule["definition"], change, initiators) for rule in former]
    place = {"round": rounds.number, "stage": counted.stage.state, "policy": definition["policy"]}
    ended: list[tuple[Row, str]] = []
    for rule, before in zip(rules, former, strict=True):
        rule["required"] = max(rule["required"], before["required"])
        of_rule = [row for row in counted.rows if row["approval_def"] == rule["rule"] and row["state"] != CANCELLED]
        # A manager to whom the rule was escalated stays, although the rule does not name them, while they may approve.
        managers = {row["approver"] for row in of_rule if row["approval_source"] == ESCALATED}
        faults = list_faults(managers, rule["role"])
        kept = {*rule["asked"], *(managers - faults.keys())}
        gone = [row for row in of_rule if _is_open(row) and row["approver"] not in kept]
        ended += [(row, (faults | rule["excluded"]).get(row["approver"], reason)) for row in gone]
        ask_people(change, place, rule, caller, skipping=_known(rule, counted, [r for r in of_rule if r not in gone]))
    withdraw(change, ended, caller)
    emptied = _why_emptied(change, rounds, counted, rules)
    outcome = NOT_REQUESTED if emptied else REQUESTED
    if outcome != was or rules != [{name: rule[name] for name in rules[0]} for rule in former]:
        named = {name: definition[name] for name in ("policy_name", "policy_version", "facts")}
        explanation = {**definition["explanation"], "rules": rules, EMPTIED: emptied is not None}
        named |= {"outcome": outcome, "reason": emptied or reason, "explanation": explanation}
        add_decision(change, {**place, **named}, caller)
    if emptied and (was != NOT_REQUESTED or definition["reason"] != emptied):
        _notify_managers(change, emptied, caller)


def _why_emptied(change: Row, rounds: Rounds, counted: Counted, rules: list[Rule]) -> str | None:
    """Return why a rule that is not passed has no open approval any more, or None if each of them has one."""
    rows = list_approvals(change["sys_id"], rounds.number)
    waiting = {row["approval_def"] for row in rows if row["stage"] == counted.stage.state and _is_open(row)}
    failed = {result.rule.sys_id for result in counted.rollup.results if not result.is_passed}
    emptied = [rule for rule in rules if rule["rule"] in failed - waiting]
    return why_impossible(emptied, counts_person_once=counted.stage.counts_person_once) if emptied else None


def _known(rule: Rule, counted: Counted, rows: list[Row]) -> set[str]:
    """Return the people who are not asked again: all who have an approval, or if they are too few, those who count."""
    ignored = {answer.sys_id for answer in counted.answers if answer.ignored_because}
    known = {row["approver"] for row in rows}
    counting = {
        row["approver"] for row in rows if _is_open(row) or (row["state"] == APPROVED and row["sys_id"] not in ignored)
    }
    is_enough = len(counting | (set(rule["asked"]) - known)) >= rule["required"]
    return known if is_enough else counting


def reselect(
    change: Row, caller: Caller, reason: str, facts: Mapping[str, Any], *, keeps_approved: bool = False
) -> ApprovalOutcome:
    """Select the policy of each stage again after an edit; a stage with another policy is requested again.

    A stage that claims have decided is decided again, because the edit may have come from another user. With
    `keeps_approved`, approved stages stay as they are: no answer is void because the person has left since.
    """
    rounds = read_rounds(change["sys_id"])
    for state, stage in rounds.stages.items():
        if keeps_approved and stage.outcome == APPROVED:
            continue
        selection = select_policy(change, state, facts)
        policy = selection.policy["sys_id"] if selection.policy else None
        verdict = PEOPLE if stage.asks_people else stage.outcome
        if (policy, selection.verdict) != (stage.definition["policy"], verdict):
            rows = list_approvals(change["sys_id"], rounds.number)
            ended = [row for row in rows if row["stage"] == state and (row["state"] == APPROVED or _is_open(row))]
            withdraw(change, [(row, reason) for row in ended], caller)
            _request(change, state, rounds, caller, selection)
    return settle(change, caller)


def _request(change: Row, state: int, rounds: Rounds, caller: Caller, selection: PolicySelection) -> ApprovalOutcome:
    """Request the approvals of the selected policy, or append the decision that claims or a lack of people led to."""
    policy = selection.policy or {"sys_id": None, "name": None, "version": None}
    place = {"round": rounds.number, "stage": state, "policy": policy["sys_id"]}
    decision = {**place, "policy_name": policy["name"], "policy_version": policy["version"], "facts": selection.facts}
    explanation: dict[str, Any] = {"claims": selection.claims, "passed_over": selection.passed_over}
    if selection.verdict not in {PEOPLE, UNDECIDED}:
        add_decision(change, {**decision, "outcome": selection.verdict, "explanation": explanation}, caller)
        if selection.verdict == REJECTED:
            _end_open(change, rounds.number, caller, REJECTED_BY_CLAIMS)
            return ApprovalOutcome(REJECTED)
        return settle(change, caller)
    rules: list[Rule] = []
    reason = selection.reason
    if selection.verdict == PEOPLE:
        initiators, once = initiators_of(change), policy["counts_person_once"]
        rules = [expand_rule(rule["sys_id"], rule["name"], rule, change, initiators) for rule in selection.rules]
        explanation |= {"counts_person_once": once, "rules": rules, **shown_initiators(initiators)}
        reason = _why_unknown(policy, initiators) or why_impossible(rules, counts_person_once=once)
    if reason is not None:
        return _wait(change, rounds, {**decision, "reason": reason, "explanation": explanation}, caller)
    add_decision(change, {**decision, "outcome": REQUESTED, "explanation": explanation}, caller)
    earlier = [row for row in list_approvals(change["sys_id"], rounds.number) if row["stage"] != state]
    for rule in rules:
        answered = accept_earlier(change, place, rule, earlier, caller)
        ask_people(change, place, rule, caller, skipping=answered)
    return settle(change, caller)


def _why_unknown(policy: Row, initiators: Initiators) -> str | None:
    if not policy["requires_mapped_actor"] or initiators.unmapped_actor is None:
        return None
    who = f"{initiators.unmapped_actor} belongs to no user"
    return f"policy {policy['name']} requires that the person behind the token is known, and {who}"


def _wait(change: Row, rounds: Rounds, decision: dict[str, Any], caller: Caller) -> ApprovalOutcome:
    """Let a change wait because there is nobody to ask, and tell change managers by a work note, once for a reason."""
    reason, stage = decision["reason"], rounds.stages.get(decision["stage"])
    if stage is None or stage.definition["reason"] != reason:
        add_decision(change, {**decision, "outcome": NOT_REQUESTED}, caller)
        _notify_managers(change, reason, caller)
    return ApprovalOutcome(NOT_REQUESTED, reason)


def _notify_managers(change: Row, reason: str, caller: Caller) -> None:
    add_journal_entries("change_request", change["sys_id"], {"work_notes": NOTE.format(reason)}, caller)


def _end_open(change: Row, of_round: int, caller: Caller, reason: str) -> None:
    rows = list_approvals(change["sys_id"], of_round)
    withdraw(change, [(row, reason) for row in rows if _is_open(row)], caller)


def _is_open(row: Row) -> bool:
    """Return whether an approval waits for an answer, or will when a hold ends."""
    return bool(row["state"] == REQUESTED or row["is_held"])
