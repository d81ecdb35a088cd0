"""Inbound integrations: trusted issuers or clients, conditions, and the user that their tokens act as."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changegate.database import Base
from changegate.models.auth_scope import SysAuthScope
from changegate.models.base import Record, boolean, choice, day, instant, integer, reference, string, text
from changegate.models.integration_choices import (
    CONNECTION_TYPES,
    JWT_BEARER,
    KEY_SOURCES,
    REPLAY_POLICIES,
    TOKEN_FORMATS,
    USER_FIELDS,
)
from changegate.models.jwt_verifier_map import JwtVerifierMap


class OAuthEntity(Record, Base):
    """An integration; its type decides which columns are used.

    If an identity provider signs, exactly one of `run_as` and `user_field` determines the user of the tokens.
    """

    __tablename__ = "oauth_entity"

    type: Mapped[str] = choice("Connection type", CONNECTION_TYPES, default=JWT_BEARER)
    name: Mapped[str] = string("Name", 100, unique=True)
    provider_name: Mapped[str | None] = string("Provider name", 100)
    client_id: Mapped[str] = string("Client ID", 32, unique=True, is_read_only=True)
    client_secret_hash: Mapped[str | None] = string("Client secret", 64, is_secret=True)
    previous_client_secret_hash: Mapped[str | None] = string("Previous client secret", 64, is_secret=True)
    previous_client_secret_expires_at: Mapped[datetime | None] = instant("Previous client secret expires")
    client_secret_hint: Mapped[str | None] = string("Client secret ends in", 4, is_secret=True)
    client_secret_created_at: Mapped[datetime | None] = instant("Client secret created", is_read_only=True)
    public_client: Mapped[bool] = boolean("This is a public client", default=False)
    active: Mapped[bool] = boolean("Active", default=True)
    comments: Mapped[str | None] = text("Comments")

    issuer: Mapped[str] = string("Issuer", 255, default="")
    audiences: Mapped[list[str]] = mapped_column(JSON, default=list)
    algorithms: Mapped[list[str]] = mapped_column(JSON, default=list)
    user_claim: Mapped[str] = string("User claim", 100, default="sub", server_default="sub")
    # False as server default: integrations from before this rule still accept emails without `email_verified`.
    require_email_verified: Mapped[bool] = boolean("Require email_verified", default=True, server_default=false())
    user_field: Mapped[str | None] = choice("User field", USER_FIELDS)
    run_as: Mapped[str | None] = reference("Run as", "sys_user", ondelete="RESTRICT")
    preset: Mapped[str | None] = string("Identity provider", 40)
    key_source: Mapped[str] = choice("Key source", KEY_SOURCES, default="jwks_url", server_default="jwks_url")
    jwks_url: Mapped[str] = string("JWKS URL", 2048, default="")
    jwks: Mapped[str | None] = text("Key set", 100_000)
    # A copy of the verifier maps, updated with them, so that an exchange does not read their table.
    static_keys: Mapped[str | None] = mapped_column(Text)
    # RFC 7638 thumbprints of keys that an administrator has blocked, even if the provider still publishes them.
    blocked_keys: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    enable_jti_verification: Mapped[bool] = boolean("Enable JTI Verification", default=True)
    replay_policy: Mapped[str] = choice(
        "Replay policy", REPLAY_POLICIES, default="jti-required-once", server_default="jti-required-once"
    )
    jti_claim: Mapped[str] = string("JTI claim", 100, default="jti")
    audience_claim: Mapped[str] = string("Audience claim", 100, default="aud", server_default="aud")
    allow_additional_audiences: Mapped[bool] = boolean(
        "Allow additional audiences", default=False, server_default=false()
    )
    allow_missing_kid: Mapped[bool] = boolean("Accept assertions without kid", default=False, server_default=false())
    required_typ: Mapped[str | None] = string("Required typ", 100)
    claim_conditions: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    # Kept when the user is deleted, so that administrators see that the owner is gone.
    owner: Mapped[str | None] = reference("Owner", "sys_user", is_stored_loose=True)
    review_date: Mapped[date | None] = day("Review date")

    access_token_lifespan_seconds: Mapped[int] = integer("Access token lifespan (seconds)", default=1800)
    issue_refresh_tokens: Mapped[bool] = boolean("Issue refresh tokens", default=False, server_default=false())
    refresh_token_lifespan_seconds: Mapped[int] = integer(
        "Refresh token lifespan (seconds)", default=8_640_000, server_default="8640000"
    )
    clock_skew_seconds: Mapped[int] = integer("Clock skew (seconds)", default=60)
    max_assertion_lifetime_seconds: Mapped[int] = integer("Maximum assertion lifetime (seconds)", default=3600)
    jwks_cache_lifespan_minutes: Mapped[int] = integer("JWKS cache lifespan (minutes)", default=60)
    token_format: Mapped[str] = choice("Token format", TOKEN_FORMATS, default="opaque")
    scope_restriction: Mapped[bool] = boolean(
        "Allow access only to APIs in selected scope", default=True, server_default=true()
    )
    enforce_token_restriction: Mapped[bool] = boolean(
        "Enforce token restriction", default=False, server_default=false()
    )
    creations_per_hour: Mapped[int | None] = integer("Creations per hour")
    creations_per_day: Mapped[int | None] = integer("Creations per day")
    # The day of the latest exchange that has been deleted from the log: shows that the integration was in use.
    last_exchange_at: Mapped[datetime | None] = instant("Last exchange before the log", is_read_only=True)
    # The day of the client's latest authentication by a signed assertion (private_key_jwt).
    last_client_assertion_at: Mapped[datetime | None] = instant("Last client assertion", is_read_only=True)
    # ID tokens issued before this time are refused: an administrator has revoked all of them.
    tokens_valid_from: Mapped[datetime | None] = instant("Tokens valid from", is_read_only=True)
    # Incremented to revoke all tokens issued so far, including one that another process is about to commit.
    token_generation: Mapped[int] = integer("Token generation", default=0, server_default="0", is_read_only=True)

    scopes: Mapped[list[SysAuthScope]] = relationship(
        secondary="oauth_entity_scope", order_by=SysAuthScope.name, lazy="selectin"
    )
    jwt_verifier_maps: Mapped[list[JwtVerifierMap]] = relationship(
        order_by=JwtVerifierMap.name, cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def verifier_maps(self) -> list[dict[str, Any]]:
        """The verifier maps in the form of the integration schema, without shared keys: saving them keeps the keys."""
        return [_map_fields(verifier_map) for verifier_map in self.jwt_verifier_maps]


class OAuthEntityScope(Base):
    """The scopes of an integration, read at each request, so that a change affects active tokens."""

    __tablename__ = "oauth_entity_scope"

    entity: Mapped[str] = mapped_column(
        String(32), ForeignKey("oauth_entity.sys_id", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(
        String(32), ForeignKey("sys_auth_scope.sys_id", ondelete="RESTRICT"), primary_key=True
    )


def _map_fields(verifier_map: JwtVerifierMap) -> dict[str, Any]:
    certificate = verifier_map.certificate
    shown = {name: getattr(verifier_map, name) for name in ("name", "kid", "enforce_dates", "active")}
    return shown | ({"certificate": certificate.pem_certificate} if certificate else {})
