"""Exchanges: decisions of the token endpoint, and the tokens that it issued; and what is left of old ones."""

import secrets
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.database.packed import PackedJSON
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import boolean, index_of_filled, instant, integer, reference, string, text


class OAuthExchange(Base):
    """A request to the token endpoint, with its outcome, reason, and issued token.

    Refused API calls and logins are rows, too, with `request` and the caller only.

    Event, token, and replay key are one row, written by one statement, so they are committed together or not at all. A
    correlation ID begins with the time: new rows are appended to the index, and old ones form a range at its beginning.
    The token contains the correlation ID, which identifies its row. Tokens and assertions are never stored.
    """

    __tablename__ = "oauth_exchange"
    __table_args__ = (Index(None, "entity", "correlation_id"), {"sqlite_with_rowid": False})

    correlation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    happened_at: Mapped[datetime] = instant("Time")
    address: Mapped[str | None] = string("Address", 45)
    entity: Mapped[str | None] = reference("Integration", "oauth_entity", is_stored_loose=True)
    client_id: Mapped[str | None] = string("Client ID", 100)
    is_accepted: Mapped[bool] = boolean("Accepted")
    reason: Mapped[str | None] = string("Reason", 40)
    detail: Mapped[str | None] = text("Detail")
    kid: Mapped[str | None] = string("Key ID", 256)
    algorithm: Mapped[str | None] = string("Algorithm", 20)
    issuer: Mapped[str | None] = string("Issuer", 255)
    subject: Mapped[str | None] = string("Subject", 255)
    # Method and path of a refused API call or login; NULL for exchanges.
    request: Mapped[str | None] = string("Request", 120)
    # The number of later refusals of the same address or integration that were not logged because of the limit.
    further_refusals: Mapped[int | None] = integer("Further refusals")
    jti_digest: Mapped[str | None] = string("JTI digest", 64)
    # All rules that were checked: rule, reason if it failed, expected, received.
    rules: Mapped[Any] = mapped_column(PackedJSON, nullable=True)
    # The signed payload, stored only if its signature was valid.
    claims: Mapped[Any] = mapped_column(PackedJSON, nullable=True)
    # Whether a report-only condition would have refused it.
    would_refuse: Mapped[bool | None] = boolean("Would have been refused")
    # Unique, so an assertion is exchanged only once; NULL if it may be reused, or if no token was issued.
    replay_key: Mapped[str | None] = mapped_column(String(64), unique=True)

    token_hash: Mapped[str | None] = mapped_column(String(64))
    token_generation: Mapped[int | None] = integer("Token generation")
    user: Mapped[str | None] = reference("User", "sys_user", is_stored_loose=True)
    scope: Mapped[str | None] = string("Scope", MAX_SCOPES_LENGTH)
    # True if the request did not specify scopes: the token then has the current scopes of its integration.
    has_all_scopes: Mapped[bool | None] = boolean("All scopes of its integration")
    expires_at: Mapped[datetime | None] = instant("Expires")
    revoked_at: Mapped[datetime | None] = instant("Revoked")
    # The refresh token issued with it, or exchanged for it: the correlation ID of the exchange that issued that token.
    refresh_token: Mapped[str | None] = mapped_column(String(32))


index_of_filled(OAuthExchange.__table__.c.refresh_token)


class OAuthExchangeKind(Base):
    """What many old exchanges have in common: integration, user, algorithm, and result."""

    __tablename__ = "oauth_exchange_kind"

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str | None] = reference("Integration", "oauth_entity", is_stored_loose=True, index=True)
    user: Mapped[str | None] = reference("User", "sys_user", is_stored_loose=True)
    # Of accepted exchanges only. In a refused one, the sender chose the text, and each invented name would become a
    # kind.
    algorithm: Mapped[str | None] = string("Algorithm", 20)
    is_accepted: Mapped[bool] = boolean("Accepted")
    would_refuse: Mapped[bool | None] = boolean("Would have been refused")
    reason: Mapped[str | None] = string("Reason", 40)


class OAuthThinnedExchange(Base):
    """An old exchange, of which the log keeps when, who, and with which result; a row takes a tenth of the former one.

    Its columns are those of `OAuthExchange` that differ between exchanges of one kind.
    """

    __tablename__ = "oauth_thinned_exchange"
    __table_args__ = (Index(None, "kind", "correlation_id"), {"sqlite_with_rowid": False})

    correlation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    happened_at: Mapped[datetime] = instant("Time")
    kind: Mapped[int] = mapped_column(ForeignKey(OAuthExchangeKind.id, ondelete="CASCADE"))
    # Of refused exchanges only.
    algorithm: Mapped[str | None] = string("Algorithm", 20)
    # Of unknown clients only: the others are named by their integration.
    client_id: Mapped[str | None] = string("Client ID", 100)
    request: Mapped[str | None] = string("Request", 120)


def new_correlation_id(at: datetime) -> str:
    """Return 32 hex digits: the time in milliseconds and 80 random bits."""
    return earliest_correlation_id(at)[:12] + secrets.token_hex(10)


def earliest_correlation_id(at: datetime) -> str:
    """Return the smallest correlation ID of a time; those of all earlier events are smaller."""
    return f"{int(at.timestamp() * 1000):012x}{'0' * 20}"


def instant_of(correlation_id: str) -> datetime:
    """Return the instant that a correlation ID begins with."""
    return datetime.fromtimestamp(int(correlation_id[:12], 16) / 1000, UTC)
