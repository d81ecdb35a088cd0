"""The calculation of a risk: the first condition that matches, and the first range of the assessment.

The higher of the two risks is used. The explanation keeps both, with the facts as they were.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import func, select

from changegate.database.prepared import Prepared, parameter
from changegate.models import CmdbCi, TaskCi
from changegate.models.base import Entry
from changegate.models.change_request import RISKS
from changegate.services.approvals.claims import RECORD, claims_of
from changegate.services.risk.conditions import AFFECTED, CI_FACTS, FACTS, ActiveConditions, RiskRule, active_conditions
from changegate.services.state_models.conditions import COMPUTED, TABLE
from changegate.services.tables.registry import get_table
from changegate.services.tables.rules import Values
from changegate.services.tables.values import render_value

# Characters of a fact that an explanation shows.
_SHOWN = 120
_CI = Prepared(
    select(*(CmdbCi.__table__.c[name].label(name) for name in CI_FACTS.values())).where(
        CmdbCi.__table__.c["sys_id"] == parameter("item")
    )
)
_AFFECTED = Prepared(select(func.count().label("items")).where(TaskCi.__table__.c["task"] == parameter("change")))


def is_calculated(change: Mapping[str, Any]) -> bool:
    """Return whether the risk of a change was calculated, or is empty; otherwise, a caller has sent it."""
    return change.get("risk") is None or change.get("risk_explanation") is not None


def depends_on(edited: Collection[str]) -> bool:
    """Return whether a calculated risk may change by an edit of fields, `task_ci`, or computed facts."""
    return not active_conditions().sources.isdisjoint(edited)


def calculate(conditions: ActiveConditions, change: Mapping[str, Any], given: Mapping[str, Any]) -> Values:
    """Return the risk of a change and its explanation; both are empty if no condition matches.

    `given` are the computed facts of the process that the conditions compare.
    """
    facts = {**_facts_of(change, conditions.facts), **given} if conditions.rules else {}
    matched = list(_matches(conditions.rules, facts))
    risk = min((rule.risk for rule in matched), default=None)
    return {"risk": risk, "risk_explanation": _explain(risk, matched, facts) if matched else None}


def _matches(rules: Collection[RiskRule], facts: Mapping[str, Any]) -> Iterator[RiskRule]:
    """Yield the first condition that matches, and the first range."""
    for is_range in (False, True):
        for rule in rules:
            if rule.is_range == is_range and rule.condition.matches(facts):
                yield rule
                break


def _facts_of(change: Mapping[str, Any], needed: Collection[str]) -> dict[str, Any]:
    """Return the facts that conditions compare; those of other tables are read only if one does."""
    facts = {name: change.get(name) for name in needed}
    if not CI_FACTS.keys().isdisjoint(needed):
        row = _CI.first({"item": change["cmdb_ci"]}) if change.get("cmdb_ci") else None
        facts |= {fact: getattr(row, name, None) for fact, name in CI_FACTS.items()}
    if AFFECTED in needed:
        row = _AFFECTED.first({"change": change["sys_id"]})
        facts[AFFECTED] = row.items if row else 0
    if not RECORD.keys().isdisjoint(needed):
        claims = claims_of(change)
        facts |= {name: claims[name] for name in RECORD}
    return facts


def _explain(risk: int | None, matched: Collection[RiskRule], facts: Mapping[str, Any]) -> str:
    shown = [
        {
            "condition": rule.sys_id,
            "name": rule.name,
            "version": rule.version,
            "query": rule.condition.text,
            "assessment": rule.is_range,
            "risk": rule.risk,
            "facts": {name: _shown(name, facts[name]) for name in rule.condition.fields},
        }
        for rule in matched
    ]
    reasons = "; ".join(f"{rule.name} (version {rule.version}): {RISKS[str(rule.risk)]}" for rule in matched)
    return orjson.dumps({"risk": risk, "sentence": f"{RISKS[str(risk)]}, by {reasons}", "matched": shown}).decode()


def _shown(name: str, value: Any) -> str:
    text = render_value(_entry_of(name), value) or ""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _entry_of(name: str) -> Entry:
    return FACTS.get(name) or COMPUTED.get(name) or get_table(TABLE).entries[name]
