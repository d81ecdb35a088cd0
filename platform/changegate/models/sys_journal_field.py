"""Journal entries, such as comments and work notes."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, string, text


class SysJournalField(Record, Base):
    """An entry of a journal field of a record; rows are never updated."""

    __tablename__ = "sys_journal_field"
    __table_args__ = (Index(None, "element_id", "element"),)

    name: Mapped[str] = string("Table", 80)
    element: Mapped[str] = string("Element", 80)
    element_id: Mapped[str] = string("Element ID", 32)
    value: Mapped[str] = text("Value", 65536)
