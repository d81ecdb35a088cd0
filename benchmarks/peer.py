"""The peer: a JWT bearer grant on Authlib, Flask, and SQLite, as Authlib's documentation shows it.

It does for an exchange what the product must: verify the assertion by a key set that it keeps in memory, look up client
and user, refuse what was seen before by a unique insert, store the token and an event that says how it came about, and
have both on the disk before it answers.
It keeps its rows in two ways: `PATH` does it as documented, by models, and `DRIVER_PATH` by the driver's statements.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Protocol

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc7523 import JWTBearerGrant
from flask import Flask, Response, request
from joserfc.jwk import KeySet

from benchmarks.peer_driver import DriverStore
from benchmarks.peer_models import ModelStore
from benchmarks.peer_setup import DRIVER_PATH, FACTS_FILE, FOLDER_VARIABLE, PATH
from benchmarks.peer_store import Exchange, SeenBefore

LIFESPAN_SECONDS = 1800


class Store(Protocol):
    """A store of clients, users, and tokens, whose types are those of Authlib or of the store."""

    def find_client(self, client_id: str) -> Any:
        """Return a client by its id."""

    def find_client_by_issuer(self, issuer: str) -> Any:
        """Return a client by the issuer of its assertions."""

    def find_user(self, subject: str) -> Any:
        """Return a user by the subject of an assertion."""

    def add_token(self, client: Any, user: Any, token: dict[str, Any], exchange: Exchange) -> None:
        """Store a token and the event of its exchange, durably; raises `SeenBefore`."""


def make_app(folder: Path) -> Flask:
    """Return the WSGI app of the peer, with new databases."""
    facts = json.loads((folder / FACTS_FILE).read_text())
    app = Flask("peer")
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {JWTBearerGrant.GRANT_TYPE: LIFESPAN_SECONDS}
    who = {"issuer": facts["issuer"], "subject": facts["subject"], "grant_type": JWTBearerGrant.GRANT_TYPE}
    add_server(app, PATH, ModelStore(app, folder / "models.db", **who), facts)
    add_server(app, DRIVER_PATH, DriverStore(folder / "driver.db", **who), facts)
    return app


def add_server(app: Flask, path: str, store: Store, facts: dict[str, Any]) -> None:
    """Serve a token endpoint on a store."""
    server = AuthorizationServer(app, query_client=store.find_client)
    server.register_grant(make_grant(store, KeySet.import_key_set(facts["key_set"]), facts["audience"]))
    app.add_url_rule(path, path, lambda: _respond(server), methods=["POST"])


def _respond(server: AuthorizationServer) -> Response:
    response: Response = server.create_token_response()
    return response


def make_grant(store: Store, key_set: KeySet, audience: str) -> type[JWTBearerGrant]:
    """Return the grant class with the methods that its users must add."""

    class Grant(JWTBearerGrant):  # type: ignore[misc]
        CLAIMS_OPTIONS = {**JWTBearerGrant.CLAIMS_OPTIONS, "sub": {"essential": True}, "jti": {"essential": True}}

        def get_audiences(self) -> list[str]:
            return [audience]

        def resolve_issuer_client(self, issuer: str) -> Any:
            return store.find_client_by_issuer(issuer)

        def resolve_client_public_key(self, client: Any) -> KeySet:
            return key_set

        def authenticate_user(self, subject: str) -> Any:
            return store.find_user(subject)

        def has_granted_permission(self, client: Any, user: Any) -> bool:
            return True

        def extract_assertion(self, assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
            self.header, claims = super().extract_assertion(assertion)
            return self.header, claims

        def process_assertion_claims(self, assertion: str) -> dict[str, Any]:
            self.claims: dict[str, Any] = super().process_assertion_claims(assertion)
            return self.claims

        def save_token(self, token: dict[str, Any]) -> None:
            try:
                store.add_token(self.request.client, self.request.user, token, self._describe_exchange())
            except SeenBefore:
                raise InvalidGrantError(description="The assertion was seen before.") from None

        def _describe_exchange(self) -> Exchange:
            key, signed_with = self.header.get("kid"), self.header["alg"]
            said = (self.claims[name] for name in ("iss", "sub", "jti"))
            return Exchange(int(time.time()), request.remote_addr, key, signed_with, *said)

    return Grant


def __getattr__(name: str) -> Flask:
    """Make `app` when the server asks for it, so that importing the module needs no folder."""
    if name != "app":
        raise AttributeError(name)
    return make_app(Path(os.environ[FOLDER_VARIABLE]))
