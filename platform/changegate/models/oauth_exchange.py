"""Exchanges: what the token endpoint decided, and the tokens that it gave."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import boolean, index_of_filled, instant, integer, reference, string, text
from changegate.models.packed import PackedJSON


class OAuthExchange(Base):
    """One request to the token endpoint: what was decided and why, and the token that it was exchanged for.

    Refused API calls and logins are rows too, with `request`; nothing else of them is stored but who sent them.

    Event, token and the claim of the assertion are one row, written by one statement, so they are committed together
    or not at all. A correlation id begins with the time: new rows go to the end, old ones are a range at the
    beginning, and the token carries it, so that its row is found. Never the token itself, never the assertion.
    """

    __tablename__ = "oauth_exchange"
    __table_args__ = (Index(None, "entity", "correlation_id"), {"sqlite_with_rowid": False})

    correlation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    happened_at: Mapped[datetime] = instant("Time")
    address: Mapped[str | None] = string("Address", 45)
    entity: Mapped[str | None] = reference("Integration", "oauth_entity", ondelete="CASCADE")
    client_id: Mapped[str | None] = string("Client ID", 100)
    is_accepted: Mapped[bool] = boolean("Accepted")
    reason: Mapped[str | None] = string("Reason", 40)
    detail: Mapped[str | None] = text("Detail")
    kid: Mapped[str | None] = string("Key ID", 256)
    algorithm: Mapped[str | None] = string("Algorithm", 20)
    issuer: Mapped[str | None] = string("Issuer", 255)
    subject: Mapped[str | None] = string("Subject", 255)
    # Method and path of a refused API call or login; NULL for an exchange.
    request: Mapped[str | None] = string("Request", 120)
    # How many refusals of the same address or integration followed that the log had no room for.
    further_refusals: Mapped[int | None] = integer("Further refusals")
    jti_digest: Mapped[str | None] = string("JTI digest", 64)
    # Every rule that was judged: rule, reason where it failed, expected, received.
    rules: Mapped[Any] = mapped_column(PackedJSON, nullable=True)
    # The payload as it was signed, kept once its signature was found good.
    claims: Mapped[Any] = mapped_column(PackedJSON, nullable=True)
    # Whether a condition that only reports would have refused it.
    would_refuse: Mapped[bool | None] = boolean("Would have been refused")
    # Unique, so one assertion buys one token; NULL where it may buy more, or bought none.
    assertion_claim: Mapped[str | None] = mapped_column(String(64), unique=True)

    token_hash: Mapped[str | None] = mapped_column(String(64))
    token_generation: Mapped[int | None] = integer("Token generation")
    user: Mapped[str | None] = reference("User", "sys_user")
    scope: Mapped[str | None] = string("Scope", MAX_SCOPES_LENGTH)
    # Whether the token was not asked for with scopes of its own: it then has those that its integration has.
    has_all_scopes: Mapped[bool | None] = boolean("All scopes of its integration")
    expires_at: Mapped[datetime | None] = instant("Expires")
    revoked_at: Mapped[datetime | None] = instant("Revoked")
    # The refresh token that it came with, or was bought with: the correlation id of the exchange that issued that one.
    refresh_token: Mapped[str | None] = mapped_column(String(32))


index_of_filled(OAuthExchange.__table__.c.refresh_token)


def new_correlation_id(at: datetime) -> str:
    """Return 32 hex digits: the time in milliseconds and 80 random bits."""
    return earliest_correlation_id(at)[:12] + secrets.token_hex(10)


def earliest_correlation_id(at: datetime) -> str:
    """Return the least correlation id of an instant; all events before it have lesser ones."""
    return f"{int(at.timestamp() * 1000):012x}{'0' * 20}"


def instant_of(correlation_id: str) -> datetime:
    """Return the instant that a correlation id begins with."""
    return datetime.fromtimestamp(int(correlation_id[:12], 16) / 1000, UTC)
