"""What the claim conditions in a form admit and refuse, by example, and which the provider makes indispensable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.rows import CLAIM_CONDITIONS
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.presets import advise_pins, claim_kinds, find_by_issuer, find_preset, require_pins
from changegate.services.assertions.condition_linter import Findings, lint_conditions

_schema = ClaimConditionSchema()


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """Findings for the conditions that could be read, with each one as read; `problems` are sentences."""

    findings: Findings
    conditions: list[dict[str, Any]]
    problems: list[str]
    missing: list[str]
    advice: str | None


def check_conditions(form: IntegrationForm) -> ConditionCheck:
    """Judge the conditions of a form as they were typed; nothing else of it need be right."""
    values = form.values
    rows = [row for _, row in CLAIM_CONDITIONS.filled(values["claim_conditions"])]
    # Messages come by the place of the row, whatever the library's types say.
    refused: Mapping[Any, Any] = _schema.validate(rows, many=True)
    conditions = [_schema.load(row) for place, row in enumerate(rows) if place not in refused]
    places = range(len(rows))
    problems = [text for _, texts in CLAIM_CONDITIONS.errors(refused, places) for text in texts]
    issuer, run_as = values["issuer"].strip(), values["run_as"] if values["subject_rule"] == "run_as" else None
    provider = find_preset(values["preset"]) or find_by_issuer(issuer)
    audiences = values["audiences"].split()
    return ConditionCheck(
        findings=lint_conditions(conditions, claim_kinds(provider) if provider else {}),
        conditions=conditions,
        problems=problems,
        missing=require_pins(issuer, values["preset"] or None, conditions, audiences),
        advice=advise_pins(issuer, values["preset"] or None, conditions, run_as),
    )
