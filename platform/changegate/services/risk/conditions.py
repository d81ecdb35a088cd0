"""Risk conditions: what they may compare, and the active ones, which are cached."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from changegate.database.prepared import Prepared
from changegate.errors import InputInvalid
from changegate.models import CmdbCi, RiskCondition
from changegate.models.base import Entry
from changegate.services.approvals.claims import RECORD
from changegate.services.approvals.content import is_written_by_process
from changegate.services.state_models.conditions import COMPUTED, TABLE, FactCondition, parse_condition
from changegate.services.tables.recent_rows import recent_rows
from changegate.services.tables.registry import get_table

RISK_CONDITIONS = "risk_conditions"
AFFECTED, CONFLICTS = "affected.count", "conflict.count"
CI_FACTS = {f"cmdb_ci.{name}": name for name in ("sys_class_name", "operational_status")}
# Facts of risk conditions, beside the fields of a change and the number of its conflicts.
FACTS: Mapping[str, Entry] = {
    **{fact: CmdbCi.__table__.c[name].info["entry"] for fact, name in CI_FACTS.items()},
    AFFECTED: Entry("integer", "Affected CIs of the change"),
    **RECORD,
}
# What has to be edited so that a fact changes, where that is not the field of the same name.
_SOURCES = {**dict.fromkeys(CI_FACTS, "cmdb_ci"), AFFECTED: "task_ci"}
_CONDITIONS = RiskCondition.__table__
_ACTIVE = Prepared(
    select(_CONDITIONS).where(_CONDITIONS.c["active"]).order_by(_CONDITIONS.c["order"], _CONDITIONS.c["name"])
)


@dataclass(frozen=True, slots=True)
class RiskRule:
    """An active risk condition; `is_range` is true for a range of the assessment's score."""

    sys_id: str
    name: str
    version: int
    condition: FactCondition
    risk: int
    is_range: bool


@dataclass(frozen=True, slots=True)
class ActiveConditions:
    """The active conditions in their order, the facts that they compare, and the edits after which these change."""

    rules: tuple[RiskRule, ...]
    facts: frozenset[str]
    sources: frozenset[str]


def active_conditions() -> ActiveConditions:
    """Return the active risk conditions, from the cache if they were read within the last second."""
    found: ActiveConditions = recent_rows(RISK_CONDITIONS).find("active", _read)
    return found


def _read(_key: str) -> ActiveConditions:
    rules = tuple(
        RiskRule(row.sys_id, row.name, row.version, parse_risk_condition(row.condition or ""), row.risk, row.assessment)
        for row in _ACTIVE.all({})
    )
    facts = frozenset(name for rule in rules for name in rule.condition.fields)
    return ActiveConditions(rules, facts, frozenset(_SOURCES.get(name, name) for name in facts))


def parse_risk_condition(text: str) -> FactCondition:
    """Return the condition of an encoded query; an empty one matches every change.

    Raises `InputInvalid` for a term that no risk may depend on.
    """
    condition = parse_condition(text, FACTS)
    for name in condition.fields:
        if reason := _find_objection(name):
            raise InputInvalid({"condition": [f"{name}: {reason}"]})
    return condition


def _find_objection(name: str) -> str | None:
    if name in FACTS or name == CONFLICTS:
        return None
    if name in COMPUTED or name == "risk" or is_written_by_process(name):
        return "the process writes this fact, so the risk cannot depend on it. Use fields that callers edit."
    if get_table(TABLE).entries[name].is_private:
        return "the field is private, and everyone may read the explanation of a risk."
    return None
