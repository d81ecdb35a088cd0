"""Integrations that an administrator has begun to set up and not saved yet."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import SYS_ID_LENGTH, instant, new_sys_id, reference, text


class IntegrationDraft(Base):
    """A draft of a user; `content` is JSON: the recognition of the pasted text without the text, and the answers."""

    __tablename__ = "integration_draft"

    sys_id: Mapped[str] = mapped_column(String(SYS_ID_LENGTH), primary_key=True, default=new_sys_id)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    content: Mapped[str] = text("Content", 200_000)
    created_at: Mapped[datetime] = instant("Created")
    expires_at: Mapped[datetime] = instant("Expires", index=True)
