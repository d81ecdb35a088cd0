"""The change history of records that have their own forms: who changed which field, and when."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysAudit
from changegate.models.base import Record, new_ordered_sys_id, utc_now

# The old and the new value of a field as text, without secrets and keys.
Texts = tuple[str, str]
CHANGED_BENEATH = "{} (changed)"


def note_changes(record: Record, changes: Mapping[str, Texts], *, by: str) -> None:
    """Write a row for each changed field of a record whose `sys_mod_count` already includes the update."""
    now, table = utc_now(), record.__tablename__
    rows = [
        {
            "sys_id": new_ordered_sys_id(),
            "tablename": table,
            "documentkey": record.sys_id,
            "record_checkpoint": record.sys_mod_count,
            "fieldname": name,
            "user": by,
            "oldvalue": old or None,
            "newvalue": (CHANGED_BENEATH.format(new).strip() if old == new else new) or None,
            "sys_created_on": now,
            "sys_created_by": by,
            "sys_updated_on": now,
            "sys_updated_by": by,
            "sys_mod_count": 0,
        }
        for name, (old, new) in changes.items()
    ]
    if rows:
        connection().execute(insert(SysAudit), rows)


def list_changes_since(record: Record, update_count: int) -> Sequence[SysAudit]:
    """Return the changes of a record that were made after its `sys_mod_count` was `update_count`, in order."""
    statement = select(SysAudit).where(
        SysAudit.tablename == record.__tablename__,
        SysAudit.documentkey == record.sys_id,
        SysAudit.record_checkpoint > update_count,
    )
    return db.session.execute(statement.order_by(SysAudit.record_checkpoint, SysAudit.sys_id)).scalars().all()


def last_change(record: Record) -> str:
    """Return who changed a record last, and in parentheses the fields if they were noted."""
    fields = [row.fieldname for row in list_changes_since(record, record.sys_mod_count - 1)]
    return f"{record.sys_updated_by} ({', '.join(fields)})" if fields else record.sys_updated_by
