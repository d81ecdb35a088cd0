"""How people sign in: sessions of the console, links for a password, and identity providers for single sign-on."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import Record, boolean, instant, reference, string, text
from changegate.models.integration_choices import MAX_ISSUER_LENGTH

PROVIDERS, MAPPINGS = "oidc_provider_configuration", "oidc_claim_mapping"


class SysUserSession(Base):
    """A session of a user in a browser, identified by the hash of a token in its cookie; deleted at the end."""

    __tablename__ = "sys_user_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
    # The identity provider that the user has signed in with, or None for a password.
    provider: Mapped[str | None] = reference("Identity provider", PROVIDERS, is_stored_loose=True)


class AccountLink(Base):
    """A link that sets a password or confirms an email, identified by the hash of its secret; deleted when used."""

    __tablename__ = "account_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    purpose: Mapped[str] = string("Purpose", 20)
    # The address that the link was sent to, which its use confirms; none if an administrator handed the link over.
    email: Mapped[str | None] = string("Email", 100)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)


class OidcProviderConfiguration(Record, Base):
    """An OpenID provider that people sign in with. Its endpoints and keys are read from the issuer's metadata."""

    __tablename__ = PROVIDERS

    name: Mapped[str] = string("Name", 100, unique=True, description="The name on the login page: Log in with …")
    alias: Mapped[str] = string(
        "Alias",
        40,
        unique=True,
        description="The part of the redirect URI: lower-case letters, digits, and hyphens.",
        example="example-idp",
    )
    issuer: Mapped[str] = string("Issuer", MAX_ISSUER_LENGTH, example="https://idp.example.com")
    client_id: Mapped[str] = string("Client ID", 255)
    # Encrypted; a provider without one is a public client, which PKCE protects.
    client_secret: Mapped[str | None] = text("Client secret", is_secret=True)
    scopes: Mapped[str] = string("Scopes", 255, default="openid profile email")
    active: Mapped[bool] = boolean("Active", default=True)
    create_users: Mapped[bool] = boolean("Create users", default=False)
    user_name_claim: Mapped[str] = string("User ID claim", 100, default="preferred_username")
    name_claim: Mapped[str] = string("Name claim", 100, default="name")
    email_claim: Mapped[str] = string("Email claim", 100, default="email")


class OidcClaimMapping(Record, Base):
    """A group or a role for the users whose ID token has a value in a claim."""

    __tablename__ = MAPPINGS

    provider: Mapped[str] = reference("Identity provider", PROVIDERS, ondelete="CASCADE", index=True)
    claim: Mapped[str] = string("Claim", 100)
    value: Mapped[str] = string("Value", 255)
    group: Mapped[str | None] = reference("Group", "sys_user_group", ondelete="CASCADE")
    role: Mapped[str | None] = reference("Role", "sys_user_role", ondelete="CASCADE")


class OidcGrant(Base):
    """A membership or role that a claim mapping has given to a user, and that only a mapping takes away."""

    __tablename__ = "oidc_grant"

    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    # The sys_id of the membership or of the assignment of the role.
    record: Mapped[str] = mapped_column(String(32), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
