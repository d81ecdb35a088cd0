"""The number of exchanges over time: accepted, refused, and accepted ones that would have been refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from changegate.database import connection
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.oauth.exchange_figures import exchange_numbers, floor_of

HOURS, DAYS = 24, 30
MOST_REASONS = 10


@dataclass(frozen=True, slots=True)
class PeriodCounts:
    """An hour or a day (UTC) from `starts_at` on; `accepted` includes `would_refuse`."""

    starts_at: datetime
    accepted: int = 0
    refused: int = 0
    would_refuse: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Consecutive periods, the current one last; `reasons` are those of refusals, most frequent first."""

    periods: list[PeriodCounts]
    reasons: list[tuple[str, int]]


def exchanges_by_hour(at: datetime) -> History:
    """Count the exchanges of the current hour and the 23 hours before it."""
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    return _count(at, [this_hour - timedelta(hours=number) for number in reversed(range(HOURS))])


def exchanges_by_day(at: datetime) -> History:
    """Count the exchanges of today and the 29 days before it, by days in UTC."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return _count(at, [today - timedelta(days=number) for number in reversed(range(DAYS))])


def _count(at: datetime, starts: Sequence[datetime]) -> History:
    """Count the exchanges since the first start, by period and by reason."""
    bounds = [earliest_correlation_id(start) for start in starts]
    numbers = exchange_numbers(at, starts[0]).c
    period = floor_of(numbers.since, bounds).label("period")
    columns = (numbers.is_accepted, numbers.reason, numbers.exchanges, numbers.would_refuse)
    inner = select(period, *columns).where(numbers.since >= bounds[0]).subquery().c
    alike = (inner.period, inner.is_accepted, inner.reason)
    sums = (func.sum(inner.exchanges).label("number"), func.sum(inner.would_refuse).label("would_refuse"))
    rows = connection().execute(select(*alike, *sums).group_by(*alike)).all()
    reasons = Counter[str]()
    for row in rows:
        if not row.is_accepted:
            reasons[row.reason or "unknown"] += row.number
    pairs = zip(starts, bounds, strict=True)
    periods = [_period(start, [row for row in rows if row.period == bound]) for start, bound in pairs]
    return History(periods, sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_REASONS])


def _period(start: datetime, rows: Sequence[Any]) -> PeriodCounts:
    return PeriodCounts(
        starts_at=start,
        accepted=sum(row.number for row in rows if row.is_accepted),
        refused=sum(row.number for row in rows if not row.is_accepted),
        would_refuse=sum(row.would_refuse for row in rows if row.is_accepted),
    )
