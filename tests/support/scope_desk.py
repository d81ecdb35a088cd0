"""Scopes and integrations as an administrator edits them, while tokens are out."""

from typing import Any

from changegate.extensions import db
from changegate.schemas.auth_scope import load_scope
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import change_integration
from changegate.services.scopes.scopes import create_scope, find_scope, update_scope
from tests.support.token_desk import Integration, TokenDesk


def put_scope(desk: TokenDesk, name: str, *rules: str) -> str:
    """Make a scope with rules in the notation of the command line, or give it these; answers its name."""
    with desk.app.app_context():
        fields = load_scope({"name": name, "rules": [*rules]})
        found = find_scope(name)
        update_scope(found, fields, by="admin") if found else create_scope(fields, by="admin")
        db.session.commit()
    return name


def change(desk: TokenDesk, integration: Integration, **changes: Any) -> None:
    """Change an integration as its form does."""
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        change_integration(entity, fields_of(entity) | {"review_date": None} | changes, by="admin")
        db.session.commit()
