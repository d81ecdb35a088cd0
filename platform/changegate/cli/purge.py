"""`changegate purge`: the cleanups of the jobs, run to their end."""

import time
from datetime import timedelta

import click

from changegate.cli.instance import opened_instance
from changegate.database import commit
from changegate.database.cleanup import rest_after
from changegate.services.jobs.cleanups import CLEANUPS, cleanup_time


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what is due.")
def purge(dry_run: bool) -> None:
    """Delete now what the retention settings and expiry dates allow, in batches.

    Servers and workers do the same at intervals. The command can run beside them, and can be stopped at any time.
    """
    with opened_instance():
        at, left = cleanup_time(), 0
        for cleanup in CLEANUPS.values():
            due = cleanup.count(at)
            if due and not dry_run:
                has_more: bool | timedelta = True
                while has_more:
                    begun = time.monotonic()
                    has_more = cleanup.step(at)
                    commit()
                    time.sleep(rest_after(begun))
                # Rows that another transaction has locked are skipped, and so are events that are not counted yet.
                left += cleanup.count(at)
            if due:
                click.echo(f"{due:>9,}  {cleanup.rows}{' are due' if dry_run else ''}")
    if dry_run:
        click.echo("Nothing was deleted.")
    elif left:
        click.echo(f"{left:,} of them, in use or not yet counted for the overview, are left for the next time.")
    else:
        click.echo("Everything that was due is deleted.")
