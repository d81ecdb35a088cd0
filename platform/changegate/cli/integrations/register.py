"""`changegate integration create`, `update`, and `delete`."""

import json
from collections.abc import Mapping
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.options import integration_options, keep_other_conditions, read_options
from changegate.cli.integrations.refusals import BY, as_json, client_id_argument, facts, get_target
from changegate.cli.integrations.value_texts import describe_changes
from changegate.extensions import db, settings
from changegate.models import OAuthEntity
from changegate.schemas.integration.cautions import list_cautions
from changegate.schemas.integration_input import load_change, load_integration
from changegate.services.integrations.authority import list_shared
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import delete_integration
from changegate.services.integrations.saving import change_integration, register_integration


@click.command()
@click.option("--name", required=True)
@integration_options
@as_json
def create(as_json: bool, **options: Any) -> None:
    """Register an integration and show its client secret once."""
    given = read_options(options)
    with opened_instance():
        made = register_integration(load_integration(given), by=BY)
        db.session.commit()
        shown = {**facts(made.entity), "client_secret": made.client_secret}
        _caution(shown, made.entity)
    if as_json:
        click.echo(json.dumps(shown))
        return
    click.echo(f"Registered {shown['name']}.\nClient ID:     {shown['client_id']}")
    _say_secret(made.client_secret)


@click.command()
@client_id_argument
@click.option("--name")
@integration_options
@as_json
def update(client_id: str, as_json: bool, **options: Any) -> None:
    """Update an integration; fields that are not given stay unchanged."""
    given = read_options(options)
    with opened_instance():
        entity = get_target(client_id, is_to_change=True)
        stored = fields_of(entity)
        given = keep_other_conditions(given, options, stored.get("claim_conditions", ()))
        changed = change_integration(entity, load_change(given, stored), by=BY)
        db.session.commit()
        shown = {**facts(entity), "client_secret": changed.client_secret}
        _caution(shown, entity)
    if as_json:
        click.echo(json.dumps({**shown, "changed": sorted(changed.changes)}))
        return
    _say_changes(shown, changed.changes)
    _say_secret(changed.client_secret)


@click.command()
@client_id_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(client_id: str, yes: bool) -> None:
    """Delete an integration with its tokens, keys, and events; to keep its events, disable it instead."""
    with opened_instance():
        entity = get_target(client_id)
        name = entity.name
        if not yes:
            click.confirm(f"Delete {name}, its tokens, keys, and events?", abort=True, err=True)
        delete_integration(entity)
        db.session.commit()
    click.echo(f"{name} is deleted.")


def _say_changes(shown: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    click.echo(f"{shown['name']} is {'changed' if changes else 'unchanged'}.")
    for line in describe_changes(changes):
        click.echo(f"  {line}")


def _caution(shown: Mapping[str, Any], entity: OAuthEntity) -> None:
    # To stderr, since stdout may be JSON.
    cautions = list_cautions(shown, is_password_grant_on=settings().password_grant_enabled)
    for sentence in cautions + list_shared(entity):
        click.echo(f"! {sentence}", err=True)


def _say_secret(secret: str | None) -> None:
    if secret:
        click.echo(f"Client secret: {secret} (shown only once)")
