"""Asking people: whom the rules of a policy ask, how many of them must approve, and their open approvals."""

from collections.abc import Collection, Sequence
from typing import Any

from changegate.extensions import now
from changegate.services.approvals.candidates import find_candidates, find_role
from changegate.services.approvals.content import store_content
from changegate.services.approvals.eligibility import governed_by, list_exclusions
from changegate.services.approvals.hours import first_deadline
from changegate.services.approvals.people import person_keys
from changegate.services.approvals.rollup import (
    APPROVED,
    REQUESTED,
    Answer,
    Quorum,
    can_be_approved,
    required_approvals,
)
from changegate.services.approvals.rounds import NOT_REQUIRED, Round, Row
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
Rule = dict[str, Any]


def rule_of(row: Row, policy: Row) -> Rule:
    """Return a stored rule of a policy in the form in which decisions keep it."""
    definition = {each: row[each] for each in _DEFINITION}
    excludes_earlier = policy["excludes_earlier"] and not row["accepts_earlier"]
    return {"rule": row["sys_id"], "name": row["name"], "definition": definition, "excludes_earlier": excludes_earlier}


def expand_rule(current: Round, stage: int, rule: Row) -> Rule:
    """Return a rule with the users whom it asks, those whom it does not ask and why, and the approvals it requires.

    A percentage is that of the people who are asked. The number that is required never falls.
    """
    definition = rule["definition"]
    candidates, role = find_candidates(definition, current.change), find_role(definition)
    excluded = list_exclusions(current, stage, {**rule, "role": role}, candidates.users)
    keys = person_keys([user for user in candidates.users if user not in excluded])
    asked: dict[str, str] = {}
    for user, person in keys.items():
        if asked.setdefault(person, user) != user:
            excluded[user] = "another account of the same person is asked"
    required = required_approvals(definition["wait_for"], definition["value"], len(asked))
    return {
        **{name: rule.get(name) for name in ("rule", "name", "definition", "excludes_earlier")},
        "required": max(required, rule.get("required", 0)),
        "role": role,
        "group": candidates.group,
        "origin": candidates.origin,
        "asked": [*asked.values()],
        "excluded": excluded,
    }


def why_impossible(rules: Sequence[Row], *, counts_person_once: bool) -> str | None:
    """Return why the rules could not be passed even if everyone who is asked approved, or None if they could."""
    for rule in rules:
        count = len(rule["asked"])
        if count < rule["required"]:
            reasons = "; ".join(list(rule["excluded"].values())[:_MOST_NAMED])
            excluded = f" ({reasons})" if reasons else ""
            if not count:
                return f"rule {rule['name']}: {rule['origin']} contains no user who may approve{excluded}"
            needed = f"{rule['required']} approvals are required"
            return f"rule {rule['name']}: {needed}, and {rule['origin']} contains {count} who may approve{excluded}"
    if len(rules) < 2 or not counts_person_once:
        return None
    quorums = [Quorum(rule["rule"], rule["required"]) for rule in rules]
    keys = person_keys({user for rule in rules for user in rule["asked"]})
    asked = ((rule["rule"], user) for rule in rules for user in rule["asked"])
    answers = [Answer(f"{rule}.{user}", rule, keys[user], REQUESTED) for rule, user in asked]
    if can_be_approved(quorums, answers, counts_person_once=True):
        return None
    return "one person counts for one rule only, and the rules together require more people than may approve"


def ask_people(current: Round, stage: Row, rule: Row, *, skipping: Collection[str]) -> None:
    """Request an approval from each person whom a rule asks, without those in `skipping`.

    `stage` has the state and the policy. While the change is on hold, the approvals are held as well.
    """
    users = [user for user in rule["asked"] if user not in skipping]
    if not users:
        return
    is_held = bool(current.change["on_hold"])
    asked = {
        "state": NOT_REQUIRED if is_held else REQUESTED,
        "held_at": now() if is_held else None,
        "content_hash": store_content(current.content(governed_by(rule))),
        "due_date": first_deadline(rule["definition"]),
    }
    for user in users:
        current.add({**place_of(stage, rule), **asked, "approver": user})


def accept_earlier(current: Round, stage: Row, rule: Row) -> set[str]:
    """Copy the approvals that people gave in an earlier stage, if the rule accepts them; return these people."""
    if not rule["definition"]["accepts_earlier"]:
        return set()
    earlier = (row for row in current.rows if row["stage"] != stage["stage"])
    approved = {row["approver"]: row for row in earlier if row["state"] == APPROVED}
    accepted = [approved[user] for user in rule["asked"] if user in approved]
    for row in accepted:
        copied = {**{name: row[name] for name in _COPIED}, "approval_source": _EARLIER}
        approval = current.add({**place_of(stage, rule), **copied})
        facts = {"approval": approval, "earlier": row["sys_id"], "approver": row["approver"]}
        append("change_request", current.change["sys_id"], "accepted", facts, actor_of(current.caller))
    return {row["approver"] for row in accepted}


def place_of(stage: Row, rule: Row) -> dict[str, Any]:
    """Return the columns that name the stage, the policy, the rule, and the group of an approval."""
    return {"stage": stage["stage"], "policy": stage["policy"], "approval_def": rule["rule"], "group": rule["group"]}
