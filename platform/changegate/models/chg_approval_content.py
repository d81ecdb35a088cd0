"""The contents of changes that people were asked to approve, each stored once under its hash."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import instant


class ChgApprovalContent(Base):
    """The governed fields of a change as canonical JSON; rows are never updated or deleted."""

    __tablename__ = "chg_approval_content"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = instant("Created")
