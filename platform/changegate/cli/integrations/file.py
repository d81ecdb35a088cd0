"""`changegate integration apply` and `export`: integrations as a file that is kept under version control."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.applying import Applied, apply_integrations
from changegate.cli.integrations.integration_file import read_file, render_file
from changegate.cli.integrations.refusals import as_json, wanted
from changegate.cli.integrations.told import told_changes
from changegate.cli.integrations.yaml_text import MAX_CHARACTERS
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.services.integrations.authority import list_shared
from changegate.services.integrations.integrations import list_integrations

DONE = {"create": "registered", "change": "changed", "keep": "unchanged"}
TO_DO = {"create": "would be registered", "change": "would be changed", "keep": "unchanged"}


@click.command()
@click.option("-f", "--file", "file", required=True, metavar="FILE", help="A YAML file; - reads stdin.")
@click.option("--dry-run", is_flag=True, help="Check the file and show what would change, without changing anything.")
@as_json
def apply(file: str, dry_run: bool, as_json: bool) -> None:
    """Register and update integrations from a file; all of them or none.

    Integrations are matched by name. Those that the file does not name are left unchanged.
    """
    entries = read_file(_read(file), shown_as="stdin" if file == "-" else file)
    with opened_instance():
        applied = apply_integrations(entries)
        rows = [_row(one, dry_run) for one in applied]
        for one in applied:
            _warn(one)
        # A dry run does everything but this, so it refuses whatever the real one would.
        db.session.rollback() if dry_run else db.session.commit()
    if as_json:
        click.echo(json.dumps(rows))
    for one in [] if as_json else applied:
        _say(one, dry_run)


@click.command()
@click.argument("client_ids", nargs=-1, metavar="CLIENT_ID")
def export(client_ids: tuple[str, ...]) -> None:
    """Write integrations, by default all of them, as YAML for apply, without secrets."""
    with opened_instance():
        entities = [wanted(client_id) for client_id in dict.fromkeys(client_ids)] or list_integrations()
        click.echo(render_file(entities), nl=False)


def _warn(one: Applied) -> None:
    # On stderr: stdout may be JSON.
    for sentence in list_shared(wanted(one.client_id)):
        click.echo(f"! {one.name}: {sentence}", err=True)


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(MAX_CHARACTERS * 4 + 1) if file == "-" else _bytes_of(file)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ChangegateError(f"{file} is not valid UTF-8.") from None


def _bytes_of(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(MAX_CHARACTERS * 4 + 1)


def _row(one: Applied, is_dry_run: bool) -> dict[str, Any]:
    return {
        "name": one.name,
        "action": one.action,
        "client_id": None if is_dry_run and one.action == "create" else one.client_id,
        "changed": sorted(one.changes),
        "client_secret": None if is_dry_run else one.client_secret,
    }


def _say(one: Applied, is_dry_run: bool) -> None:
    click.echo(f"{one.name}: {(TO_DO if is_dry_run else DONE)[one.action]}")
    for line in told_changes(one.changes):
        click.echo(f"  {line}")
    if one.action == "create" and not is_dry_run:
        click.echo(f"  Client ID:     {one.client_id}")
    if one.client_secret and not is_dry_run:
        click.echo(f"  Client secret: {one.client_secret} (shown only once)")
