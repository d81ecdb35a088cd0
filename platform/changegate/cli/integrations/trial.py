"""`changegate integration try`: a dry run of an assertion."""

import json
import sys
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json, client_id_argument, get_target
from changegate.errors import ChangegateError
from changegate.models.integration_choices import ID_TOKEN
from changegate.schemas.integration_views import TrialSchema
from changegate.services.integrations.dry_run import try_assertion
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.keys.key_store import key_store

MAX_TOKEN_CHARACTERS = 64 * 1024
EXCHANGED = "assertion would be exchanged for a token that acts"
ACCEPTED = {ID_TOKEN: "ID token would be accepted, and act"}


@click.command("try")
@client_id_argument
@as_json
def try_token(client_id: str, as_json: bool) -> None:
    """Check an assertion from stdin as in an exchange, rule by rule, without using it up."""
    with opened_instance():
        entity = get_target(client_id)
        run = try_assertion(fields_of(entity), _read(), key_store(), entity)
        shown, shown_type = TrialSchema().dump(run), entity.type
    if as_json:
        click.echo(json.dumps(shown))
    for rule in [] if as_json else shown["rules"]:
        _say(rule)
    if run.problem:
        raise ChangegateError(f"Nothing could be checked: {run.problem}")
    if run.reason:
        raise ChangegateError(f"The assertion would be refused: {run.reason}.")
    if not as_json:
        click.echo(f"The {ACCEPTED.get(shown_type, EXCHANGED)} as {run.user}.")


def _read() -> str:
    """Return the assertion, with replacement characters for invalid UTF-8."""
    data = sys.stdin.buffer.read(MAX_TOKEN_CHARACTERS + 1)
    if len(data) > MAX_TOKEN_CHARACTERS:
        raise ChangegateError("The input is longer than an assertion may be.")
    return data.decode("utf-8", "replace")


def _say(rule: dict[str, Any]) -> None:
    mark = "passed" if rule["passed"] else "failed"
    reports = " (report-only)" if rule["only_reports"] else ""
    click.echo(f"{mark}  {rule['rule']}{reports}: expected {rule['expected']}, received {rule['received']}")
    if rule["hint"]:
        click.echo(f"        {rule['hint']}")
