"""Sessions of the console."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, reference


class SysUserSession(Base):
    """A browser in which a user has signed in, known by the hash of a token in its cookie; deleted to end it."""

    __tablename__ = "sys_user_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
