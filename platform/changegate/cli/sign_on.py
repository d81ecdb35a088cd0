"""`changegate sign-on`: identity providers for single sign-on, their claim mappings, and the links of users."""

import json
from typing import Any, TextIO

import click
from sqlalchemy import select

from changegate.cli.instance import opened_instance
from changegate.cli.process.opening import SYSTEM
from changegate.database import commit
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.models import OidcClaimMapping, OidcProviderConfiguration
from changegate.models.sign_on import MAPPINGS, PROVIDERS
from changegate.services.single_sign_on.failures import SignOnFailed
from changegate.services.single_sign_on.metadata import get_metadata
from changegate.services.single_sign_on.providers import redirect_uri_of
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, delete_record, update_record
from changegate.services.users.accounts import find_user

KINDS = ("group", "role")


@click.group("sign-on")
def sign_on() -> None:
    """Manage identity providers that people sign in with."""


@sign_on.command()
@click.argument("alias")
@click.option("--name", help="The name on the login page; a new provider needs one.")
@click.option("--issuer", help="A new provider needs one.")
@click.option("--client-id", help="A new provider needs one.")
@click.option("--client-secret-file", type=click.File(), help="A file with the secret; - is stdin.")
@click.option("--scopes", help="Default: openid profile email.")
@click.option("--user-name-claim", metavar="CLAIM", help="Default: preferred_username.")
@click.option("--name-claim", metavar="CLAIM", help="Default: name.")
@click.option("--email-claim", metavar="CLAIM", help="Default: email.")
@click.option("--create-users/--no-create-users", default=None, help="Create users at their first sign-in.")
@click.option("--active/--inactive", default=None)
@click.option(
    "--map",
    "mappings",
    multiple=True,
    metavar="CLAIM=VALUE:group|role:NAME",
    help="A claim mapping, in place of all former ones; may be repeated.",
)
def save(alias: str, client_secret_file: TextIO | None, mappings: tuple[str, ...], **options: Any) -> None:
    """Create the provider ALIAS, or change the given fields of it."""
    fields = {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}
    fields = {name: value for name, value in fields.items() if value is not None}
    if client_secret_file is not None:
        fields["client_secret"] = client_secret_file.read().strip()
    parsed = [_parse_mapping(text) for text in mappings]
    with opened_instance():
        table, known = get_table(PROVIDERS), _find(alias)
        if known is None:
            sys_id = str(create_record(table, SYSTEM, {"alias": alias, **fields})["sys_id"])
        else:
            sys_id = known.sys_id
            update_record(table, SYSTEM, sys_id, fields)
        if parsed:
            _replace_mappings(sys_id, parsed)
        commit()
        click.echo(f"{alias} is saved. Its redirect URI is {redirect_uri_of(alias)}")


@sign_on.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON value to stdout.")
def show_all(as_json: bool) -> None:
    """List the providers."""
    with opened_instance():
        statement = select(OidcProviderConfiguration).order_by(OidcProviderConfiguration.alias)
        rows = [
            {name: getattr(each, name) for name in ("alias", "name", "issuer", "client_id", "active", "create_users")}
            for each in db.session.execute(statement).scalars()
        ]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{row['alias']:<20} {'active' if row['active'] else 'inactive':<9} {row['issuer']}")


@sign_on.command()
@click.argument("alias")
def delete(alias: str) -> None:
    """Delete the provider ALIAS, and take back the groups and roles that its mappings have given."""
    with opened_instance():
        delete_record(get_table(PROVIDERS), SYSTEM, _get(alias).sys_id)
        commit()
    click.echo(f"{alias} is deleted.")


@sign_on.command("check")
@click.argument("alias")
def check_provider(alias: str) -> None:
    """Read the metadata of the provider ALIAS."""
    with opened_instance():
        try:
            metadata = get_metadata(_get(alias).issuer, is_fresh=True)
        except SignOnFailed as refusal:
            raise ChangegateError(refusal.detail or refusal.message) from None
    click.echo(f"The metadata was read. People sign in at {metadata.authorization_endpoint}")


@sign_on.command()
@click.argument("alias")
@click.argument("user_name")
@click.argument("subject")
def link(alias: str, user_name: str, subject: str) -> None:
    """Link the account SUBJECT at the provider ALIAS to a user."""
    with opened_instance():
        user = find_user(user_name)
        if user is None:
            raise ChangegateError(f"There is no user {user_name}.")
        identity = {"user": user.sys_id, "issuer": _get(alias).issuer, "subject": subject}
        create_record(get_table("sys_user_identity"), SYSTEM, identity)
        commit()
    click.echo(f"{user_name} can sign in with the account {subject}.")


def _find(alias: str) -> OidcProviderConfiguration | None:
    return db.session.execute(select(OidcProviderConfiguration).filter_by(alias=alias)).scalar_one_or_none()


def _get(alias: str) -> OidcProviderConfiguration:
    provider = _find(alias)
    if provider is None:
        raise ChangegateError(f"There is no identity provider {alias}.")
    return provider


def _parse_mapping(text: str) -> dict[str, str]:
    claim, equals, rest = text.partition("=")
    value, _, granted = rest.rpartition(":")
    value, _, kind = value.rpartition(":")
    if not (claim and equals and value and granted) or kind not in KINDS:
        raise click.BadParameter(f"{text} is not CLAIM=VALUE:group:NAME or CLAIM=VALUE:role:NAME.", param_hint="--map")
    return {"claim": claim, "value": value, kind: granted}


def _replace_mappings(provider: str, mappings: list[dict[str, str]]) -> None:
    table = get_table(MAPPINGS)
    former = select(OidcClaimMapping.sys_id).where(OidcClaimMapping.provider == provider)
    for sys_id in db.session.execute(former).scalars().all():
        delete_record(table, SYSTEM, sys_id)
    for mapping in mappings:
        create_record(table, SYSTEM, {"provider": provider, **mapping}, input_display_value=True)
