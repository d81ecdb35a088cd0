"""Who may approve under a rule: active accounts with its role, four eyes, and one state for each person."""

from collections.abc import Collection

from changegate.models.change_request import CHANGE_STATES
from changegate.services.approvals.content import parse_governed_fields
from changegate.services.approvals.people import list_faults, person_keys
from changegate.services.approvals.rollup import APPROVED
from changegate.services.approvals.rounds import Round, Row


def list_exclusions(
    current: Round, stage: int, rule: Row, users: Collection[str], *, answer: Row | None = None
) -> dict[str, str]:
    """Return, by sys_id, why users may not approve under a rule; users who may are missing.

    For an `answer` that was given, only earlier answers exclude its people, and none of their accounts once the stage
    is approved.
    """
    is_approved = answer is not None and current.stages[stage].outcome == APPROVED
    reasons = {} if is_approved else list_faults(users, rule["role"])
    if not rule["definition"]["allows_requester"]:
        editors = current.editors(governed_by(rule))
        for user in users:
            reason = current.initiators.why_not(user) or editors.why_not(user)
            if reason is not None:
                reasons.setdefault(user, reason)
    if rule.get("excludes_earlier"):
        reasons = _approvers_elsewhere(current, stage, users, answer) | reasons
    return reasons


def governed_by(rule: Row) -> frozenset[str]:
    """Return the fields that answers under a rule depend on."""
    definition = rule["definition"]
    return parse_governed_fields(definition.get("governed_fields"), definition.get("approver_field"))


def covered_fields(current: Round) -> frozenset[str]:
    """Return the fields of a change that the approvals of its current round depend on."""
    stages = (stage for stage in current.stages.values() if stage.asks_people)
    return frozenset(name for stage in stages for rule in stage.rules for name in governed_by(rule))


def _approvers_elsewhere(current: Round, stage: int, users: Collection[str], answer: Row | None) -> dict[str, str]:
    """Return the users who have approved the change in another state of the round, also by another account."""
    elsewhere = [
        row
        for row in current.rows
        if row["stage"] != stage and row["state"] == APPROVED and (answer is None or _order(row) < _order(answer))
    ]
    if not elsewhere:
        return {}
    keys = person_keys({*users, *(row["answered_by"] for row in elsewhere)})
    states = {keys[row["answered_by"]]: CHANGE_STATES[str(row["stage"])] for row in elsewhere}
    excluded = (user for user in users if keys[user] in states)
    return {user: f"the same person has approved this change in {states[keys[user]]}" for user in excluded}


def _order(row: Row) -> tuple[object, int]:
    return row["answered_at"], row["stage"]
