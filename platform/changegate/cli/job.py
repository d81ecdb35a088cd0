"""`changegate job`: the jobs that wait, run, or failed."""

import json
from dataclasses import asdict

import click

from changegate.cli.instance import opened_instance
from changegate.database import commit
from changegate.errors import ChangegateError
from changegate.printable import printable
from changegate.services.jobs.overview import JobFacts, list_jobs, retry_jobs


@click.group()
def job() -> None:
    """Show jobs, and run failed ones again."""


@job.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON value to stdout.")
def show_jobs(as_json: bool) -> None:
    """List the jobs: those that failed first, then those that are due first."""
    with opened_instance():
        jobs = list_jobs()
    if as_json:
        rows = [asdict(facts) | {"due_at": facts.due_at.isoformat(timespec="seconds")} for facts in jobs]
        click.echo(json.dumps(rows))
        return
    for facts in jobs:
        click.echo(printable(_line(facts)))
    if any(facts.state == "overdue" for facts in jobs):
        click.echo("Jobs are overdue: no worker runs, or too few. See `changegate worker --help`.", err=True)


@job.command()
@click.argument("sys_id", required=False)
def retry(sys_id: str | None) -> None:
    """Run a failed job again, or all of them without SYS_ID."""
    with opened_instance():
        count = retry_jobs(sys_id)
        commit()
    if sys_id is not None and count == 0:
        raise ChangegateError(f"There is no failed job {sys_id}.")
    click.echo(f"Failed jobs that run again: {count}.")


def _line(facts: JobFacts) -> str:
    name = facts.kind if facts.key is None else f"{facts.kind} {facts.key}"
    error = f": {facts.last_error}" if facts.last_error else ""
    due = f"{facts.due_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{facts.sys_id}  {facts.state:<7}  due {due}  {name}, attempts {facts.attempts}{error}"
