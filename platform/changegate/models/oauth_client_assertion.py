"""Accepted client assertions, stored against replay."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant


class OAuthClientAssertion(Base):
    """The replay key of a client assertion, kept until well after its expiry; never the assertion itself."""

    __tablename__ = "oauth_client_assertion"
    __table_args__ = ({"sqlite_with_rowid": False},)

    replay_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = instant("Expires", index=True)
