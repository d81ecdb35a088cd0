"""What users keep for themselves: preferences, saved filters, calendar feeds, and delegations."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import Record, boolean, instant, reference, string, text


class SysUserPreference(Record, Base):
    """A setting of one user, such as the columns of a list."""

    __tablename__ = "sys_user_preference"
    __table_args__ = (UniqueConstraint("user", "name"),)

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE")
    name: Mapped[str] = string("Name", 100)
    value: Mapped[str | None] = text("Value")


class SysFilter(Record, Base):
    """A saved filter of a list; one without a user is shared by all."""

    __tablename__ = "sys_filter"

    title: Mapped[str] = string("Title", 100)
    table: Mapped[str] = string("Table", 80, index=True)
    filter: Mapped[str] = text("Filter")
    user: Mapped[str | None] = reference("User", "sys_user", ondelete="CASCADE", index=True)


class CalendarFeed(Base):
    """The feed of a user, found by the hash of the secret in its address; deleting it revokes the address."""

    __tablename__ = "calendar_feed"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    name: Mapped[str] = string("Name", 100)
    # An encoded query of change requests.
    query: Mapped[str] = text("Query")
    created_at: Mapped[datetime] = instant("Created")


class SysUserDelegate(Record, Base):
    """A delegation from `user` to `delegate`; `ends` is the first instant at which it no longer applies.

    With `approval`, it hands over this approval alone.
    """

    __tablename__ = "sys_user_delegate"

    user: Mapped[str] = reference("User", "sys_user", ondelete="CASCADE", index=True)
    delegate: Mapped[str] = reference("Delegate", "sys_user", ondelete="CASCADE", index=True)
    starts: Mapped[datetime] = instant("Starts")
    ends: Mapped[datetime] = instant("Ends")
    approvals: Mapped[bool] = boolean("Approvals", default=True)
    # Loose: an approval that was added by hand can be deleted.
    approval: Mapped[str | None] = reference("Only this approval", "sysapproval_approver", is_stored_loose=True)
