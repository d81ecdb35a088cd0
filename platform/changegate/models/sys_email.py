"""Mail: what is sent to people, and whether it was sent."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import Record, choice, instant, integer, string, text

MAIL_READY, MAIL_SENDING, MAIL_SENT, MAIL_UNCERTAIN, MAIL_FAILED = "ready", "sending", "sent", "uncertain", "error"
MAIL_STATES = {
    MAIL_READY: "Ready",
    MAIL_SENDING: "Sending",
    MAIL_SENT: "Sent",
    MAIL_UNCERTAIN: "Uncertain",
    MAIL_FAILED: "Error",
}
MAX_SUBJECT = 255
MAX_MAIL_ERROR = 255


class SysEmail(Record, Base):
    """A mail. The body of one with a secret is sealed, and removed once the mail is no longer to be sent."""

    __tablename__ = "sys_email"
    __table_args__ = (Index(None, "state", "send_at"),)

    recipients: Mapped[str] = string("Recipients", 255)
    subject: Mapped[str] = string("Subject", MAX_SUBJECT)
    body_text: Mapped[str | None] = text("Body text", 65536)
    state: Mapped[str] = choice("State", MAIL_STATES, default=MAIL_READY)
    error_string: Mapped[str | None] = string("Error string", MAX_MAIL_ERROR)
    target_table: Mapped[str | None] = string("Target table", 80)
    instance: Mapped[str | None] = string("Target", 32)
    attempts: Mapped[int] = integer("Attempts", default=0)
    send_at: Mapped[datetime] = instant("Next attempt")
    sealed_body: Mapped[str | None] = mapped_column(Text)
    mail_key: Mapped[str | None] = mapped_column(String(255), unique=True)


Index("ix_sys_email_sys_created_on", SysEmail.__table__.c.sys_created_on)
