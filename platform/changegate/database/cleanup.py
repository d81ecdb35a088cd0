"""Deletion of rows in batches, so that other writers never wait for long."""

import time
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from changegate.database import connection

ROWS_AT_ONCE = 1000
# A process that waits for SQLite's write lock looks for it at least this often.
LONGEST_REST_SECONDS = 0.1


def rest_after(begun: float) -> float:
    """Return the seconds to wait after a batch that began at an instant of the monotonic clock: as long as it took.

    Without a pause, the next batch would take SQLite's write lock before any other process looks for it.
    """
    return min(time.monotonic() - begun, LONGEST_REST_SECONDS)


def delete_batch(key: InstrumentedAttribute[Any], *clauses: ColumnElement[bool]) -> bool:
    """Delete up to `ROWS_AT_ONCE` rows by their primary key; return whether there may be more.

    Rows that another transaction has locked are skipped.
    """
    chosen = select(key).where(*clauses).limit(ROWS_AT_ONCE).with_for_update(skip_locked=True)
    return connection().execute(delete(key.class_).where(key.in_(chosen))).rowcount == ROWS_AT_ONCE
