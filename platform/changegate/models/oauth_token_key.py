"""Keys that sign Changegate's access tokens in JWT format."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, integer, text


class OAuthTokenKey(Base):
    """An ES256 key; `kid` is its thumbprint (RFC 7638). The active key with the highest `number` signs.

    The private key is encrypted, and deleted once the key no longer signs.
    """

    __tablename__ = "oauth_token_key"

    kid: Mapped[str] = mapped_column(String(43), primary_key=True)
    # Unique: if several processes create the next key concurrently, only one succeeds.
    number: Mapped[int] = integer("Number", unique=True)
    private_key: Mapped[str | None] = text("Private key", is_secret=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = instant("Created")
    active_from: Mapped[datetime] = instant("Signs from")
    retired_at: Mapped[datetime | None] = instant("Retired")
    blocked_at: Mapped[datetime | None] = instant("Blocked")
