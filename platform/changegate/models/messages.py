"""Messages to people: notifications in the console, and mail."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import (
    SYS_ID_LENGTH,
    Record,
    choice,
    instant,
    integer,
    new_ordered_sys_id,
    reference,
    string,
    text,
)

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
MAX_DETAIL = 1000


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


class Notification(Base):
    """What happened to a record, for one user. Whether the user may read the record is checked when it is shown.

    There is one notification for each user and key, so that repeated findings notify only once.
    """

    __tablename__ = "notification"

    sys_id: Mapped[str] = mapped_column(String(SYS_ID_LENGTH), primary_key=True, default=new_ordered_sys_id)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE")
    event: Mapped[str] = string("Event", 40)
    table_name: Mapped[str] = string("Table", 80)
    record: Mapped[str] = string("Record", SYS_ID_LENGTH)
    author: Mapped[str | None] = string("By", 151)
    detail: Mapped[str | None] = string("Detail", MAX_DETAIL)
    created_at: Mapped[datetime] = instant("Created")
    read_at: Mapped[datetime | None] = instant("Read")
    notification_key: Mapped[str | None] = string("Key", 255)


_NOTIFICATIONS = Notification.__table__.c
Index("ix_notification_user_sys_id", _NOTIFICATIONS["user"], _NOTIFICATIONS.sys_id)
Index("ix_notification_created_at", _NOTIFICATIONS.created_at)
Index("uq_notification_notification_key_user", _NOTIFICATIONS.notification_key, _NOTIFICATIONS["user"], unique=True)
_IS_UNREAD = _NOTIFICATIONS.read_at.is_(None)
Index("ix_notification_unread", _NOTIFICATIONS["user"], sqlite_where=_IS_UNREAD, postgresql_where=_IS_UNREAD)
