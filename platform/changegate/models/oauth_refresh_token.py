"""Refresh tokens: what one buys access tokens with until it ends."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import boolean, instant, integer, reference, string


class OAuthRefreshToken(Base):
    """A refresh token, known by the exchange that issued it; never the token itself.

    What it rests on besides its integration is kept with it: the password that was given for it, as a mark that changes
    with the password and tells nothing about it.
    """

    __tablename__ = "oauth_refresh_token"
    __table_args__ = (Index(None, "entity", "user"), {"sqlite_with_rowid": False})

    correlation_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    entity: Mapped[str] = reference("Integration", "oauth_entity", ondelete="CASCADE")
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    token_generation: Mapped[int] = integer("Token generation")
    password_mark: Mapped[str] = string("Mark of the password", 64, is_secret=True)
    scope: Mapped[str] = string("Scope", MAX_SCOPES_LENGTH)
    has_all_scopes: Mapped[bool] = boolean("All scopes of its integration")
    issued_at: Mapped[datetime] = instant("Issued")
    expires_at: Mapped[datetime] = instant("Expires")
    last_used_at: Mapped[datetime | None] = instant("Last used")
    revoked_at: Mapped[datetime | None] = instant("Revoked")
