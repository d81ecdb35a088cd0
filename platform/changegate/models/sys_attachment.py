"""Attachments: the metadata of files and, in a second table, their bytes."""

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.models.base import Record, boolean, choice, integer, string

ATTACHMENT_STATES = {"available": "Available", "pending": "Pending"}


class SysAttachment(Record, Base):
    """The metadata of a file of a record of any table."""

    __tablename__ = "sys_attachment"
    __table_args__ = (Index(None, "table_name", "table_sys_id"),)

    file_name: Mapped[str] = string("File name", 255)
    content_type: Mapped[str] = string("Content type", 255)
    size_bytes: Mapped[int] = integer("Size bytes")
    size_compressed: Mapped[int] = integer("Size compressed")
    compressed: Mapped[bool] = boolean("Compressed", default=False)
    hash: Mapped[str] = string("Hash", 64)
    chunk_size_bytes: Mapped[int] = integer("Chunk size bytes")
    state: Mapped[str] = choice("State", ATTACHMENT_STATES, default="available")
    table_name: Mapped[str] = string("Table name", 80)
    table_sys_id: Mapped[str] = string("Table sys ID", 32)
    image_height: Mapped[int | None] = integer("Image height")
    image_width: Mapped[int | None] = integer("Image width")
    average_image_color: Mapped[str | None] = string("Average image color", 40)
    encryption_context: Mapped[str | None] = string("Encryption context", 32)


class SysAttachmentDoc(Base):
    """A piece of a file, in a separate table because the metadata is read far more often."""

    __tablename__ = "sys_attachment_doc"

    attachment: Mapped[str] = mapped_column(
        String(32), ForeignKey("sys_attachment.sys_id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
