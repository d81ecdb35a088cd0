"""The audit trail and the attachments of changes that were closed long ago, and of their tasks.

The history of a change keeps its moves and its edits of recorded fields, and what was deleted here: names, sizes, and
hashes of the files.
"""

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, Select, delete, func, select

from changegate.database import commit, connection
from changegate.database.cleanup import ROWS_AT_ONCE, rest_after
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
# Other writers may hold up each commit. The other jobs of the process wait meanwhile, and the lease of this one runs.
LONGEST_RUN_SECONDS = 10.0
# A statement searches the rows of this many tasks, so that none takes long, however many tasks there are.
TASKS_AT_ONCE = 5_000
_TASKS = Task.__table__
_CHANGES = Task.__table__.alias("change")


def _audit_rows(at: datetime) -> Iterator[Select[Any]]:
    rows = select(SysAudit.sys_id).where(SysAudit.tablename.in_((CHANGE, TASK)))
    return _searches(rows, SysAudit.documentkey, at, settings().audit_retention_days)


def _files(at: datetime) -> Iterator[Select[Any]]:
    days = settings().attachment_retention_days
    file = SysAttachment
    columns = (file.sys_id, file.file_name, file.size_bytes, file.hash, file.table_name)
    owners = (file.table_sys_id.label("record"), _CHANGES.c.sys_id.label("change"))
    # A file may have been added after the change was closed.
    is_due = (file.table_name.in_((CHANGE, TASK)), file.sys_created_on < at - timedelta(days=days))
    return _searches(select(*columns, *owners).where(*is_due), file.table_sys_id, at, days)


def _searches(rows: Select[Any], record: Any, at: datetime, days: int) -> Iterator[Select[Any]]:
    """Yield statements that together find the rows of changes that were closed some days ago; none for 0 days.

    `record` is the column of the change or task that a row is about.
    """
    task = _TASKS.c.sys_id
    is_due = _CHANGES.c.closed_at < at - timedelta(days=days)
    of_closed = (
        rows.join(_TASKS, record == task)
        .join(_CHANGES, _CHANGES.c.sys_id == func.coalesce(_TASKS.c.change_request, task))
        .where(is_due, _CHANGES.c.sys_class_name == CHANGE, ~_CHANGES.c.active)
    )
    begin = "" if days else None
    while begin is not None:
        beyond = select(task).where(task >= begin).order_by(task).offset(TASKS_AT_ONCE).limit(1)
        end = connection().execute(beyond).scalar()
        # Of both columns: PostgreSQL does not conclude one range from the other.
        ranges = [column >= begin for column in (task, record)]
        ranges += [column < end for column in (task, record) if end is not None]
        yield of_closed.where(*ranges)
        begin = end


def _count(searches: Iterator[Select[Any]]) -> int:
    counts = (select(func.count()).select_from(rows.subquery()) for rows in searches)
    return sum(connection().execute(count).scalar_one() for count in counts)


def _read(searches: Iterator[Select[Any]], most: int) -> list[Row[Any]]:
    """Return up to `most` rows."""
    due: list[Row[Any]] = []
    for rows in searches:
        due += connection().execute(rows.limit(most - len(due))).all()
        if len(due) == most:
            break
    return due


@cleans_up("retention.audit", "audit records of closed changes", lambda at: _count(_audit_rows(at)), every=EVERY)
def delete_audit(at: datetime) -> bool:
    """Delete audit records in batches, and commit each batch; return whether there may be more."""
    # Read before the DELETE: on SQLite, a statement that writes blocks all other writers while it searches.
    due = [row.sys_id for row in _read(_audit_rows(at), AUDIT_READ_AT_ONCE)]
    end = time.monotonic() + LONGEST_RUN_SECONDS
    for begin in range(0, len(due), ROWS_AT_ONCE):
        begun = time.monotonic()
        connection().execute(delete(SysAudit).where(SysAudit.sys_id.in_(due[begin : begin + ROWS_AT_ONCE])))
        commit()
        if time.monotonic() >= end:
            return True
        time.sleep(rest_after(begun))
    return len(due) == AUDIT_READ_AT_ONCE


@cleans_up("retention.attachments", "attachments of closed changes", lambda at: _count(_files(at)), every=EVERY)
def delete_files(at: datetime) -> bool:
    """Delete attachments, recorded in the history of their changes; return whether there may be more.

    Each change is a transaction of its own: callers who write to a change wait while its files are deleted.
    """
    due = sorted(_read(_files(at), FILES_READ_AT_ONCE), key=attrgetter("change", "file_name"))
    end = time.monotonic() + LONGEST_RUN_SECONDS
    for change, files in groupby(due, attrgetter("change")):
        begun = time.monotonic()
        locked = lock_change(change)
        # It may have been opened again since it was read.
        if locked is not None and not locked["active"]:
            _delete(change, list(files))
        commit()
        if time.monotonic() >= end:
            return True
        time.sleep(rest_after(begun))
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
