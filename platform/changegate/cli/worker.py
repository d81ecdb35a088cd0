"""`changegate worker`: run the jobs of an instance."""

import signal
import threading
from pathlib import Path

import click

from changegate.cli.instance import marked_as_served, opened_instance
from changegate.cli.stderr_lines import log_without_waiting
from changegate.services.jobs.worker import work


@click.command()
def worker() -> None:
    """Run jobs until interrupted; the current job is finished first."""
    log_without_waiting()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened_instance() as app, marked_as_served(Path(app.instance_path)):
        click.echo(f"Changegate runs the jobs of {app.instance_path}")
        work(app, stop.wait)
