"""Preferences of users and their saved filters."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, reference, string, text


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
