"""A desk whose integrations take their provider's tokens straight at the APIs."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models.integration_choices import ID_TOKEN
from changegate.schemas.integration import load_fields
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import change_integration, register_integration
from tests.support.token_desk import AUDIENCE, CHANGES, ISSUER, ROBOT, Integration, TokenDesk

ONCE = {"replay_policy": "jti-required-once", "enable_jti_verification": True}


def register_id_token(desk: TokenDesk, name: str = "Straight", **changes: Any) -> Integration:
    """Register an ID token integration that runs as the robot, with changes; a field given as `...` is left out."""
    with desk.app.app_context():
        made = register_integration(load_fields(_fields(desk, name, changes)), by="admin")
        db.session.commit()
        return Integration(made.entity.sys_id, made.entity.client_id, made.client_secret)


def save_id_token(desk: TokenDesk, integration: Integration, name: str = "Straight", **changes: Any) -> None:
    """Save an integration as the form would, with the usual fields and changes."""
    with desk.app.app_context():
        entity = get_integration(integration.client_id)
        change_integration(entity, load_fields(_fields(desk, name, changes)), by="admin")
        db.session.commit()


def read(desk: TokenDesk, token: str, path: str = CHANGES, client: FlaskClient | None = None) -> TestResponse:
    """Call an API with a token and nothing but GET."""
    with desk.app.app_context():
        return (client or desk.client).get(path, headers={"Authorization": f"Bearer {token}"})


def _fields(desk: TokenDesk, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    usual = {
        "type": ID_TOKEN,
        "name": name,
        "provider_name": "Example CI",
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "run_as": ROBOT,
        "jwks_url": desk.jwks.url(),
    }
    return {field: value for field, value in (usual | changes).items() if value is not ...}
