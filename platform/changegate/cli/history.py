"""`changegate history`: the verification of all histories, and the export of signed roots."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json
from changegate.database import commit
from changegate.extensions import now
from changegate.printable import printable
from changegate.services.evidence.observation import Observation
from changegate.services.evidence.roots import export_root, make_root, read_exported
from changegate.services.evidence.verification import Verification, verify

# Not 1, which also stands for a database that cannot be read.
PROBLEMS_FOUND = 3


@click.group()
def history() -> None:
    """Verify the history of changes, and export its signed roots."""


@history.command("verify")
@click.option(
    "--root",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of `changegate history export-root` that was kept elsewhere.",
)
@as_json
def verify_all(file: Path | None, as_json: bool) -> None:
    """Verify every entry, root, and recorded decision; exit with code 3 if there is a problem."""
    with opened_instance():
        report = verify(read_exported(file.read_bytes()) if file else None)
    if as_json:
        click.echo(json.dumps(_values(report)))
    else:
        _say(report)
    if not report.is_clean:
        sys.exit(PROBLEMS_FOUND)


@history.command("export-root")
@click.option("--number", type=click.IntRange(1), help="The number of the root; the latest one without it.")
@click.option("--new", "makes_new", is_flag=True, help="Make a root now, and export that.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; without it, the root is written to stdout.",
)
def export(number: int | None, makes_new: bool, output: Path | None) -> None:
    """Export a signed root with the last entry of every history, as JSON."""
    if number and makes_new:
        raise click.UsageError("Give either --number or --new, not both.")
    with opened_instance():
        if makes_new:
            make_root(now())
            commit()
        content = export_root(number)
    if output is None:
        click.echo(content, nl=False)
    else:
        output.write_bytes(content)


def _values(report: Verification) -> dict[str, object]:
    observations = [asdict(each) | {"is_problem": each.is_problem} for each in report.observations]
    counts = {"chains": report.chains, "entries": report.entries, "roots": report.roots}
    return {"is_clean": report.is_clean, **counts, "observations": observations}


def _say(report: Verification) -> None:
    problems = [each for each in report.observations if each.is_problem]
    notices = [each for each in report.observations if not each.is_problem]
    click.echo(f"Verified: entries {report.entries}, histories {report.chains}, roots {report.roots}.")
    for title, observations in (("Problems", problems), ("Notices", notices)):
        click.echo(f"{title}: {len(observations)}")
        for each in observations:
            click.echo(printable(f"  {each.code}  {_place(each)}{each.sentence}"))


def _place(each: Observation) -> str:
    if each.subject_id is None:
        return ""
    entry = f" entry {each.seq}" if each.seq is not None else ""
    return f"{each.subject_table} {each.subject_id}{entry}: "
