"""The `changegate` command. Exit codes: 0 done, 1 refused with one sentence on stderr, 2 wrong usage."""

import sys
from collections.abc import Sequence

import click

from changegate.cli.demo import demo
from changegate.cli.integration import integration
from changegate.cli.prepare import prepare
from changegate.cli.serve import serve
from changegate.cli.user import user
from changegate.config import SettingInvalid
from changegate.errors import ChangegateError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Run a change desk that trusts identity providers instead of stored secrets."""


for command in (prepare, serve, demo, user, integration):
    group.add_command(command)


def main(args: Sequence[str] | None = None) -> None:
    """Run a command and turn refusals into one sentence and exit code 1."""
    try:
        group(args, prog_name="changegate")
    except ChangegateError as refusal:
        click.echo(f"changegate: {refusal.detail or refusal.message}", err=True)
        sys.exit(1)
    except SettingInvalid as refusal:
        click.echo(f"changegate: {refusal}", err=True)
        sys.exit(1)
