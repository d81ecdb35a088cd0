"""Choices: the values of a field and their labels."""

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, boolean, integer, string


class SysChoice(Record, Base):
    """A choice of a field; an inactive choice is still read, but can no longer be chosen."""

    __tablename__ = "sys_choice"
    __table_args__ = (UniqueConstraint("name", "element", "language", "value"),)

    name: Mapped[str] = string("Table", 80)
    element: Mapped[str] = string("Element", 80)
    value: Mapped[str] = string("Value", 40)
    label: Mapped[str] = string("Label", 255)
    language: Mapped[str] = string("Language", 3, default="en")
    inactive: Mapped[bool] = boolean("Inactive", default=False)
    sequence: Mapped[int | None] = integer("Sequence")
