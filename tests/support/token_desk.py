"""A desk with integrations that trust one real key set on loopback, and the requests a client would send to it."""

import base64
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from changegate.extensions import db
from changegate.models import OAuthEntity, OAuthExchange
from changegate.schemas.integration import load_fields
from changegate.services.access.caller import Caller
from changegate.services.integrations.integrations import get_integration, set_active
from changegate.services.integrations.saving import register_integration
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import parse_encoded_query
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import create_user
from tests.support.forge import forge, header, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply
from tests.support.people import ROOT

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SERVICENOW_PATH = "/oauth_token.do"
RFC_PATH = "/oauth/token"
CHANGES = "/api/now/table/change_request"
FORM = "application/x-www-form-urlencoded"
ISSUER = "https://ci.example.com"
AUDIENCE = "https://change.example.com"
ROBOT = "release.bot"


@dataclass(frozen=True)
class Integration:
    """A registered integration and its secret."""

    sys_id: str
    client_id: str
    secret: str | None

    @property
    def credentials(self) -> dict[str, str]:
        """Return the form parameters that authenticate the client."""
        found = {"client_id": self.client_id}
        return found if self.secret is None else {**found, "client_secret": self.secret}


@dataclass
class TokenDesk:
    """An application, the provider it trusts, and a client."""

    app: Flask
    jwks: MisbehavingJwks
    client: FlaskClient

    def register(self, name: str = "Pipeline", **changes: Any) -> Integration:
        """Register an integration that runs as the robot, with changes; a field given as `...` is left out."""
        fields = {
            "name": name,
            "provider_name": "Example CI",
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "run_as": ROBOT,
            "jwks_url": self.jwks.url(),
            "public_client": False,
        }
        return self._registered({field: value for field, value in (fields | changes).items() if value is not ...})

    def register_as(self, connection_type: str, name: str = "Pipeline", **fields: Any) -> Integration:
        """Register an integration of a connection type with these fields and nothing but their defaults."""
        return self._registered({"type": connection_type, "name": name, "provider_name": "Example CI", **fields})

    def _registered(self, wanted: dict[str, Any]) -> Integration:
        with self.app.app_context():
            made = register_integration(load_fields(wanted), by="admin")
            db.session.commit()
            return Integration(made.entity.sys_id, made.entity.client_id, made.client_secret)

    def add_user(self, user_name: str, *roles: str, **columns: Any) -> str:
        """Add a user who cannot sign in; answers the sys_id."""
        with self.app.app_context():
            user = create_user(user_name=user_name, password=None, email=None, name=None, roles=list(roles))
            for name, value in columns.items():
                setattr(user, name, value)
            db.session.commit()
            return user.sys_id

    def assertion(self, head: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """Sign an acceptable assertion with changes; a claim given as `...` is left out."""
        issued_at = int(self.app.config["CLOCK"]().timestamp())
        usual = {"iss": ISSUER, "sub": "build-42", "aud": AUDIENCE, "iat": issued_at, "exp": issued_at + 300}
        named = {**usual, "jti": str(uuid.uuid4()), **claims}
        return forge(head or header(), {name: value for name, value in named.items() if value is not ...})

    def form(self, integration: Integration, **changes: Any) -> dict[str, Any]:
        """Return the parameters of a good request, with changes; one given as `...` is left out."""
        usual = {"grant_type": JWT_BEARER, **integration.credentials}
        if "assertion" not in changes:
            usual["assertion"] = self.assertion()
        return {name: value for name, value in (usual | changes).items() if value is not ...}

    def send(self, form: Any, path: str = RFC_PATH, **options: Any) -> TestResponse:
        """Post a form."""
        # A context of its own: a request within the test's context would share its `g`.
        with self.app.app_context():
            return self.client.post(path, data=form, **({"content_type": FORM} | options))

    def exchange(self, integration: Integration, path: str = RFC_PATH, **changes: Any) -> TestResponse:
        """Send a good request with changes."""
        return self.send(urlencode(self.form(integration, **changes), doseq=True), path)

    def token(self, integration: Integration, **changes: Any) -> str:
        """Exchange an assertion and insist on a token."""
        answer = self.exchange(integration, **changes)
        assert answer.status_code == 200, (answer.get_json(), self.last_event())
        token: str = answer.get_json()["access_token"]
        return token

    def call(self, token: str, method: str = "POST", path: str = CHANGES, **options: Any) -> TestResponse:
        """Call the Table API with a token."""
        sent = {"json": {"short_description": "Deploy"}} if method in {"POST", "PATCH", "PUT"} else {}
        bearer = {"Authorization": f"Bearer {token}"}
        with self.app.app_context():
            return self.client.open(path, method=method, headers=bearer, **(sent | options))

    def events(self) -> list[OAuthExchange]:
        """Return all events, oldest first."""
        with self.app.app_context():
            statement = select(OAuthExchange).order_by(OAuthExchange.happened_at)
            return list(db.session.execute(statement).scalars())

    def last_event(self) -> OAuthExchange | None:
        """Return the newest event."""
        return next(reversed(self.events()), None)

    def set(self, integration: Integration, **columns: Any) -> None:
        """Write columns of an integration as another process would."""
        with self.app.app_context():
            changed = update(OAuthEntity).where(OAuthEntity.sys_id == integration.sys_id).values(columns)
            db.session.execute(changed)
            db.session.commit()

    def set_active(self, integration: Integration, *, is_active: bool) -> None:
        """Enable or disable an integration."""
        with self.app.app_context():
            set_active(get_integration(integration.client_id), is_active, by="admin")
            db.session.commit()


def basic_header(user: str, secret: str) -> dict[str, str]:
    """Return a Basic header with exactly these two, nothing encoded."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{secret}'.encode()).decode()}"}


@contextmanager
def token_desk(app: Flask) -> Iterator[TokenDesk]:
    """Open a desk on an application, with one published key and one robot."""
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key())))) as jwks:
        desk = TokenDesk(app, jwks, app.test_client())
        desk.add_user(ROBOT, "itil")
        yield desk


@pytest.fixture
def allowed_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANGEGATE_JWKS_ALLOW_LOOPBACK", "1")


@pytest.fixture
def desk(app: Flask) -> Iterator[TokenDesk]:
    """Open a desk on SQLite."""
    with token_desk(app) as opened:
        yield opened


@pytest.fixture
def integration(desk: TokenDesk) -> Integration:
    """Register an integration."""
    return desk.register()


@pytest.fixture
def either_desk(allowed_loopback: None, either_app: Flask) -> Iterator[TokenDesk]:
    """Open a desk on SQLite, then one on PostgreSQL."""
    with token_desk(either_app) as opened:
        yield opened


@dataclass(frozen=True)
class LiveToken:
    """A token as the list shows it."""

    correlation_id: str
    issued_at: datetime
    expires_at: datetime
    integration: str
    client_id: str
    user_name: str
    subject: str
    issuer: str
    scopes: tuple[str, ...]


def list_live_tokens(query: str = "ORDERBYDESCsys_id", caller: Caller = ROOT) -> list[LiveToken]:
    """Return the live tokens that a query matches, as another request would see them."""
    db.session.rollback()
    names = ("sys_id", "sys_created_on", "expires_at", "entity", "entity.client_id", "user.user_name")
    shape = Shape("", DisplayValue.ALL, fields=(*names, "subject", "issuer", "scope"))
    page = read_page(get_table("oauth_credential"), caller, parse_encoded_query(query), shape, limit=100, offset=0)
    return [
        LiveToken(
            record["sys_id"]["value"],
            *(datetime.fromisoformat(record[name]["value"]) for name in ("sys_created_on", "expires_at")),
            record["entity"]["display_value"],
            *(record[name]["value"] for name in ("entity.client_id", "user.user_name", "subject", "issuer")),
            tuple(record["scope"]["value"].split()),
        )
        for record in page.records
    ]
