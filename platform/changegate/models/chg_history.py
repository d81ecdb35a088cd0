"""The history of changes, policies, and models: hash-chained entries, and the daily signed roots of all chains.

Both tables are append-only: triggers of the database refuse updates and deletions.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from changegate.database import Base
from changegate.database.packed import PackedJSON
from changegate.models.base import Record, instant, integer, string, text

DIGEST_LENGTH = 64


class ChgHistory(Record, Base):
    """An entry of the history of a record, the subject; it refers to no other row, so that it outlives its subject.

    `actor` and `facts` are canonical JSON. `hash` covers all other columns and the hash of the previous entry.
    """

    __tablename__ = "chg_history"
    __table_args__ = (UniqueConstraint("subject_id", "subject_table", "seq"),)

    subject_table: Mapped[str] = string("Subject table", 80, is_read_only=True)
    subject_id: Mapped[str] = string("Subject", 32, is_read_only=True)
    # From 1, without gaps. Unique, so that two writers cannot continue a chain with the same number.
    seq: Mapped[int] = integer("Number in history", is_read_only=True)
    kind: Mapped[str] = string("Kind", 40, is_read_only=True)
    actor: Mapped[str] = text("Actor", 65536, is_read_only=True)
    facts: Mapped[str] = text("Facts", 1048576, is_read_only=True)
    previous_hash: Mapped[str] = string("Previous hash", DIGEST_LENGTH, is_read_only=True)
    hash: Mapped[str] = string("Hash", DIGEST_LENGTH, is_read_only=True)


class ChgHistoryRoot(Base):
    """A signed root: the hash of the last entry of every chain at a moment.

    `heads` are the chains that continued since the previous root. `public_jwk` verifies the signature after the key is
    no longer published.
    """

    __tablename__ = "chg_history_root"

    # From 1, without gaps. Two processes that make the same root conflict here.
    number: Mapped[int] = integer("Number", primary_key=True, autoincrement=False)
    made_at: Mapped[datetime] = instant("Made")
    heads: Mapped[list[list[Any]]] = mapped_column(PackedJSON)
    signed: Mapped[str] = text("Signed root")
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSON)
