"""`changegate integration create`, `update`, and `delete`."""

import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.options import integration_options, keep_other_conditions, read_options
from changegate.cli.integrations.refusals import BY, as_json, client_id_argument, facts, get_target
from changegate.cli.integrations.value_texts import describe_changes
from changegate.database import commit
from changegate.extensions import now, settings
from changegate.models import OAuthEntity
from changegate.printable import printable
from changegate.schemas import presets
from changegate.schemas.integration.cautions import list_cautions
from changegate.schemas.integration_input import load_change, load_integration
from changegate.services.hygiene.warnings import warn_of_saved
from changegate.services.integrations.input_completion import Completed, complete_input
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import delete_integration
from changegate.services.integrations.pasted_text import MAX_PASTED_LENGTH
from changegate.services.integrations.recognition import SIGNED
from changegate.services.integrations.saving import change_integration, register_integration
from changegate.services.keys.key_store import key_store


@click.command()
@click.option("--name", help="A unique name; defaults to one of the provider that was recognized.")
@click.option(
    "--from",
    "pasted",
    type=click.File("rb"),
    help="A file, or - for stdin, with an issuer, a JWKS URL, a discovery document, keys, or a token.",
)
@integration_options
@as_json
def create(pasted: BinaryIO | None, as_json: bool, **options: Any) -> None:
    """Register an integration and show its client secret once; an issuer or a JWKS URL leads to the other."""
    given = read_options(options)
    text = pasted.read(MAX_PASTED_LENGTH + 1).decode("utf-8", "replace") if pasted else None
    with opened_instance():
        completed = complete_input(given, key_store(), presets, text)
        _say_recognized(completed)
        made = register_integration(load_integration(completed.given), by=BY)
        commit()
        shown = {
            **facts(made.entity),
            "client_secret": made.client_secret,
            "warnings": completed.warnings + _warn(made.entity),
        }
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
        commit()
        shown = {**facts(entity), "client_secret": changed.client_secret, "warnings": _warn(entity)}
    if as_json:
        click.echo(json.dumps({**shown, "changed": sorted(changed.changes)}))
        return
    _say_changes(shown, changed.changes)
    _say_secret(changed.client_secret)


@click.command()
@client_id_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(client_id: str, yes: bool) -> None:
    """Delete an integration with its tokens and keys."""
    with opened_instance():
        entity = get_target(client_id)
        name = entity.name
        if not yes:
            click.confirm(f"Delete {name}, its tokens, and its keys?", abort=True, err=True)
        delete_integration(entity, by=BY)
        commit()
    click.echo(f"{name} is deleted.")


def _say_recognized(completed: Completed) -> None:
    # To stderr, since stdout may be JSON.
    found = completed.recognition
    if found is None:
        return
    click.echo(found.sentence, err=True)
    if found.keys and not found.keys.error:
        count = found.keys.usable
        names = ", ".join(found.keys.algorithms)
        click.echo(f"{count} usable {'key' if count == 1 else 'keys'}: {names}.", err=True)
    if found.signature:
        is_signed = found.signature == SIGNED
        click.echo("The token was signed by one of these keys." if is_signed else f"! {found.signature}", err=True)
    for sentence in completed.warnings:
        click.echo(f"! {sentence}", err=True)


def _say_changes(shown: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    click.echo(f"{shown['name']} is {'changed' if changes else 'unchanged'}.")
    for line in describe_changes(changes):
        click.echo(f"  {line}")


def _warn(entity: OAuthEntity) -> list[str]:
    """Print warnings about a saved integration to stderr, since stdout may be JSON, and return them."""
    cautions = list_cautions(fields_of(entity), is_password_grant_on=settings().password_grant_enabled)
    warnings = cautions + warn_of_saved([entity], key_store(), presets, now())[entity.client_id]
    for sentence in warnings:
        click.echo(printable(f"! {sentence}"), err=True)
    return warnings


def _say_secret(secret: str | None) -> None:
    if secret:
        click.echo(f"Client secret: {secret} (shown only once)")
