"""`changegate integration keys`, `refresh-keys`, `block-key`, and `unblock-key`."""

import json
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import BY, as_json, client_id_argument, get_target
from changegate.database import commit
from changegate.printable import printable
from changegate.schemas.integration_views import KeyReportSchema
from changegate.services.integrations.key_blocking import block_key, refresh_keys, unblock_key
from changegate.services.integrations.key_report import report_keys
from changegate.services.keys.key_store import key_store

thumbprint_argument = click.argument("thumbprint")
# A thumbprint is base64url, so one in 64 begins with a hyphen.
HYPHENS = {"ignore_unknown_options": True}


@click.command()
@client_id_argument
@as_json
def keys(client_id: str, as_json: bool) -> None:
    """Show the keys that a provider has published, with their dates and alerts."""
    with opened_instance():
        report = KeyReportSchema().dump(report_keys(get_target(client_id)))
    if as_json:
        click.echo(json.dumps(report))
        return
    seen = {key["thumbprint"] for key in report["keys"]}
    for key in report["keys"]:
        click.echo(_line(key, key["thumbprint"] in report["blocked_keys"]))
    for thumbprint in [blocked for blocked in report["blocked_keys"] if blocked not in seen]:
        click.echo(f"{thumbprint}  blocked  never seen")
    for alert in report["alerts"]:
        click.echo(f"! {alert['happened_at']}  {alert['label']}  {printable(alert['kid'] or '-')}  {alert['detail']}")
    for warning in report["warnings"]:
        click.echo(f"! {warning}")


@click.command("refresh-keys")
@client_id_argument
def refresh(client_id: str) -> None:
    """Fetch the keys now; if that fails, the stored keys are kept."""
    with opened_instance():
        fetched = refresh_keys(get_target(client_id), key_store())
    count = len(fetched.key_set.keys)
    click.echo(f"The keys were fetched: {count} usable {'key' if count == 1 else 'keys'}.")


@click.command("block-key", context_settings=HYPHENS)
@client_id_argument
@thumbprint_argument
def block(client_id: str, thumbprint: str) -> None:
    """Block a key, even if its provider publishes it, and revoke the integration's tokens."""
    with opened_instance():
        block_key(get_target(client_id, is_to_change=True), thumbprint, by=BY)
        commit()
    click.echo(f"{thumbprint} is blocked.")


@click.command("unblock-key", context_settings=HYPHENS)
@client_id_argument
@thumbprint_argument
def unblock(client_id: str, thumbprint: str) -> None:
    """Unblock a key; it is trusted again if its provider publishes it."""
    with opened_instance():
        unblock_key(get_target(client_id, is_to_change=True), thumbprint, by=BY)
        commit()
    click.echo(f"{thumbprint} is no longer blocked.")


def _line(key: dict[str, Any], is_blocked: bool) -> str:
    state = "blocked" if is_blocked else "gone" if key["gone_at"] else "in use"
    seen = f"{key['first_seen_at']} to {key['gone_at'] or 'now'}"
    return f"{key['thumbprint']}  {state:<7}  {key['algorithms']}  {printable(key['kid'] or '-')}  {seen}"
