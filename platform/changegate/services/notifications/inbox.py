"""The notifications of a user in the console."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, func, select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import Notification
from changegate.services.access.caller import Caller
from changegate.services.jobs.cleanups import deletes
from changegate.services.notifications.kinds import SENTENCES
from changegate.services.notifications.subjects import title_of

NOTIFICATIONS_KEPT_FOR = timedelta(days=60)
_ROWS = Notification.__table__
_IS_UNREAD = _ROWS.c.read_at.is_(None)
_UNREAD = Prepared(
    select(func.count().label("how_many")).where(_ROWS.c["user"] == parameter("user", String), _IS_UNREAD)
)


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A notification as its user sees it. Without `title`, the user may no longer read the record."""

    sys_id: str
    sentence: str
    title: str | None
    detail: str | None
    author: str | None
    table: str
    record: str
    created_at: datetime
    is_read: bool


def count_unread(user: str) -> int:
    """Return the number of unread notifications of a user. One small statement, also for error pages."""
    row = _UNREAD.first({"user": user})
    return int(row.how_many) if row else 0


def list_notifications(caller: Caller, *, limit: int, before: str = "") -> Sequence[InboxEntry]:
    """Return notifications of the caller, newest first, or those that are older than the one `before`."""
    is_shown = (_ROWS.c["user"] == caller.sys_id, *((_ROWS.c.sys_id < before,) if before else ()))
    found = select(_ROWS).where(*is_shown).order_by(_ROWS.c.sys_id.desc()).limit(limit)
    return [_entry(caller, row) for row in connection().execute(found).all()]


def mark_read(user: str, sys_id: str | None = None) -> None:
    """Mark a notification of a user as read, or all of them."""
    chosen = () if sys_id is None else (_ROWS.c.sys_id == sys_id,)
    connection().execute(update(_ROWS).where(_ROWS.c["user"] == user, _IS_UNREAD, *chosen).values(read_at=now()))


purge_notifications = deletes(
    "notifications.purge",
    "old notifications",
    Notification.sys_id,
    lambda at: Notification.created_at < at - NOTIFICATIONS_KEPT_FOR,
)


def _entry(caller: Caller, row: Any) -> InboxEntry:
    title = title_of(caller, row.table_name, row.record)
    return InboxEntry(
        sys_id=row.sys_id,
        sentence=SENTENCES[row.event],
        title=title,
        detail=None if title is None else row.detail,
        author=None if title is None else row.author,
        table=row.table_name,
        record=row.record,
        created_at=row.created_at,
        is_read=row.read_at is not None,
    )
