"""`changegate process`: models, policies, and the other records of the change process as a file."""

import click

from changegate.cli.process.file import apply, diff, export
from changegate.cli.process.replay import replay_file


@click.group()
def process() -> None:
    """Keep the change process in a file: its models, policies, and other records."""


for command in (export, apply, diff, replay_file):
    process.add_command(command)
