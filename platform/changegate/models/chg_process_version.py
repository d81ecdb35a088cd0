"""Versions of the change process: every content that a model, a policy, or another record of the process has had."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, integer, string, text
from changegate.models.chg_history import DIGEST_LENGTH


class ChgProcessVersion(Record, Base):
    """The content of a record of the process from this version on; append-only.

    `number` counts the versions of the whole process. `document` is canonical JSON, or empty if the record was deleted.
    """

    __tablename__ = "chg_process_version"
    __table_args__ = (Index("ix_chg_process_version_subject", "subject_id", "subject_table", "number"),)

    # From 1, without gaps. Unique, so that two writers cannot store the same version.
    number: Mapped[int] = integer("Version of the process", is_read_only=True, unique=True)
    subject_table: Mapped[str] = string("Subject table", 80, is_read_only=True)
    subject_id: Mapped[str] = string("Subject", 32, is_read_only=True)
    name: Mapped[str] = string("Name", 255, is_read_only=True)
    document: Mapped[str | None] = text("Document", 1048576, is_read_only=True)
    digest: Mapped[str] = string("Digest", DIGEST_LENGTH, is_read_only=True)
