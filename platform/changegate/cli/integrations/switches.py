"""`changegate integration enable`, `disable`, and `rotate-secret`."""

import json
from datetime import timedelta

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import BY, as_json, client_id_argument, get_target
from changegate.database import commit
from changegate.services.integrations.integrations import rotate_secret, set_active


@click.command()
@client_id_argument
def enable(client_id: str) -> None:
    """Enable an integration that was disabled."""
    _switch(client_id, True)


@click.command()
@client_id_argument
def disable(client_id: str) -> None:
    """Disable an integration: exchanges and live tokens are refused from the next request on."""
    _switch(client_id, False)


def _switch(client_id: str, is_active: bool) -> None:
    with opened_instance():
        set_active(get_target(client_id, is_to_change=True), is_active, by=BY)
        commit()
    click.echo(f"{client_id} is {'enabled' if is_active else 'disabled'}.")


@click.command("rotate-secret")
@client_id_argument
@click.option("--overlap-hours", type=click.IntRange(0, 720), default=0, help="How long the old secret keeps working.")
@as_json
def rotate(client_id: str, overlap_hours: int, as_json: bool) -> None:
    """Generate a new client secret for an integration and show it once."""
    with opened_instance():
        entity = get_target(client_id, is_to_change=True)
        secret = rotate_secret(entity, by=BY, overlap=timedelta(hours=overlap_hours))
        commit()
        shown = {"sys_id": entity.sys_id, "client_id": client_id, "client_secret": secret}
    click.echo(json.dumps(shown) if as_json else f"Client secret: {secret} (shown only once)")
