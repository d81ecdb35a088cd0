"""The store of the peer as in Authlib's documentation: its mixins on models of Flask-SQLAlchemy."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from authlib.integrations.sqla_oauth2 import OAuth2ClientMixin, OAuth2TokenMixin
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, ForeignKey, Integer, String, UniqueConstraint, event
from sqlalchemy.exc import IntegrityError

from benchmarks.peer_store import SCOPE, Exchange, SeenBefore
from benchmarks.raw import SQLITE_PRAGMAS

db = SQLAlchemy()


class User(db.Model):  # type: ignore[misc,name-defined]
    """The user of a token."""

    id = Column(Integer, primary_key=True)
    subject = Column(String(40), unique=True)


class Client(db.Model, OAuth2ClientMixin):  # type: ignore[misc,name-defined]
    """A client that may exchange assertions."""

    id = Column(Integer, primary_key=True)
    issuer = Column(String(255), unique=True)


class Token(db.Model, OAuth2TokenMixin):  # type: ignore[misc,name-defined]
    """A token and the assertion that was exchanged for it."""

    __table_args__ = (UniqueConstraint("client_id", "jti"),)

    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("user.id"))
    jti = Column(String(255))


class Event(db.Model):  # type: ignore[misc,name-defined]
    """The event of an exchange."""

    id = Column(Integer, primary_key=True)
    happened_at = Column(Integer, index=True)
    address = Column(String(45))
    client_id = Column(String(48), index=True)
    kid = Column(String(255))
    algorithm = Column(String(20))
    issuer = Column(String(255))
    subject = Column(String(255))
    jti = Column(String(255))


class ModelStore:
    """A new database, with one client and one user."""

    def __init__(self, app: Flask, path: Path, *, issuer: str, subject: str, grant_type: str) -> None:
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
        db.init_app(app)
        with app.app_context():
            event.listen(db.engine, "connect", _make_durable)
            db.create_all()
            client = Client(client_id="bench", issuer=issuer)
            client.set_client_metadata({"grant_types": [grant_type], "scope": SCOPE})
            db.session.add_all([client, User(subject=subject)])
            db.session.commit()

    def find_client(self, client_id: str) -> Client | None:
        """Return a client by its id."""
        found: Client | None = db.session.query(Client).filter_by(client_id=client_id).first()
        return found

    def find_client_by_issuer(self, issuer: str) -> Client | None:
        """Return a client by the issuer of its assertions."""
        found: Client | None = db.session.query(Client).filter_by(issuer=issuer).first()
        return found

    def find_user(self, subject: str) -> User | None:
        """Return a user by the subject of an assertion."""
        found: User | None = db.session.query(User).filter_by(subject=subject).first()
        return found

    def add_token(self, client: Client, user: User, token: dict[str, Any], exchange: Exchange) -> None:
        """Store a token and the event of its exchange, durably; raises `SeenBefore`."""
        db.session.add(Token(client_id=client.client_id, user_id=user.id, jti=exchange.jti, **token))
        db.session.add(Event(client_id=client.client_id, **asdict(exchange)))
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            raise SeenBefore from None


def _make_durable(connection: Any, _record: Any) -> None:
    for pragma in SQLITE_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
