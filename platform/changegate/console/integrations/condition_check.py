"""Checks of the claim conditions in a form: examples that pass and fail, and conditions that the provider requires."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changegate.console.integrations.form import IntegrationForm
from changegate.console.integrations.rows import CLAIM_CONDITIONS
from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.presets import advise_pins, claim_kinds, find_by_issuer, find_preset, require_pins
from changegate.services.assertions.condition_linter import LintFindings, lint_conditions

_schema = ClaimConditionSchema()


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """The findings for the valid conditions, and error messages for the others."""

    findings: LintFindings
    conditions: list[dict[str, Any]]
    problems: list[str]
    missing: list[str]
    advice: str | None


def check_conditions(form: IntegrationForm) -> ConditionCheck:
    """Check the conditions of a form; errors in its other fields are ignored."""
    values = form.values
    rows = [row for _, row in CLAIM_CONDITIONS.filled(values["claim_conditions"])]
    # marshmallow keys these messages by the index of the row, contrary to its type annotations.
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
