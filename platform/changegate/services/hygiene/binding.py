"""What the claim conditions of an integration come to."""

from collections.abc import Mapping
from typing import Any

from changegate.models.connection_type import TYPES
from changegate.services.assertions.condition_linter import lint_conditions
from changegate.services.hygiene.facts import Binding, Row
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge


def binding_of(row: Row, known: ProviderKnowledge) -> Binding:
    """Return what the conditions of an integration demand, and what is to be said of them.

    Where no identity provider signs there are none, and nothing is missing.
    """
    if not TYPES[row.type].has_provider:
        return Binding()
    conditions: list[Mapping[str, Any]] = list(row.claim_conditions or ())
    linted = lint_conditions(conditions, known.find_kinds(row.issuer, row.preset))
    enforced = [
        (str(condition.get("claim")), found.admits_everything)
        for condition, found in zip(conditions, linted.conditions, strict=True)
        if not condition.get("report_only")
    ]
    return Binding(
        is_bound=any(not admits_everything for _, admits_everything in enforced),
        idle=tuple(claim for claim, admits_everything in enforced if admits_everything),
        reporting=tuple(str(one.get("claim")) for one in conditions if one.get("report_only")),
        faults=tuple(known.find_faults(row.issuer, row.preset, conditions, row.audiences or ())),
        warnings=linted.warnings,
    )
