"""Keys that the provider of an integration has published over time, and alerts about unusual changes."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import choice, instant, integer, string, text

KEY_ALERTS = {
    "same_kid_other_key": "Same kid, other key",
    "all_keys_replaced": "All keys replaced",
    "private_key_published": "Private key published",
}


class OAuthEntityKey(Base):
    """A key of an integration; without a kid, `kid` is empty, because it is part of the primary key."""

    __tablename__ = "oauth_entity_key"

    entity: Mapped[str] = mapped_column(
        String(32), ForeignKey("oauth_entity.sys_id", ondelete="CASCADE"), primary_key=True
    )
    thumbprint: Mapped[str] = mapped_column(String(43), primary_key=True)
    kid: Mapped[str] = mapped_column(String(256), primary_key=True)
    algorithms: Mapped[str] = string("Algorithms", 100)
    kty: Mapped[str] = string("Key type", 10)
    size: Mapped[int] = integer("Size (bits)")
    first_seen_at: Mapped[datetime] = instant("First seen")
    last_seen_at: Mapped[datetime] = instant("Last seen")
    # The time of the first fetch without the key; None while it is published.
    gone_at: Mapped[datetime | None] = instant("Gone")


class OAuthKeyAlert(Base):
    """An unusual change of a key set, which administrators should check."""

    __tablename__ = "oauth_key_alert"
    __table_args__ = (Index(None, "entity", "happened_at"),)

    alert_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    entity: Mapped[str] = mapped_column(String(32), ForeignKey("oauth_entity.sys_id", ondelete="CASCADE"))
    happened_at: Mapped[datetime] = instant("Time")
    kind: Mapped[str] = choice("Alert", KEY_ALERTS)
    kid: Mapped[str | None] = string("Key ID", 256)
    detail: Mapped[str] = text("Detail")
