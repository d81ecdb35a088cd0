"""The rules for writes of risk conditions."""

from collections.abc import Mapping
from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.risk.conditions import RISK_CONDITIONS, parse_risk_condition
from changegate.services.tables.recent_rows import RecentRules
from changegate.services.tables.rules import Values


class RiskConditionRules(RecentRules):
    """Rules of risk_conditions: a condition must be valid, and every edit raises the version."""

    table = RISK_CONDITIONS

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse an invalid condition."""
        parse_risk_condition(values.get("condition") or "")

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse an invalid condition, and raise the version."""
        if changes:
            parse_risk_condition(changes.get("condition", record["condition"]) or "")
            changes["version"] = record["version"] + 1
