"""The rules for writes of approval policies and of their rules: who may write them, and what makes them valid."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import String, select, update

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid, OperationFailed
from changegate.models import ChgApprovalDecision, ChgApprovalDef, ChgPolicyApproval
from changegate.services.access.caller import Caller
from changegate.services.approvals.candidates import CLAIMS, FIELD, GROUP, USERS, target_of
from changegate.services.approvals.claims import parse_claims_condition
from changegate.services.approvals.content import parse_governed_fields
from changegate.services.approvals.departures import recompute_changes
from changegate.services.approvals.hours import ESCALATE, EXPIRE, LEAST_HOURS, MOST_HOURS, REMIND
from changegate.services.approvals.policies import FACTS, rules_of
from changegate.services.approvals.rollup import COUNT, PERCENTAGE
from changegate.services.state_models.conditions import parse_condition
from changegate.services.tables.rules import Rules, Values

READ_ONLY = "Policy {} is shipped and read-only. Create a policy with a lower order, which takes precedence"
RULES_MISSING = (
    "A policy needs at least one rule before it is active. Create it with active=false, add its rules to "
    "chg_approval_def, then set active=true."
)
# The field that each source of approvers needs; the others stay empty.
_NEEDED = {USERS: "users", GROUP: "group", FIELD: "approver_field", CLAIMS: "condition"}
_HOURS = (REMIND, ESCALATE, EXPIRE, "valid_hours")
_POLICIES = ChgPolicyApproval.__table__
_LOCKED = Prepared(
    select(_POLICIES)
    .where(_POLICIES.c["sys_id"] == parameter("sys_id", String))
    .with_for_update(key_share=True)
    .execution_options(locks_rows=True)
)
_POLICY_OF = Prepared(select(ChgApprovalDef.policy).where(ChgApprovalDef.sys_id == parameter("rule", String)))
_RAISE_VERSION = Prepared(
    update(_POLICIES)
    .where(_POLICIES.c["sys_id"] == parameter("of_policy", String))
    .values(version=_POLICIES.c["version"] + 1, sys_mod_count=_POLICIES.c["sys_mod_count"] + 1)
)
_USED = Prepared(
    select(ChgApprovalDecision.number).where(ChgApprovalDecision.policy == parameter("policy", String)).limit(1)
)


class PolicyRules(Rules):
    """Rules of chg_policy_approval: shipped policies are read-only, and every edit raises the version."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid condition, and a policy that is active before it has rules."""
        parse_condition(values.get("condition") or "", FACTS)
        if values.get("active"):
            raise InputInvalid({"active": [RULES_MISSING]})

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse the edit of a shipped policy and an invalid one; raise the version."""
        _refuse_shipped(record)
        if not changes:
            return
        after = {**record, **changes}
        parse_condition(after.get("condition") or "", FACTS)
        if after["active"] and not rules_of(record["sys_id"]):
            raise InputInvalid({"active": [RULES_MISSING]})
        changes["version"] = record["version"] + 1

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Ask again about the changes that wait because no policy matched, or because no user could be asked."""
        if {**record, **changes}["active"]:
            recompute_changes()
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete a shipped policy, an active one, and one that has been used."""
        _refuse_shipped(record)
        if record["active"]:
            raise OperationFailed(f"Policy {record['name']} is active. Deactivate it before you delete it")
        if used := _USED.first({"policy": record["sys_id"]}):
            raise OperationFailed(f"Policy {record['name']} is in use, for example by {used.number}. Keep it inactive")


class ApprovalDefRules(Rules):
    """Rules of chg_approval_def: the rules of a policy are edited like the policy, whose version they raise."""

    def before_lock(self, sys_id: str) -> None:
        """Lock the policy before its rule, in the order of its deletion."""
        if rule := _POLICY_OF.first({"rule": sys_id}):
            _LOCKED.first({"sys_id": rule.policy})

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid rule."""
        if values.get("policy"):
            _lock_policy(values["policy"])
        _check_rule(values)

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Raise the version of the policy, and ask again about changes that wait."""
        _follow(values["policy"])
        return None

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an invalid rule, and to move a rule to another policy."""
        _lock_policy(record["policy"])
        if "policy" in changes:
            raise InputInvalid({"policy": ["A rule stays with its policy. Add a rule to the other policy instead."]})
        _check_rule({**record, **changes})

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Raise the version of the policy, and ask again about changes that wait."""
        _follow(record["policy"])
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete the last rule of an active policy."""
        policy = _lock_policy(record["policy"])
        if policy["active"] and len(rules_of(policy["sys_id"])) == 1:
            last = f"Rule {record['name']} is the last one of the active policy {policy['name']}"
            raise OperationFailed(f"{last}. Deactivate the policy first")
        _RAISE_VERSION.execute({"of_policy": policy["sys_id"]})


def _follow(policy: str) -> None:
    _RAISE_VERSION.execute({"of_policy": policy})
    recompute_changes()


def _lock_policy(sys_id: str) -> Mapping[str, Any]:
    """Lock and return the policy of a rule, so that two edits raise its version twice. Refuse a shipped one."""
    row = _LOCKED.first({"sys_id": sys_id})
    policy = dict(zip(_POLICIES.c.keys(), row, strict=True)) if row else {"sys_policy": None, "active": False}
    _refuse_shipped(policy)
    return policy


def _refuse_shipped(policy: Mapping[str, Any]) -> None:
    if policy["sys_policy"]:
        raise OperationFailed(READ_ONLY.format(policy["name"]))


def _check_rule(rule: Mapping[str, Any]) -> None:
    """Raise `InputInvalid` for a rule without approvers, or whose numbers make no sense."""
    parse_governed_fields(rule.get("governed_fields"))
    for name in _HOURS:
        if (hours := rule.get(name)) is not None and not LEAST_HOURS <= hours <= MOST_HOURS:
            raise InputInvalid({name: [f"Enter a number of hours from {LEAST_HOURS} to {MOST_HOURS}."]})
    source = rule.get("approver_source")
    needed = _NEEDED.get(source or "")
    if needed is None:
        return  # refused as mandatory
    if not rule.get(needed):
        raise InputInvalid({needed: [f"A rule with the approver source {source} needs this field."]})
    if source == USERS and (guests := [item for item in rule["users"].split(",") if "@" in item]):
        raise InputInvalid({"users": [f"{guests[0][:100]!r} is an e-mail address, not a user."]})
    if source == FIELD:
        target_of(rule["approver_field"])
    if source == CLAIMS:
        parse_claims_condition(rule["condition"])
        return
    value, wait_for = rule.get("value"), rule.get("wait_for")
    if wait_for == PERCENTAGE and not (value is not None and 1 <= value <= 100):
        raise InputInvalid({"value": ["Enter a percentage from 1 to 100."]})
    if wait_for == COUNT and not (value is not None and value >= 1):
        raise InputInvalid({"value": ["Enter the number of approvals, at least 1."]})
