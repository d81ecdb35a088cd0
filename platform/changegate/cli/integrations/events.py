"""`changegate integration events`."""

import json
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import as_json
from changegate.schemas.event_query import DEFAULT_EVENTS, OUTCOMES, load_event_query
from changegate.schemas.integration_views import EventSchema
from changegate.services.integrations.event_pages import find_events


@click.command()
@click.option("--client-id", help="Only events of this integration.")
@click.option("--outcome", help=f"One of {', '.join(OUTCOMES)}.")
@click.option("--reason", help="The reason of a refusal, such as aud_mismatch.")
@click.option("--text", help="Part of the subject, user name, address, request, issuer, kid, or client ID.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only events from this time on, such as 2030-01-31T08:30; UTC unless an offset is given.",
)
@click.option("--until", metavar="TIME", help="Only events before this time.")
@click.option("--correlation-id", help="The correlation ID that the caller received, or at least its first ten digits.")
@click.option("--limit", metavar="NUMBER", help=f"Maximum number of events, newest first; default: {DEFAULT_EVENTS}.")
@click.option("--before", metavar="CORRELATION_ID", help="Continue with the events before this one.")
@as_json
def events(as_json: bool, **asked: Any) -> None:
    """Show what the token endpoint decided and why, and which calls and logins were refused, newest first."""
    with opened_instance():
        page = find_events(load_event_query({name: text for name, text in asked.items() if text is not None}))
        rows = EventSchema(many=True).dump(page.events)
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        _say(row)


def _say(row: dict[str, Any]) -> None:
    verdict = row["reason"] or ("would be refused" if row["would_refuse"] else "issued")
    refused_call = f"  {row['address']}  {row['subject'] or '-'}  {row['request']}" if row["request"] else ""
    click.echo(f"{row['happened_at']}  {row['correlation_id']}  {row['client_id'] or '-'}  {verdict}{refused_call}")
    if row["further_refusals"]:
        click.echo(f"    further refusals, counted but not logged: {row['further_refusals']}")
    for rule in row["rules"]:
        if not rule["passed"]:
            click.echo(f"    {rule['rule']}: expected {rule['expected']}, received {rule['received']}")
