"""Asking people: whom the rules of a policy ask, how many of them must approve, and their open approvals."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from changegate.models.base import utc_now
from changegate.services.access.caller import Caller
from changegate.services.approvals.candidates import find_candidates, find_role
from changegate.services.approvals.content import parse_governed_fields, read_content, store_content
from changegate.services.approvals.deadlines import first_deadline
from changegate.services.approvals.four_eyes import Initiators
from changegate.services.approvals.people import list_faults, person_keys
from changegate.services.approvals.rollup import (
    APPROVED,
    REQUESTED,
    Answer,
    Quorum,
    can_be_approved,
    required_approvals,
)
from changegate.services.approvals.stages import NOT_REQUIRED
from changegate.services.approvals.stored import add_approval
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append

# What a rule was when approvals were requested; later edits of the policy do not change a round.
_DEFINITION = (
    *("approver_source", "users", "group", "approver_field", "wait_for", "value", "accepts_earlier"),
    *("allows_requester", "required_role", "governed_fields"),
    *("reminder_hours", "escalation_hours", "expiry_hours", "valid_hours"),
)
_COPIED = ("approver", "state", "answered_at", "answered_by", "answered_as", "content_hash", "expires")
_EARLIER = "Approved in an earlier state"
_MOST_NAMED = 5
Row = Mapping[str, Any]
Rule = dict[str, Any]


def expand_rule(sys_id: str, name: str, definition: Row, change: Row, initiators: Initiators) -> Rule:
    """Return a rule with the users whom it asks, those whom it does not ask and why, and the approvals it requires.

    A percentage is that of the people who are asked.
    """
    candidates, role = find_candidates(definition, change), find_role(definition)
    faults = list_faults(candidates.users, role) if candidates.users else {}
    keys = person_keys(candidates.users) if candidates.users else {}
    asked: list[str] = []
    excluded: dict[str, str] = {}
    for user in candidates.users:
        reason = faults.get(user)
        if reason is None and not definition["allows_requester"]:
            reason = initiators.why_not(user)
        if reason is None and keys[user] in {keys[other] for other in asked}:
            reason = "another account of the same person is asked"
        if reason is None:
            asked.append(user)
        else:
            excluded[user] = reason
    required = required_approvals(definition["wait_for"], definition["value"], len(asked))
    kept = {each: definition[each] for each in _DEFINITION}
    of_rule = {"rule": sys_id, "name": name, "required": required, "role": role, "definition": kept}
    return {**of_rule, "group": candidates.group, "origin": candidates.origin, "asked": asked, "excluded": excluded}


def why_impossible(rules: Sequence[Rule], *, counts_person_once: bool) -> str | None:
    """Return why the rules could not be passed even if everyone who is asked approved, or None if they could."""
    for rule in rules:
        count = len(rule["asked"])
        if count < rule["required"]:
            named = "; ".join(list(rule["excluded"].values())[:_MOST_NAMED])
            excluded = f" ({named})" if named else ""
            if not count:
                return f"rule {rule['name']}: {rule['origin']} contains no user who may approve{excluded}"
            needed = f"{rule['required']} approvals are required"
            return f"rule {rule['name']}: {needed}, and {rule['origin']} contains {count} who may approve{excluded}"
    quorums = [Quorum(rule["rule"], rule["required"]) for rule in rules]
    keys = person_keys({user for rule in rules for user in rule["asked"]})
    asked = ((rule["rule"], user) for rule in rules for user in rule["asked"])
    answers = [Answer(f"{rule}.{user}", rule, keys[user], REQUESTED) for rule, user in asked]
    if can_be_approved(quorums, answers, counts_person_once=counts_person_once):
        return None
    return "one person counts for one rule only, and the rules together require more people than may approve"


def ask_people(change: Row, place: Row, rule: Rule, caller: Caller, *, skipping: Collection[str]) -> None:
    """Request an approval from each person whom a rule asks, without those in `skipping`; on hold, it is held as well.

    `place` has the round, the stage, and the policy.
    """
    users = [user for user in rule["asked"] if user not in skipping]
    if not users:
        return
    definition, is_held = rule["definition"], bool(change["on_hold"])
    governed = parse_governed_fields(definition["governed_fields"], definition["approver_field"])
    digest = store_content(read_content(change, governed))
    asked: dict[str, Any] = {
        "state": NOT_REQUIRED if is_held else REQUESTED,
        "is_held": is_held,
        "content_hash": digest,
    }
    asked["due_date"] = first_deadline(definition, utc_now())
    for user in users:
        add_approval(change, {**_place_of(place, rule), **asked, "approver": user}, caller)


def accept_earlier(change: Row, place: Row, rule: Rule, earlier: Sequence[Row], caller: Caller) -> set[str]:
    """Copy the approvals that people gave in an earlier stage, if the rule accepts them; return these people."""
    if not rule["definition"]["accepts_earlier"]:
        return set()
    given = {row["approver"]: row for row in earlier if row["state"] == APPROVED and row["voided_at"] is None}
    accepted = [given[user] for user in rule["asked"] if user in given]
    for row in accepted:
        copied = {**{name: row[name] for name in _COPIED}, "approval_source": _EARLIER}
        approval = add_approval(change, {**_place_of(place, rule), **copied}, caller)
        facts = {"approval": approval, "earlier": row["sys_id"], "approver": row["approver"]}
        append("change_request", change["sys_id"], "accepted", facts, actor_of(caller))
    return {row["approver"] for row in accepted}


def _place_of(place: Row, rule: Rule) -> dict[str, Any]:
    of_round = {name: place[name] for name in ("round", "stage", "policy")}
    return {**of_round, "approval_def": rule["rule"], "group": rule["group"]}
