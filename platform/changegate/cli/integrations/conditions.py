"""`changegate integration lint`."""

import json
from dataclasses import asdict

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json, client_id_argument, get_target
from changegate.schemas.claim_condition_text import render_condition_text
from changegate.schemas.presets import advise_pins, claim_kinds, find_by_issuer, find_preset, require_pins
from changegate.services.assertions.condition_linter import lint_conditions
from changegate.services.integrations.connection_types import require_provider
from changegate.services.integrations.integration_fields import fields_of


@click.command()
@client_id_argument
@as_json
def lint(client_id: str, as_json: bool) -> None:
    """Show examples of what the claim conditions admit and refuse, and warn about conditions that admit too much."""
    with opened_instance():
        entity = get_target(client_id)
        require_provider(entity, "claim conditions", "claim_conditions")
        fields = fields_of(entity)
    conditions, issuer, preset = fields["claim_conditions"], fields["issuer"], fields["preset"]
    provider = find_preset(preset) or find_by_issuer(issuer)
    result = lint_conditions(conditions, claim_kinds(provider) if provider else {})
    missing = require_pins(issuer, preset, conditions, fields["audiences"])
    advice = advise_pins(issuer, preset, conditions, fields["run_as"])
    warnings = [*missing, *result.warnings, *([advice] if advice else [])]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "conditions": [asdict(condition_findings) for condition_findings in result.conditions],
                    "warnings": warnings,
                }
            )
        )
        return
    for condition, findings in zip(conditions, result.conditions, strict=True):
        click.echo(render_condition_text(condition))
        click.echo(f"  admits:  {', '.join(findings.admits)}\n  refuses: {', '.join(findings.refuses)}")
        for warning in findings.warnings:
            click.echo(f"  ! {warning}")
    for warning in warnings:
        click.echo(f"! {warning}")
