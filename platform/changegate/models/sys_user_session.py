"""Sessions of the console."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant, reference


class SysUserSession(Base):
    """A session of a user in a browser, identified by the hash of a token in its cookie; deleted at the end."""

    __tablename__ = "sys_user_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
