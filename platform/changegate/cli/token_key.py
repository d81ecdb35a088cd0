"""`changegate token-key`: the keys that sign access tokens in JWT format."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta

import click

from changegate.cli.instance import opened_instance
from changegate.errors import ChangegateError, RecordNotFound
from changegate.extensions import now
from changegate.services.oauth.token_keys import LEAD, TokenKeyFacts, block_token_key, list_token_keys, rotate_keys

HOURS = int(LEAD / timedelta(hours=1))
MOST_HOURS = 30 * 24
as_json = click.option("--json", "as_json", is_flag=True, help="Write one JSON value to stdout.")


@click.group("token-key")
def token_key() -> None:
    """Manage the keys that sign access tokens in JWT format."""


@token_key.command("list")
@as_json
def show_all(as_json: bool) -> None:
    """List the keys, newest first."""
    with opened_instance():
        keys = list_token_keys(now())
    if as_json:
        click.echo(json.dumps([_values(key) for key in keys]))
    for key in [] if as_json else keys:
        click.echo(f"{key.kid}  {key.state:<8} signs from {_moment(key.active_from)}{_end(key)}")


@token_key.command()
@click.option(
    "--lead-hours",
    default=HOURS,
    show_default=True,
    type=click.IntRange(1, MOST_HOURS),
    help="How long the new key is published before it signs.",
)
@as_json
def rotate(lead_hours: int, as_json: bool) -> None:
    """Publish a new key; the current key signs until the new one does, and stays published after that."""
    with opened_instance():
        made = rotate_keys(now(), timedelta(hours=lead_hours))
    _say(made, f"{made.kid} is published and signs from {_moment(made.active_from)}.", as_json)


# A kid is base64url, so one in 64 begins with a hyphen.
@token_key.command(context_settings={"ignore_unknown_options": True})
@click.argument("kid")
@as_json
def block(kid: str, as_json: bool) -> None:
    """Block a key: tokens that it signed are refused from the next request on, and another key signs."""
    with opened_instance():
        try:
            blocked = block_token_key(kid, now())
        except RecordNotFound:
            raise ChangegateError(f"There is no token key {kid}.") from None
    _say(blocked, f"{kid} is blocked.", as_json)


def _say(key: TokenKeyFacts, sentence: str, as_json: bool) -> None:
    click.echo(json.dumps(_values(key)) if as_json else sentence)


def _values(key: TokenKeyFacts) -> dict[str, str | None]:
    return {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in asdict(key).items()
    }


def _end(key: TokenKeyFacts) -> str:
    if key.blocked_at:
        return f", blocked at {_moment(key.blocked_at)}"
    return f", until {_moment(key.retired_at)}" if key.retired_at else ""


def _moment(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"
