"""Refresh tokens, which are exchanged for access tokens until they expire."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.auth_scope import MAX_SCOPES_LENGTH
from changegate.models.base import boolean, instant, integer, reference, string


class OAuthRefreshToken(Base):
    """A refresh token, identified by the exchange that issued it; never the token itself.

    It is valid only as long as the password that it was issued for. `password_mark` changes with the password and
    reveals nothing about it.
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
