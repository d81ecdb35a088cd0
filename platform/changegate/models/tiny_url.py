"""Tiny URLs: long queries stored under short tokens."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, integer, reference, string, text


class TinyUrl(Base):
    """A path and its query, stored for a user and, if called with a token, an integration; `size` is in characters."""

    __tablename__ = "sys_tiny_url"

    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    entity: Mapped[str | None] = reference("Integration", "oauth_entity", is_stored_loose=True)
    size: Mapped[int] = integer("Size", server_default="0")
    path: Mapped[str] = string("Path", 255)
    query: Mapped[str] = text("Query", 65536)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
