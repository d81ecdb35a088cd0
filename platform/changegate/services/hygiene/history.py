"""Exchanges over time: accepted, refused, and would have been refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select

from changegate.database import connection
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id

HOURS, DAYS = 24, 30
MOST_REASONS = 10


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day, UTC, from `starts_at` on; `would_refuse` is a part of `accepted`."""

    starts_at: datetime
    accepted: int = 0
    refused: int = 0
    would_refuse: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Periods one after the other, the one that is not over last; `reasons` of refusals, the most frequent first."""

    periods: list[Period]
    reasons: list[tuple[str, int]]


def exchanges_by_hour(at: datetime) -> History:
    """Return the exchanges of this hour and the 23 before it."""
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    return _count([this_hour - timedelta(hours=number) for number in reversed(range(HOURS))])


def exchanges_by_day(at: datetime) -> History:
    """Return the exchanges of today and the 29 days before it, by UTC's days."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return _count([today - timedelta(days=number) for number in reversed(range(DAYS))])


def _count(starts: Sequence[datetime]) -> History:
    """Count in one statement, over the range of the primary key that begins with the first start."""
    exchange = OAuthExchange
    bounds = [earliest_correlation_id(start) for start in starts]
    inner = (
        select(
            _number_of(exchange.__table__.c.correlation_id, bounds, 0, len(bounds)).label("period"),
            *(exchange.is_accepted, exchange.would_refuse, exchange.reason),
        )
        .where(exchange.correlation_id >= bounds[0], exchange.request.is_(None))
        .subquery()
    )
    columns = (inner.c.period, inner.c.is_accepted, inner.c.would_refuse, inner.c.reason)
    rows = connection().execute(select(*columns, func.count().label("number")).group_by(*columns)).all()
    reasons = Counter[str]()
    for row in rows:
        if not row.is_accepted:
            reasons[row.reason or "unknown"] += row.number
    periods = [_period(start, [row for row in rows if row.period == place]) for place, start in enumerate(starts)]
    return History(periods, sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS])


def _number_of(value: ColumnElement[str], bounds: Sequence[str], first: int, last: int) -> ColumnElement[Any]:
    """Return the expression for the place of the last bound up to a value, found by halves: five comparisons of 30."""
    if last - first == 1:
        return literal(first)
    middle = (first + last) // 2
    return case(
        (value < bounds[middle], _number_of(value, bounds, first, middle)),
        else_=_number_of(value, bounds, middle, last),
    )


def _period(start: datetime, rows: Sequence[Any]) -> Period:
    return Period(
        starts_at=start,
        accepted=sum(row.number for row in rows if row.is_accepted),
        refused=sum(row.number for row in rows if not row.is_accepted),
        would_refuse=sum(row.number for row in rows if row.is_accepted and row.would_refuse),
    )
