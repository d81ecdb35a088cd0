"""Idempotency keys: creations that are already done, with their records."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, string


class IdempotencyKey(Base):
    """The key of a caller and table, stored as a hash, with the hash of the request body."""

    __tablename__ = "sys_idempotency_key"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    body_hash: Mapped[str] = string("Body hash", 64)
    table: Mapped[str] = string("Table", 80)
    record: Mapped[str | None] = string("Record", 32)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
