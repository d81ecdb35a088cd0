"""The cached key set of an integration, and the state of its fetches."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, integer, string, text


class JwksCache(Base):
    """A row for each integration; the cached document survives restarts and is shared by all processes."""

    __tablename__ = "jwks_cache"

    entity_id: Mapped[str] = mapped_column(
        String(32), ForeignKey("oauth_entity.sys_id", ondelete="CASCADE"), primary_key=True
    )
    url: Mapped[str] = string("JWKS URL", 2048)
    document: Mapped[bytes | None] = mapped_column(LargeBinary)
    document_sha256: Mapped[str | None] = string("Document digest", 64)
    etag: Mapped[str | None] = string("ETag", 1000)
    last_modified: Mapped[str | None] = string("Last modified", 100)
    fetched_at: Mapped[datetime | None] = instant("Fetched")
    fresh_until: Mapped[datetime | None] = instant("Fresh until")
    # The last failure; `failures` is 0 if a fetch has succeeded since.
    failed_at: Mapped[datetime | None] = instant("Failed")
    failures: Mapped[int] = integer("Failures in a row", default=0)
    error: Mapped[str | None] = text("Error")
    http_status: Mapped[int | None] = integer("HTTP status")
    unknown_kid_fetch_at: Mapped[datetime | None] = instant("Last fetch for an unknown kid")
    fetch_lease_until: Mapped[datetime | None] = instant("Fetch lease until")
