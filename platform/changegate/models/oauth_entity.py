"""Inbound integrations: trusted issuers or clients, conditions, and the user that their tokens act as."""

from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, false, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from changegate.database import Base
from changegate.models.auth_scope import SysAuthScope
from changegate.models.base import Record, instant, integer, string
from changegate.models.integration_fields import FIELDS, column
from changegate.models.jwt_verifier_map import JwtVerifierMap


class OAuthEntity(Record, Base):
    """An integration; its type decides which columns are used.

    If an identity provider signs, exactly one of `run_as` and `user_field` determines the user of the tokens.
    """

    __tablename__ = "oauth_entity"
    labels = MappingProxyType({name: field.label for name, field in FIELDS.items()})

    type: Mapped[str] = column("type")
    name: Mapped[str] = column("name", unique=True)
    provider_name: Mapped[str | None] = column("provider_name")
    client_id: Mapped[str] = string("Client ID", 32, unique=True, is_read_only=True)
    client_secret_hash: Mapped[str | None] = string("Client secret", 64, is_secret=True)
    previous_client_secret_hash: Mapped[str | None] = string("Previous client secret", 64, is_secret=True)
    previous_client_secret_expires_at: Mapped[datetime | None] = instant("Previous client secret expires")
    client_secret_hint: Mapped[str | None] = string("Client secret ends in", 4, is_secret=True)
    client_secret_created_at: Mapped[datetime | None] = instant("Client secret created", is_read_only=True)
    public_client: Mapped[bool] = column("public_client", default=False)
    active: Mapped[bool] = column("active")
    comments: Mapped[str | None] = column("comments")

    issuer: Mapped[str] = column("issuer", default="")
    audiences: Mapped[list[str]] = column("audiences")
    algorithms: Mapped[list[str]] = column("algorithms")
    user_claim: Mapped[str] = column("user_claim", server_default="sub")
    # False as server default: integrations from before this rule still accept emails without `email_verified`.
    require_email_verified: Mapped[bool] = column("require_email_verified", server_default=false())
    user_field: Mapped[str | None] = column("user_field")
    run_as: Mapped[str | None] = column("run_as", ondelete="RESTRICT")
    preset: Mapped[str | None] = column("preset")
    key_source: Mapped[str] = column("key_source", server_default="jwks_url")
    jwks_url: Mapped[str] = column("jwks_url")
    jwks: Mapped[str | None] = column("jwks")
    # A copy of the verifier maps, updated with them, so that an exchange does not read their table.
    static_keys: Mapped[str | None] = mapped_column(Text)
    # RFC 7638 thumbprints of keys that an administrator has blocked, even if the provider still publishes them.
    blocked_keys: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    enable_jti_verification: Mapped[bool] = column("enable_jti_verification")
    replay_policy: Mapped[str] = column("replay_policy", server_default="jti-required-once")
    jti_claim: Mapped[str] = column("jti_claim")
    audience_claim: Mapped[str] = column("audience_claim", server_default="aud")
    allow_additional_audiences: Mapped[bool] = column("allow_additional_audiences", server_default=false())
    allow_missing_kid: Mapped[bool] = column("allow_missing_kid", server_default=false())
    required_typ: Mapped[str | None] = column("required_typ")
    claim_conditions: Mapped[list[dict[str, Any]] | None] = column("claim_conditions")
    # Both are kept when the user or group is deleted, so that administrators see that the owner is gone.
    owner: Mapped[str | None] = column("owner", is_stored_loose=True)
    owner_group: Mapped[str | None] = column("owner_group", is_stored_loose=True)
    review_date: Mapped[date | None] = column("review_date")

    access_token_lifespan_seconds: Mapped[int] = column("access_token_lifespan_seconds")
    issue_refresh_tokens: Mapped[bool] = column("issue_refresh_tokens", server_default=false())
    refresh_token_lifespan_seconds: Mapped[int] = column("refresh_token_lifespan_seconds", server_default="8640000")
    clock_skew_seconds: Mapped[int] = column("clock_skew_seconds")
    max_assertion_lifetime_seconds: Mapped[int] = column("max_assertion_lifetime_seconds")
    jwks_cache_lifespan_minutes: Mapped[int] = column("jwks_cache_lifespan_minutes")
    token_format: Mapped[str] = column("token_format")
    scope_restriction: Mapped[bool] = column("scope_restriction", server_default=true())
    enforce_token_restriction: Mapped[bool] = column("enforce_token_restriction", server_default=false())
    creations_per_hour: Mapped[int | None] = column("creations_per_hour")
    creations_per_day: Mapped[int | None] = column("creations_per_day")
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
