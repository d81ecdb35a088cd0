"""`changegate purge`: the cleanups of the jobs, run to their end."""

import click

from changegate.cli.instance import opened_instance
from changegate.database import commit
from changegate.extensions import now
from changegate.services.jobs.cleanups import CLEANUPS


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what is due.")
def purge(dry_run: bool) -> None:
    """Delete now what the retention settings and expiry dates allow, in batches.

    Servers and workers do the same every ten minutes. The command can run beside them, and can be stopped at any time.
    """
    with opened_instance():
        at = now()
        for cleanup in CLEANUPS.values():
            due = cleanup.count(at)
            if due and not dry_run:
                while cleanup.step(at):
                    commit()
                commit()
            if due:
                click.echo(f"{due:>9,}  {cleanup.rows}{' are due' if dry_run else ''}")
    click.echo("Nothing was deleted." if dry_run else "Everything that was due is deleted.")
