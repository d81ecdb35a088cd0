"""The change history of records that have their own forms: who changed which field, and when.

One save has one number, the `sys_mod_count` that it led to. The creation has no rows: its author and time are columns
of the record.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import object_mapper

from changegate.database import connection
from changegate.extensions import db
from changegate.models import SysAudit
from changegate.models.base import Record, new_ordered_sys_id, utc_now
from changegate.models.sys_audit import DELETED

# The old and the new value of a field as text, without secrets and keys.
Texts = tuple[str, str]
CHANGED_BENEATH = "{} (changed)"


def note_changes(record: Record, changes: Mapping[str, Texts], *, by: str) -> None:
    """Write a row for each changed field of a record whose `sys_mod_count` already includes the update."""
    texts = {
        name: (old, CHANGED_BENEATH.format(new).strip() if old == new else new) for name, (old, new) in changes.items()
    }
    _insert(record, record.sys_mod_count, texts, by)


def note_act(record: Record, changes: Mapping[str, Texts], *, by: str) -> None:
    """Write a row for each change of what belongs to a record; the act counts as an update of the record."""
    record.sys_updated_by, record.sys_updated_on = by, utc_now()
    # In SQL, because others may update the record at the same time.
    record.sys_mod_count = type(record).sys_mod_count + 1
    db.session.flush()
    note_changes(record, changes, by=by)


def note_deletion(record: Record, name: str, *, by: str) -> None:
    """Write the row of a record that is about to be deleted, with its name."""
    _insert(record, record.sys_mod_count + 1, {DELETED: (name, "")}, by)


def list_changes_since(record: Record, update_count: int) -> Sequence[SysAudit]:
    """Return the changes of a record that were made after its `sys_mod_count` was `update_count`, in order."""
    return _list_changes(record, SysAudit.record_checkpoint > update_count)


def list_saves(record: Record, limit: int, before: int | None = None) -> list[list[SysAudit]]:
    """Return the changes of each of the latest saves, newest first; `before` is the number of a save."""
    number = SysAudit.record_checkpoint
    is_earlier = () if before is None else (number < before,)
    numbers = select(number).where(*_of(record), *is_earlier).distinct().order_by(number.desc()).limit(limit)
    found = db.session.execute(numbers).scalars().all()
    changes = _list_changes(record, number.in_(found))
    return [[change for change in changes if change.record_checkpoint == save] for save in found]


def label_of(record: Record, name: str) -> str:
    """Return the label of a field in the change history."""
    column = object_mapper(record).columns.get(name)
    entry = None if column is None else column.info.get("entry")
    label: str = entry.label if entry else record.labels.get(name) or name.replace("_", " ").capitalize()
    return label


def last_change(record: Record) -> str:
    """Return who changed a record last, and in parentheses the fields if they were noted."""
    fields = [row.fieldname for row in list_changes_since(record, record.sys_mod_count - 1)]
    return f"{record.sys_updated_by} ({', '.join(fields)})" if fields else record.sys_updated_by


def _of(record: Record) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SysAudit.tablename == record.__tablename__, SysAudit.documentkey == record.sys_id


def _list_changes(record: Record, *conditions: ColumnElement[bool]) -> Sequence[SysAudit]:
    statement = select(SysAudit).where(*_of(record), *conditions)
    return db.session.execute(statement.order_by(SysAudit.record_checkpoint, SysAudit.sys_id)).scalars().all()


def _insert(record: Record, number: int, texts: Mapping[str, Texts], by: str) -> None:
    now, table = utc_now(), record.__tablename__
    rows = [
        {
            "sys_id": new_ordered_sys_id(),
            "tablename": table,
            "documentkey": record.sys_id,
            "record_checkpoint": number,
            "fieldname": name,
            "user": by,
            "oldvalue": old or None,
            "newvalue": new or None,
            "sys_created_on": now,
            "sys_created_by": by,
            "sys_updated_on": now,
            "sys_updated_by": by,
            "sys_mod_count": 0,
        }
        for name, (old, new) in texts.items()
    ]
    if rows:
        connection().execute(insert(SysAudit), rows)
