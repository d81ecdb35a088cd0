"""Visitors of the console, and an integration for them to open."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from changegate.extensions import db
from changegate.schemas.integration import SCHEMAS
from changegate.services.integrations.integration_fields import fields_of
from changegate.services.integrations.integrations import get_integration
from changegate.services.integrations.saving import Registered, change_integration, register_integration
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.users.accounts import create_user
from tests.conftest import ADMIN_PASSWORD
from tests.console.visitor import Visitor
from tests.support.forge import ec_key, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply
from tests.support.people import ROOT

PASSWORD = ADMIN_PASSWORD
SignIn = Callable[..., Visitor]
MakeChange = Callable[..., str]
Change = Callable[..., None]


@pytest.fixture
def visitor(client: FlaskClient) -> Visitor:
    """Return a visitor who has not signed in."""
    return Visitor(client)


@pytest.fixture
def admin(app: Flask) -> Visitor:
    """Return the administrator, signed in."""
    found = Visitor(app.test_client())
    found.sign_in("admin", PASSWORD)
    return found


@pytest.fixture
def sign_in(app: Flask) -> SignIn:
    """Return a function that makes a user with roles and signs them in."""

    def signed_in(user_name: str, *roles: str) -> Visitor:
        with app.app_context():
            create_user(user_name=user_name, password=PASSWORD, email=None, name=None, roles=list(roles))
            db.session.commit()
        found = Visitor(app.test_client())
        found.sign_in(user_name, PASSWORD)
        return found

    return signed_in


@pytest.fixture
def make_change(app: Flask) -> MakeChange:
    """Return a function that makes a change request and returns its sys_id."""

    def made(**fields: object) -> str:
        with app.app_context():
            record = create_record(get_table("change_request"), ROOT, fields)
            db.session.commit()
            return str(record["sys_id"])

    return made


@pytest.fixture
def integration(app: Flask) -> Registered:
    """Return a registered integration with its secret."""
    with app.app_context():
        registered = register_integration(fields(), by="admin")
        db.session.commit()
        db.session.refresh(registered.entity)
        db.session.expunge_all()
        return registered


@pytest.fixture
def change(app: Flask, integration: Registered) -> Change:
    """Return a function that changes the integration as another user."""

    def changed(by: str = "grace", **changes: object) -> None:
        with app.app_context():
            entity = get_integration(integration.entity.client_id)
            change_integration(entity, fields(**fields_of(entity) | changes), by=by)
            db.session.commit()

    return changed


def fields(**changes: object) -> dict[str, object]:
    """Return what the integration schema loads, with changes."""
    sent: dict[str, object] = {
        "name": "Build pipeline",
        "provider_name": "Example CI",
        "issuer": "https://ci.example.com",
        "audiences": ["https://desk.example.com"],
        "algorithms": ["RS256"],
        "run_as": "admin",
        "jwks_url": "https://ci.example.com/jwks.json",
        "scopes": ["change_request.create"],
        "public_client": False,
        "access_token_lifespan_seconds": 900,
        "clock_skew_seconds": 30,
        "max_assertion_lifetime_seconds": 600,
        "jwks_cache_lifespan_minutes": 30,
    }
    loaded: dict[str, object] = SCHEMAS["jwt_bearer"].load(sent | changes)
    return loaded


@pytest.fixture
def provider() -> Iterator[MisbehavingJwks]:
    """Serve a key set with two good keys and one that must be ignored."""
    keys = jwk(rsa_key(), "rsa-1"), jwk(ec_key(), "ec-1", alg="ES256"), jwk(ec_key(), "enc-1", use="enc")
    with misbehaving_jwks(reply(key_set_document(*keys))) as server:
        yield server
