"""`changegate integration apply` and `export`: integrations as a file for version control."""

import json
from collections.abc import Iterable
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.applying import Applied, apply_integrations
from changegate.cli.integrations.integration_file import read_file, render_file
from changegate.cli.integrations.refusals import as_json, get_target
from changegate.cli.integrations.value_texts import describe_changes
from changegate.cli.yaml_files import file_option, read_yaml_file
from changegate.database import commit, rollback
from changegate.extensions import db, now
from changegate.printable import printable
from changegate.schemas import presets
from changegate.services.hygiene.warnings import list_warnings, warn_of_saved
from changegate.services.integrations.integrations import list_integrations
from changegate.services.keys.key_store import key_store

DONE = {"create": "registered", "change": "changed", "keep": "unchanged"}
TO_DO = {"create": "would be registered", "change": "would be changed", "keep": "unchanged"}


@click.command()
@file_option
@click.option("--dry-run", is_flag=True, help="Check the file and show what would change, without changing anything.")
@as_json
def apply(file: str, dry_run: bool, as_json: bool) -> None:
    """Register and update integrations from a file; all of them or none.

    Integrations are matched by name. Those that the file does not name are left unchanged.
    """
    text, shown_as = read_yaml_file(file)
    entries = read_file(text, shown_as=shown_as)
    with opened_instance():
        applied = apply_integrations(entries)
        entities = [get_target(result.client_id) for result in applied]
        # A dry run writes, too, and only the commit differs, so it finds the same errors. It does not fetch keys.
        if dry_run:
            db.session.flush()
            warnings = list_warnings(entities, presets, now())
            rollback()
        else:
            commit()
            warnings = warn_of_saved(entities, key_store(), presets, now())
    rows = [{**_row(result, dry_run), "warnings": warnings[result.client_id]} for result in applied]
    for result in applied:
        _warn(result, warnings[result.client_id])
    if as_json:
        click.echo(json.dumps(rows))
        return
    for result in applied:
        _say(result, dry_run)


@click.command()
@click.argument("client_ids", nargs=-1, metavar="CLIENT_ID")
def export(client_ids: tuple[str, ...]) -> None:
    """Write integrations, by default all of them, as YAML for apply, without secrets."""
    with opened_instance():
        entities = [get_target(client_id) for client_id in dict.fromkeys(client_ids)] or list_integrations()
        click.echo(render_file(entities), nl=False)


def _warn(result: Applied, warnings: Iterable[str]) -> None:
    # To stderr, since stdout may be JSON.
    for sentence in warnings:
        click.echo(printable(f"! {result.name}: {sentence}"), err=True)


def _row(result: Applied, is_dry_run: bool) -> dict[str, Any]:
    return {
        "name": result.name,
        "action": result.action,
        "client_id": None if is_dry_run and result.action == "create" else result.client_id,
        "changed": sorted(result.changes),
        "client_secret": None if is_dry_run else result.client_secret,
    }


def _say(result: Applied, is_dry_run: bool) -> None:
    click.echo(f"{result.name}: {(TO_DO if is_dry_run else DONE)[result.action]}")
    for line in describe_changes(result.changes):
        click.echo(f"  {line}")
    if result.action == "create" and not is_dry_run:
        click.echo(f"  Client ID:     {result.client_id}")
    if result.client_secret and not is_dry_run:
        click.echo(f"  Client secret: {result.client_secret} (shown only once)")
