"""Cleanups: repeating jobs that delete old rows in batches. `changegate purge` runs them all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from changegate.database import connection
from changegate.database.cleanup import delete_batch
from changegate.extensions import database_now, now
from changegate.services.jobs.repeating import CLEANUP_INTERVAL, Step, repeating


@dataclass(frozen=True, slots=True)
class Cleanup:
    """A cleanup: what it deletes, the number of rows that are due at a time, and the step that deletes a batch.

    The step returns whether there may be more rows that are due.
    """

    rows: str
    count: Callable[[datetime], int]
    step: Step


CLEANUPS: dict[str, Cleanup] = {}


def cleanup_time() -> datetime:
    """Return by which time rows are due: a server whose clock is ahead of the database's deletes nothing too early."""
    return min(now(), database_now())


def cleans_up(
    kind: str, rows: str, count: Callable[[datetime], int], *, every: timedelta = CLEANUP_INTERVAL
) -> Callable[[Step], Step]:
    """Register the decorated function as the step of a cleanup that begins again `every` so often."""

    def register(step: Step) -> Step:
        CLEANUPS[kind] = Cleanup(rows, count, step)
        repeating(kind, every=every)(lambda _at: step(cleanup_time()))
        return step

    return register


def deletes(
    kind: str, rows: str, key: InstrumentedAttribute[Any], is_due: Callable[[datetime], ColumnElement[bool]]
) -> Step:
    """Return a cleanup that deletes the rows for which a clause is true; `key` is the primary key of their table."""

    def count(at: datetime) -> int:
        return connection().execute(select(func.count()).select_from(key.class_).where(is_due(at))).scalar_one()

    def step(at: datetime) -> bool:
        return delete_batch(key, is_due(at))

    return cleans_up(kind, rows, count)(step)
