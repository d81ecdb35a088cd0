"""`changegate cluster`: what all nodes of a database share."""

import click

from changegate.cli.instance import opened_instance
from changegate.cli.shared_settings import record_settings


@click.group()
def cluster() -> None:
    """Manage what all nodes of a PostgreSQL database share."""


@cluster.command()
def accept() -> None:
    """Record this node's secret key and base URL as those of all nodes, after a deliberate change."""
    with opened_instance(is_checked=False):
        names = record_settings()
    click.echo(f"Recorded {' and '.join(names)}. Restart all nodes with the same values.")
