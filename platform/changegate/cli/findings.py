"""`changegate findings`: the security score and its findings."""

import json
import sys
from itertools import groupby
from operator import attrgetter

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json
from changegate.extensions import now
from changegate.printable import printable
from changegate.schemas import presets
from changegate.schemas.hygiene import SEVERITIES, AssessmentSchema
from changegate.services.hygiene.assessment import Assessment, assess
from changegate.services.hygiene.finding import Finding


@click.command()
@as_json
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Exit with code 1 if there is a finding of this severity or higher.",
)
def findings(as_json: bool, fail_on: str | None) -> None:
    """Show the security score and the findings with their remedies."""
    with opened_instance():
        assessment = assess(now(), presets)
    if as_json:
        click.echo(json.dumps(AssessmentSchema().dump(assessment)))
    else:
        _say(assessment)
    if fail_on and any(assessment.counts[severity] for severity in SEVERITIES[: SEVERITIES.index(fail_on) + 1]):
        sys.exit(1)


def _say(assessment: Assessment) -> None:
    numbers = ", ".join(f"{number} {severity}" for severity, number in assessment.counts.items())
    click.echo(f"Security score {assessment.score} of 100; findings: {numbers}.")
    for _, group in groupby(assessment.findings, key=attrgetter("severity", "subject_type", "subject")):
        _say_subject(list(group))


def _say_subject(group: list[Finding]) -> None:
    first = group[0]
    click.echo(printable(f"{first.severity:<6} {first.name} ({first.subject_type} {first.subject})"))
    for finding in group:
        click.echo(printable(f"       {finding.code}: {finding.sentence} {finding.remedy}"))
