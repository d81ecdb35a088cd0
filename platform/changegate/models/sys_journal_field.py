"""Journals: what people wrote about a record, entry by entry."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, string, text


class SysJournalField(Record, Base):
    """One entry of one journal field of one record; never changed."""

    __tablename__ = "sys_journal_field"
    __table_args__ = (Index(None, "element_id", "element"),)

    name: Mapped[str] = string("Table", 80)
    element: Mapped[str] = string("Element", 80)
    element_id: Mapped[str] = string("Element ID", 32)
    value: Mapped[str] = text("Value", 65536)
