"""The store of the peer with the driver's own statements, like those of the floors, instead of models."""

import sqlite3
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin

from benchmarks.peer_store import SCOPE, Exchange, SeenBefore
from benchmarks.raw import Database, connect

TABLES = """
    CREATE TABLE client (client_id TEXT PRIMARY KEY, issuer TEXT UNIQUE, scope TEXT, grant_type TEXT);
    CREATE TABLE user (id INTEGER PRIMARY KEY, subject TEXT UNIQUE);
    CREATE TABLE token (
        id INTEGER PRIMARY KEY, client_id TEXT, user_id INTEGER, token_type TEXT, access_token TEXT UNIQUE,
        scope TEXT, issued_at INTEGER, expires_in INTEGER, happened_at INTEGER, address TEXT, kid TEXT,
        algorithm TEXT, issuer TEXT, subject TEXT, jti TEXT, UNIQUE (client_id, jti)
    )
"""
SELECT_CLIENT = "SELECT client_id, scope, grant_type FROM client WHERE client_id = ?"
SELECT_CLIENT_BY_ISSUER = "SELECT client_id, scope, grant_type FROM client WHERE issuer = ?"
SELECT_USER = "SELECT id FROM user WHERE subject = ?"
INSERT_TOKEN = """
    INSERT INTO token (
        client_id, user_id, token_type, access_token, scope, issued_at, expires_in,
        happened_at, address, kid, algorithm, issuer, subject, jti
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True)
class User:
    """The user of a token."""

    id: int


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A client that may exchange assertions."""

    client_id: str
    scope: str
    grant_type: str

    def get_client_id(self) -> str:
        """Return the client ID."""
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the granted part of a requested scope."""
        return " ".join(set((scope or "").split()) & set(self.scope.split()))

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client may use a grant."""
        return grant_type == self.grant_type


class DriverStore:
    """A new database, with one client and one user."""

    def __init__(self, path: Path, *, issuer: str, subject: str, grant_type: str) -> None:
        self._database = Database(f"sqlite:///{path}")
        connection = connect(self._database.url)
        connection.executescript(TABLES)
        connection.execute("INSERT INTO client VALUES (?, ?, ?, ?)", ("bench", issuer, SCOPE, grant_type))
        connection.execute("INSERT INTO user (subject) VALUES (?)", (subject,))
        connection.close()

    def find_client(self, client_id: str) -> Client | None:
        """Return a client by its id."""
        found = self._database.execute(SELECT_CLIENT, (client_id,)).fetchone()
        return Client(*found) if found else None

    def find_client_by_issuer(self, issuer: str) -> Client | None:
        """Return a client by the issuer of its assertions."""
        found = self._database.execute(SELECT_CLIENT_BY_ISSUER, (issuer,)).fetchone()
        return Client(*found) if found else None

    def find_user(self, subject: str) -> User | None:
        """Return a user by the subject of an assertion."""
        found = self._database.execute(SELECT_USER, (subject,)).fetchone()
        return User(*found) if found else None

    def add_token(self, client: Client, user: User, token: dict[str, Any], exchange: Exchange) -> None:
        """Store a token and the event of its exchange in one row, durably; raises `SeenBefore`."""
        kept = (token["token_type"], token["access_token"], token.get("scope"), int(time.time()), token["expires_in"])
        try:
            self._database.execute(INSERT_TOKEN, (client.client_id, user.id, *kept, *astuple(exchange)))
        except sqlite3.IntegrityError:
            raise SeenBefore from None
