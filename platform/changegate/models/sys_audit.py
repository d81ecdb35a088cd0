"""The audit trail: user, time, record, field, old value, and new value of each change."""

from sqlalchemy import Index, func
from sqlalchemy import text as text_clause
from sqlalchemy.orm import Mapped

from changegate.database import Base
from changegate.models.base import Record, integer, string, text

# The name of the field in the row of a deleted record; its old value is the name of the record.
DELETED = "DELETED"
# The condition of a partial index, which the databases use only for queries that have the same words.
IS_USER_NAME = text_clause("tablename = 'sys_user' AND fieldname = 'user_name'")


class SysAudit(Record, Base):
    """A change of a field; rows are never updated."""

    __tablename__ = "sys_audit"
    __table_args__ = (Index(None, "tablename", "documentkey"),)

    tablename: Mapped[str] = string("Table name", 80)
    fieldname: Mapped[str] = string("Field name", 80)
    documentkey: Mapped[str] = string("Document key", 32)
    # The sys_mod_count of the record after the change.
    record_checkpoint: Mapped[int | None] = integer("Record checkpoint")
    user: Mapped[str] = string("User", 40)
    oldvalue: Mapped[str | None] = text("Old value", 65536)
    newvalue: Mapped[str | None] = text("New value", 65536)


# For finding the users who had a user ID.
Index(
    "ix_sys_audit_former_user_name",
    func.lower(SysAudit.__table__.c["oldvalue"]),
    sqlite_where=IS_USER_NAME,
    postgresql_where=IS_USER_NAME,
)
