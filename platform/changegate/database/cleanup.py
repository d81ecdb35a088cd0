"""Deletion of rows in batches, so that other writers never wait for long."""

from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from changegate.database import connection

ROWS_AT_ONCE = 1000


def delete_batch(key: InstrumentedAttribute[Any], *clauses: ColumnElement[bool]) -> bool:
    """Delete up to `ROWS_AT_ONCE` rows by their primary key; return whether there may be more.

    Rows that another transaction has locked are skipped.
    """
    chosen = select(key).where(*clauses).limit(ROWS_AT_ONCE).with_for_update(skip_locked=True)
    return connection().execute(delete(key.class_).where(key.in_(chosen))).rowcount == ROWS_AT_ONCE
