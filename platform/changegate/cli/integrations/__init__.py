"""`changegate integration`: register and manage inbound integrations; options have the names of the form's fields."""

import click

from changegate.cli.integrations.conditions import lint
from changegate.cli.integrations.events import events
from changegate.cli.integrations.file import apply, export
from changegate.cli.integrations.keys import block, keys, refresh, unblock
from changegate.cli.integrations.listing import presets, show, show_all
from changegate.cli.integrations.register import create, delete, update
from changegate.cli.integrations.switches import disable, enable, rotate
from changegate.cli.integrations.trial import try_token


@click.group()
def integration() -> None:
    """Manage inbound integrations."""


for command in (
    *(create, update, delete, show_all, show, presets),
    *(enable, disable, rotate),
    *(apply, export),
    *(keys, refresh, block, unblock),
    *(events, try_token, lint),
):
    integration.add_command(command)
