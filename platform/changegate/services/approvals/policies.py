"""The selection of a policy: the first active one whose model, state, and condition match a change."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Integer, String, or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import ChgApprovalDef, ChgPolicyApproval, SysUser, SysUserGroup
from changegate.models.base import Entry
from changegate.services.approvals.candidates import CLAIMS
from changegate.services.approvals.claims import RECORD, claims_of, find_editor, parse_claims_condition
from changegate.services.state_models.conditions import parse_condition

PEOPLE, APPROVED, REJECTED, UNDECIDED = "people", "approved", "rejected", "undecided"
UNMATCHED = "no active approval policy matches this change"
# Facts of policies, beside the fields of a change and the computed facts of the process.
FACTS: Mapping[str, Entry] = {
    "assignment_group.manager": Entry("reference", "Active manager of the assignment group", 32, "sys_user"),
    **RECORD,
}
_POLICIES, _RULES = ChgPolicyApproval.__table__, ChgApprovalDef.__table__
_ACTIVE = Prepared(
    select(_POLICIES)
    .where(
        _POLICIES.c["active"],
        _POLICIES.c["state"] == parameter("state", Integer),
        or_(_POLICIES.c["chg_model"].is_(None), _POLICIES.c["chg_model"] == parameter("model", String)),
    )
    .order_by(_POLICIES.c["order"], _POLICIES.c["name"])
    # Not edited before the end of the transaction: the version that a decision names is that of the rules read later.
    .with_for_update(read=True)
    .execution_options(locks_rows=True)
)
_RULES_OF = Prepared(
    select(_RULES)
    .where(_RULES.c["policy"] == parameter("policy", String))
    .order_by(_RULES.c["order"], _RULES.c["name"])
)
_MANAGER = Prepared(
    select(SysUserGroup.manager)
    .join(SysUser, SysUser.sys_id == SysUserGroup.manager)
    .where(SysUserGroup.sys_id == parameter("group", String), SysUser.active, SysUser.locked_out.is_(False))
)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicySelection:
    """The policy that applies to a change, and its verdict: ask people, approve or reject by claims, or undecided.

    `reason` explains why a selection without a policy is undecided. `passed_over` are matching policies before it that
    did not decide, with the reason. `facts` are the facts that were read, with their values.
    """

    verdict: str
    policy: Row | None = None
    rules: Sequence[Row] = ()
    reason: str | None = None
    claims: Sequence[Mapping[str, Any]] = ()
    passed_over: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def rules_of(policy: str) -> list[dict[str, Any]]:
    """Return the rules of a policy in their order."""
    return [dict(zip(_RULES.c.keys(), row, strict=True)) for row in _RULES_OF.all({"policy": policy})]


def _active_policies(state: int, model: str | None) -> Iterator[Row]:
    """Return the active policies for a state and a model, in their order."""
    rows = _ACTIVE.all({"state": state, "model": model})
    return (dict(zip(_POLICIES.c.keys(), row, strict=True)) for row in rows)


def facts_of_policies(change: Row, computed: Mapping[str, Any], claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts for the conditions of policies: those of the process, and those that only policies use.

    The claims are those of the change, even if another user has edited it: a condition selects who is asked, and an
    edit must not avoid a policy.
    """
    group = change.get("assignment_group")
    row = _MANAGER.first({"group": group}) if group else None
    record = {name: claims[name] for name in RECORD}
    return {**change, **computed, **record, "assignment_group.manager": row.manager if row else None}


def select_policy(change: Row, state: int, computed: Mapping[str, Any]) -> PolicySelection:
    """Return the policy for a change that has entered a state."""
    verified = claims_of(change)
    facts = facts_of_policies(change, computed, verified)
    return choose_policy(_active_policies(state, change.get("chg_model")), rules_of, change, facts, verified)


def choose_policy(
    policies: Iterable[Row],
    read_rules: Callable[[str], Sequence[Row]],
    change: Row,
    facts: dict[str, Any],
    verified: Mapping[str, Any],
) -> PolicySelection:
    """Return which of some policies applies to a change with these facts and verified claims.

    A policy whose claims rules do not all approve is passed over, so that a later policy asks people. If a claim that a
    rejecting rule needs is missing, no policy approves by claims.
    """
    read: list[str] = ["type", "risk", "assignment_group"]
    passed_over: list[Mapping[str, Any]] = []
    needs_people = False
    for policy in policies:
        condition = parse_condition(policy["condition"] or "", FACTS)
        read += condition.fields
        if not condition.matches(facts):
            continue
        rules = read_rules(policy["sys_id"])
        claims = [_evaluate(rule, verified) for rule in rules if rule["approver_source"] == CLAIMS]
        facts |= {name: verified[name] for each in claims for name in each["facts"]}
        read += [name for each in claims for name in each["facts"]]
        people = [rule for rule in rules if rule["approver_source"] != CLAIMS]
        values = {name: facts.get(name) for name in read}
        chosen = PolicySelection(PEOPLE, policy, people, None, claims, passed_over, values)
        if any(each["outcome"] == "reject" and each["passed"] for each in claims):
            return replace(chosen, verdict=REJECTED)
        needs_people = needs_people or any(each["outcome"] == "reject" and each["passed"] is None for each in claims)
        approving = [each for each in claims if each["outcome"] == "approve"]
        if all(each["passed"] for each in approving):
            if people:
                return chosen
            if approving and not needs_people:
                return replace(chosen, verdict=APPROVED)
        passed_over.append(_passed_over(policy, claims, change))
    values = {name: facts.get(name) for name in read}
    return PolicySelection(UNDECIDED, reason=UNMATCHED, passed_over=passed_over, facts=values)


def _evaluate(rule: Row, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of a claims rule: `passed` is None if it depends on a missing claim."""
    condition = parse_claims_condition(rule["condition"])
    missing = [name for name in condition.fields if facts.get(name) is None]
    passed = condition.evaluate(facts)
    of_rule = {"rule": rule["sys_id"], "name": rule["name"], "outcome": rule["outcome"]}
    return {**of_rule, "condition": rule["condition"], "passed": passed, "missing": missing, "facts": condition.fields}


def _passed_over(policy: Row, claims: Sequence[Mapping[str, Any]], change: Row) -> dict[str, Any]:
    """Return why a matching policy did not decide."""
    editor = find_editor(change) if any(each["missing"] for each in claims) else None
    reasons = [
        f"{each['name']}: verified claims are missing: {', '.join(each['missing'])}"
        for each in claims
        if each["passed"] is None
    ]
    reasons += [f"{each['name']}: failed" for each in claims if each["passed"] is False]
    if editor:
        reasons.append(f"{editor} has edited the change, so the claims of its creator are not used")
    name, version = policy["name"], policy["version"]
    return {"policy": policy["sys_id"], "name": name, "version": version, "reason": "; ".join(reasons), "rules": claims}
