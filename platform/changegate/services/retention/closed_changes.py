"""The audit trail and the attachments of changes that were closed long ago, and of their tasks.

The history of a change keeps its moves and its edits of recorded fields, and what was deleted here: names, sizes, and
hashes of the files.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, Select, delete, func, literal, select

from changegate.database import commit, connection
from changegate.database.cleanup import ROWS_AT_ONCE
from changegate.extensions import settings
from changegate.models import SysAttachment, SysAudit, Task
from changegate.services.access.caller import SYSTEM_CALLER
from changegate.services.history.actors import actor_of
from changegate.services.history.chain import append
from changegate.services.jobs.cleanups import cleans_up
from changegate.services.process.changes import lock_change
from changegate.services.process.recording import CHANGE, TASK

FILES_DELETED = "files_deleted"
# They search all audit records and files for those of closed changes. So that they rarely do, they read many rows at
# once, and commit each batch of these.
EVERY = timedelta(days=1)
AUDIT_READ_AT_ONCE = 50 * ROWS_AT_ONCE
FILES_READ_AT_ONCE = 1000
_TASKS = Task.__table__
_CHANGES = Task.__table__.alias("change")


def _audit_rows(at: datetime) -> Select[Any]:
    closed = _closed_before(at, settings().audit_retention_days).subquery()
    of_closed = SysAudit.documentkey == closed.c.record
    return select(SysAudit.sys_id).join(closed, of_closed).where(SysAudit.tablename.in_((CHANGE, TASK)))


def _files(at: datetime) -> Select[Any]:
    days = settings().attachment_retention_days
    closed = _closed_before(at, days).subquery()
    file = SysAttachment
    return (
        select(file.sys_id, file.file_name, file.size_bytes, file.hash, file.table_name, *closed.c)
        .join(closed, file.table_sys_id == closed.c.record)
        # A file may have been added after the change was closed.
        .where(file.table_name.in_((CHANGE, TASK)), file.sys_created_on < at - timedelta(days=days))
    )


def _closed_before(at: datetime, days: int) -> Select[Any]:
    """Return the closed changes, and the tasks of closed changes, as `record` with their `change`; none for 0 days."""
    is_due = _CHANGES.c.closed_at < at - timedelta(days=days) if days else literal(False)
    of_change = _CHANGES.c.sys_id == func.coalesce(_TASKS.c.change_request, _TASKS.c.sys_id)
    return (
        select(_TASKS.c.sys_id.label("record"), _CHANGES.c.sys_id.label("change"))
        .join(_CHANGES, of_change)
        .where(is_due, _CHANGES.c.sys_class_name == CHANGE, ~_CHANGES.c.active)
    )


def _count(rows: Select[Any]) -> int:
    return connection().execute(select(func.count()).select_from(rows.subquery())).scalar_one()


@cleans_up("retention.audit", "audit records of closed changes", lambda at: _count(_audit_rows(at)), every=EVERY)
def delete_audit(at: datetime) -> bool:
    """Delete audit records in batches, and commit each batch; return whether there may be more."""
    # Read before the DELETE: on SQLite, a statement that writes blocks all other writers while it searches.
    due = list(connection().execute(_audit_rows(at).limit(AUDIT_READ_AT_ONCE)).scalars())
    for begin in range(0, len(due), ROWS_AT_ONCE):
        connection().execute(delete(SysAudit).where(SysAudit.sys_id.in_(due[begin : begin + ROWS_AT_ONCE])))
        commit()
    return len(due) == AUDIT_READ_AT_ONCE


@cleans_up("retention.attachments", "attachments of closed changes", lambda at: _count(_files(at)), every=EVERY)
def delete_files(at: datetime) -> bool:
    """Delete attachments, recorded in the history of their changes; return whether there may be more.

    Each change is a transaction of its own: callers who write to a change wait while its files are deleted.
    """
    due = connection().execute(_files(at).order_by("change", SysAttachment.file_name).limit(FILES_READ_AT_ONCE)).all()
    for change, files in groupby(due, attrgetter("change")):
        if lock_change(change) is not None:
            _delete(change, list(files))
        commit()
    return len(due) == FILES_READ_AT_ONCE


def _delete(change: str, files: Iterable[Row[Any]]) -> None:
    """Delete files of a locked change; those that a caller has deleted since are left out of the record."""
    which = [file.sys_id for file in files]
    deleted = delete(SysAttachment).where(SysAttachment.sys_id.in_(which)).returning(SysAttachment.sys_id)
    gone = set(connection().execute(deleted).scalars())
    facts = [
        {
            "file_name": file.file_name,
            "size_bytes": file.size_bytes,
            "hash": file.hash,
            **({} if file.table_name == CHANGE else {TASK: file.record}),
        }
        for file in files
        if file.sys_id in gone
    ]
    if facts:
        append(CHANGE, change, FILES_DELETED, {"files": facts}, actor_of(SYSTEM_CALLER))
