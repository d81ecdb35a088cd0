"""Inbound integrations: who is trusted, under which conditions, to act as whom."""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changegate.database import Base
from changegate.models.auth_scope import SysAuthScope
from changegate.models.base import Record, boolean, choice, instant, integer, reference, string, text

CONNECTION_TYPES = {"jwt_bearer": "OAuth - JWT bearer grant"}
TOKEN_FORMATS = {"opaque": "Opaque"}
USER_FIELDS = {
    "email": "Email",
    "user_name": "User ID",
    "employee_number": "Employee number",
    "sys_id": "Sys ID",
}


class OAuthEntity(Record, Base):
    """An integration; exactly one of `run_as` and `user_field` says whom its tokens act as."""

    __tablename__ = "oauth_entity"

    type: Mapped[str] = choice("Connection type", CONNECTION_TYPES, default="jwt_bearer")
    name: Mapped[str] = string("Name", 100, unique=True)
    provider_name: Mapped[str | None] = string("Provider name", 100)
    client_id: Mapped[str] = string("Client ID", 32, unique=True, is_read_only=True)
    client_secret_hash: Mapped[str | None] = string("Client secret", 64, is_secret=True)
    previous_client_secret_hash: Mapped[str | None] = string("Previous client secret", 64, is_secret=True)
    previous_client_secret_expires_at: Mapped[datetime | None] = instant("Previous client secret expires")
    client_secret_hint: Mapped[str | None] = string("Client secret ends in", 4, is_secret=True)
    public_client: Mapped[bool] = boolean("This is a public client", default=False)
    active: Mapped[bool] = boolean("Active", default=True)
    comments: Mapped[str | None] = text("Comments")

    issuer: Mapped[str] = string("Issuer", 255)
    audiences: Mapped[list[str]] = mapped_column(JSON, default=list)
    algorithms: Mapped[list[str]] = mapped_column(JSON, default=list)
    user_field: Mapped[str | None] = choice("User field", USER_FIELDS)
    run_as: Mapped[str | None] = reference("Run as", "sys_user", ondelete="RESTRICT")
    jwks_url: Mapped[str] = string("JWKS URL", 2048)
    enable_jti_verification: Mapped[bool] = boolean("Enable JTI verification", default=True)
    jti_claim: Mapped[str] = string("JTI claim", 100, default="jti")

    access_token_lifespan_seconds: Mapped[int] = integer("Access token lifespan (seconds)", default=1800)
    clock_skew_seconds: Mapped[int] = integer("Clock skew (seconds)", default=60)
    max_assertion_lifetime_seconds: Mapped[int] = integer("Maximum assertion lifetime (seconds)", default=3600)
    jwks_cache_lifespan_minutes: Mapped[int] = integer("JWKS cache lifespan (minutes)", default=60)
    token_format: Mapped[str] = choice("Token format", TOKEN_FORMATS, default="opaque")
    # Counted up to end every token issued so far, also one that another process is just about to commit.
    token_generation: Mapped[int] = integer("Token generation", default=0, server_default="0", is_read_only=True)

    scopes: Mapped[list[SysAuthScope]] = relationship(
        secondary="oauth_entity_scope", order_by=SysAuthScope.name, lazy="selectin"
    )


class OAuthEntityScope(Base):
    """The scopes an integration has; read at request time, so that an edit re-scopes live tokens."""

    __tablename__ = "oauth_entity_scope"

    entity: Mapped[str] = mapped_column(
        String(32), ForeignKey("oauth_entity.sys_id", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(
        String(32), ForeignKey("sys_auth_scope.sys_id", ondelete="RESTRICT"), primary_key=True
    )


class OAuthExchange(Base):
    """One request to the token endpoint: what was decided and why, and the token that it bought.

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
    jti_digest: Mapped[str | None] = string("JTI digest", 64)
    report: Mapped[Any] = mapped_column(JSON, nullable=True)
    # Unique, so one assertion buys one token; NULL where it may buy more, or bought none.
    assertion_claim: Mapped[str | None] = mapped_column(String(64), unique=True)

    token_hash: Mapped[str | None] = mapped_column(String(64))
    token_generation: Mapped[int | None] = integer("Token generation")
    user: Mapped[str | None] = reference("User", "sys_user")
    scope: Mapped[str | None] = string("Scope", 1000)
    expires_at: Mapped[datetime | None] = instant("Expires")
    revoked_at: Mapped[datetime | None] = instant("Revoked")


def new_correlation_id(at: datetime) -> str:
    """Return 32 hex digits: the time in milliseconds and 80 random bits."""
    return earliest_correlation_id(at)[:12] + secrets.token_hex(10)


def earliest_correlation_id(at: datetime) -> str:
    """Return the least correlation id of an instant; all events before it have lesser ones."""
    return f"{int(at.timestamp() * 1000):012x}{'0' * 20}"
