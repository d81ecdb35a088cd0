"""`changegate integration list`, `show`, and `presets`."""

import json
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json, client_id_argument, facts, get_target
from changegate.cli.integrations.value_texts import describe_value
from changegate.schemas.presets import PLACEHOLDERS, PRESETS, IssuerForm, Preset, defaults_of
from changegate.services.integrations.integrations import list_integrations


@click.command("list")
@as_json
def show_all(as_json: bool) -> None:
    """List integrations."""
    with opened_instance():
        rows = [facts(entity) for entity in list_integrations()]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        state = "active" if row["active"] else "disabled"
        click.echo(f"{row['client_id']}  {state:<9} {row['type']:<18} {row['name']}  {row.get('issuer', '')}".rstrip())


@click.command()
@client_id_argument
@as_json
def show(client_id: str, as_json: bool) -> None:
    """Show one integration."""
    with opened_instance():
        shown = facts(get_target(client_id))
    if as_json:
        click.echo(json.dumps(shown))
    for name, value in {} if as_json else shown.items():
        click.echo(f"{name}: {describe_value(name, value)}")


@click.command()
@as_json
def presets(as_json: bool) -> None:
    """List the presets for identity providers, with their issuers."""
    if as_json:
        click.echo(json.dumps([_preset(preset) for preset in PRESETS.values()]))
        return
    for preset in PRESETS.values():
        click.echo(f"{preset.name:<16} {preset.label}")
        for place in preset.issuers:
            click.echo(f"  {place.name:<24} {place.issuer}{'  (shared: needs a pin)' if place.is_shared else ''}")


def _preset(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "label": preset.label,
        "places": [_place(place) for place in preset.issuers],
        "defaults": {name: value for name, value in defaults_of(preset).items() if name != "preset"},
        "audience_advice": preset.audience_advice,
        "pins": [pin.claim for pin in preset.pins],
        "bind": list(preset.bind),
        "claims": [{"name": note.name, "kind": note.kind, "says": note.says} for note in preset.claims],
        "traps": list(preset.traps),
    }


def _place(place: IssuerForm) -> dict[str, Any]:
    parts = {name: PLACEHOLDERS[name] for name in place.placeholders}
    return {
        "name": place.name,
        "label": place.label,
        "issuer": place.issuer,
        "jwks_url": place.jwks_url,
        "shared": place.is_shared,
        "placeholders": {name: {"label": part.label, "example": part.example} for name, part in parts.items()},
    }
