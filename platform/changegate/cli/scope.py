"""`changegate scope`: auth scopes, which limit what tokens may do."""

import json
from collections.abc import Mapping
from typing import Any

import click

from changegate.cli.instance import opened_instance
from changegate.cli.integrations.refusals import BY, as_json
from changegate.database import commit
from changegate.errors import ChangegateError, RecordNotFound
from changegate.models import SysAuthScope
from changegate.printable import printable
from changegate.schemas.auth_scope import load_scope, load_scope_change
from changegate.schemas.scope_rule_text import render_rule_text
from changegate.services.scopes.scopes import (
    create_scope,
    delete_scope,
    fields_of_scope,
    get_scope,
    list_scopes,
    list_uses,
    rule_fields,
    update_scope,
    used_by,
)
from changegate.services.scopes.sentences import describe_scope

RULE = "Such as 'POST table change_request fields=short_description own'; may be repeated."


@click.group()
def scope() -> None:
    """Manage auth scopes; changes apply to all tokens at the next call."""


@scope.command("list")
@as_json
def show_all(as_json: bool) -> None:
    """List the scopes and what they allow."""
    with opened_instance():
        uses = list_uses()
        rows = [_facts(found, [name for _, name in uses.get(found.sys_id, ())]) for found in list_scopes()]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{printable(row['name']):<28} {row['allows']} Used by {len(row['used_by'])}.")


@scope.command()
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show one scope with its rules."""
    with opened_instance():
        scope_record = _get_scope(name)
        shown = _facts(scope_record, [entity.name for entity in used_by(scope_record)])
    _say(shown, as_json)


@scope.command()
@click.argument("name")
@click.option("--description", help="The purpose of the scope.")
@click.option("--rule", "rules", multiple=True, help=RULE)
@as_json
def create(name: str, description: str | None, rules: tuple[str, ...], as_json: bool) -> None:
    """Create a scope."""
    with opened_instance():
        made = create_scope(load_scope({"name": name, "description": description, "rules": [*rules]}), by=BY)
        commit()
        shown = _facts(made, [])
    _say(shown, as_json)


@scope.command()
@click.argument("name")
@click.option("--rename", metavar="NAME", help="A new name; only for a scope that no integration has.")
@click.option("--description", help="The purpose of the scope; an empty string clears it.")
@click.option("--rule", "rules", multiple=True, help=f"Replaces all existing rules. {RULE}")
@as_json
def update(name: str, as_json: bool, rename: str | None, **given: Any) -> None:
    """Update a scope for every integration that has it; fields that are not given stay unchanged."""
    sent = {field: value for field, value in given.items() if value not in (None, ())}
    if rename:
        sent["name"] = rename
    if "rules" in sent:
        sent["rules"] = [line for line in sent["rules"] if line.strip()]
    with opened_instance():
        scope_record = _get_scope(name)
        changes = update_scope(scope_record, load_scope_change(sent, fields_of_scope(scope_record)), by=BY)
        commit()
        shown = _facts(scope_record, [entity.name for entity in used_by(scope_record)])
    _say(shown | ({"changed": sorted(changes)} if as_json else {}), as_json)


@scope.command()
@click.argument("name")
def delete(name: str) -> None:
    """Delete a scope that no integration has."""
    with opened_instance():
        delete_scope(_get_scope(name))
        commit()
    click.echo(f"{printable(name)} is deleted.")


def _get_scope(name: str) -> SysAuthScope:
    try:
        return get_scope(name)
    except RecordNotFound:
        raise ChangegateError(f"There is no auth scope {printable(name)}.") from None


def _facts(found: SysAuthScope, uses: list[str]) -> dict[str, Any]:
    # Rules in the notation of the option.
    rules = [render_rule_text(rule_fields(rule)) for rule in found.rules]
    return {
        **fields_of_scope(found),
        "rules": rules,
        "sys_id": found.sys_id,
        "allows": describe_scope(found),
        "used_by": uses,
    }


def _say(shown: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(shown))
        return
    lines = [shown["name"], shown["allows"], shown["description"] or ""]
    lines += [f"rule: {rule}" for rule in shown["rules"]]
    lines.append(f"used by: {', '.join(shown['used_by']) or 'no integration'}")
    for line in filter(None, lines):
        click.echo(printable(line))
