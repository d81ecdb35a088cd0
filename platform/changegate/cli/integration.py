"""`changegate integration`: register and manage inbound integrations; options are named after the form's fields."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from marshmallow import ValidationError

from changegate.cli.instance import opened_instance
from changegate.errors import ChangegateError, InputInvalid, RecordNotFound
from changegate.extensions import db
from changegate.models import OAuthEntity, SysUser
from changegate.models.oauth_entity import USER_FIELDS
from changegate.schemas.field_errors import field_errors
from changegate.schemas.integration import ALGORITHMS, IntegrationSchema
from changegate.services.oauth.integrations import (
    get_integration,
    list_integrations,
    register_integration,
    rotate_secret,
    set_active,
)

BY = "system"
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout.")
client_id_argument = click.argument("client_id")


@click.group()
def integration() -> None:
    """Manage inbound integrations of the OAuth - JWT bearer grant."""


@integration.command()
@click.option("--name", required=True)
@click.option("--provider-name", required=True)
@click.option("--issuer", required=True, help="Compared with the assertion's iss, byte for byte.")
@click.option("--audience", "audiences", multiple=True, help="May be repeated; default: the client id.")
@click.option("--jwks-url", required=True)
@click.option("--run-as", metavar="USER", help="The user every token of this integration acts as.")
@click.option("--user-field", type=click.Choice([*USER_FIELDS]), help="The user column that sub is compared with.")
@click.option("--scope", "scopes", multiple=True, help="May be repeated; default: change_request.create.")
@click.option("--public", "public_client", is_flag=True, help="This is a public client: it has no secret.")
@click.option("--algorithm", "algorithms", multiple=True, type=click.Choice(ALGORITHMS), help="May be repeated.")
@click.option("--jti-verification/--no-jti-verification", "enable_jti_verification", default=True, show_default=True)
@click.option("--jti-claim", default="jti", show_default=True)
@click.option("--access-token-lifespan", "access_token_lifespan_seconds", type=int, metavar="SECONDS")
@click.option("--clock-skew", "clock_skew_seconds", type=int, metavar="SECONDS")
@click.option("--max-assertion-lifetime", "max_assertion_lifetime_seconds", type=int, metavar="SECONDS")
@click.option("--jwks-cache-lifespan", "jwks_cache_lifespan_minutes", type=int, metavar="MINUTES")
@click.option("--comments")
@as_json
def create(as_json: bool, **options: Any) -> None:
    """Register an integration; its client secret is shown this once."""
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    given = {name: value for name, value in given.items() if value not in (None, [])}
    with _refusals(), opened_instance():
        made = register_integration(IntegrationSchema().load(given), by=BY)
        db.session.commit()
        shown = {**_facts(made.entity), "client_secret": made.client_secret}
    if as_json:
        click.echo(json.dumps(shown))
        return
    click.echo(f"Registered {shown['name']}.\nClient ID:     {shown['client_id']}")
    if made.client_secret:
        click.echo(f"Client secret: {made.client_secret} (shown this once)")


@integration.command("list")
@as_json
def show_all(as_json: bool) -> None:
    """List integrations."""
    with opened_instance():
        rows = [_facts(entity) for entity in list_integrations()]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{row['client_id']}  {'active' if row['active'] else 'disabled':<9} {row['name']}  {row['issuer']}")


@integration.command()
@client_id_argument
@as_json
def show(client_id: str, as_json: bool) -> None:
    """Show one integration."""
    with _refusals(client_id), opened_instance():
        facts = _facts(get_integration(client_id))
    if as_json:
        click.echo(json.dumps(facts))
    for name, value in {} if as_json else facts.items():
        click.echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


def _switch(name: str, is_active: bool, sentence: str) -> Callable[..., None]:
    def command(client_id: str) -> None:
        with _refusals(client_id), opened_instance():
            set_active(get_integration(client_id), is_active, by=BY)
            db.session.commit()
        click.echo(f"{client_id} is {'enabled' if is_active else 'disabled'}.")

    command.__doc__ = sentence
    registered: Callable[..., None] = integration.command(name)(client_id_argument(command))
    return registered


_switch(
    "disable",
    False,
    "Disable an integration: exchanges and live tokens are refused from the next request on.",
)
_switch("enable", True, "Enable an integration again.")


@integration.command("rotate-secret")
@client_id_argument
@click.option("--overlap-hours", type=click.IntRange(0, 720), default=0, help="How long the old secret works on.")
@as_json
def rotate(client_id: str, overlap_hours: int, as_json: bool) -> None:
    """Give an integration a new client secret, shown this once."""
    with _refusals(client_id), opened_instance():
        entity = get_integration(client_id)
        secret = rotate_secret(entity, by=BY, overlap=timedelta(hours=overlap_hours))
        db.session.commit()
        shown = {"sys_id": entity.sys_id, "client_id": client_id, "client_secret": secret}
    click.echo(json.dumps(shown) if as_json else f"Client secret: {secret} (shown this once)")


@contextmanager
def _refusals(client_id: str = "") -> Iterator[None]:
    """Say what is wrong in the command's own words."""
    try:
        yield
    except ValidationError as problem:
        raise InputInvalid(field_errors(problem)) from None
    except RecordNotFound:
        raise ChangegateError(f"There is no integration with the client id {client_id}.") from None


def _facts(entity: OAuthEntity) -> dict[str, Any]:
    run_as = db.session.get(SysUser, entity.run_as) if entity.run_as else None
    names = [name for name in IntegrationSchema().fields if name not in {"run_as", "scopes"}]
    return {
        "sys_id": entity.sys_id,
        "client_id": entity.client_id,
        **{name: getattr(entity, name) for name in names},
        "run_as": run_as.user_name if run_as else None,
        "scopes": [scope.name for scope in entity.scopes],
    }
