"""The event log as a whole, read once: who used what, and how often."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, literal_column, select

from changegate.database import connection
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.hygiene.checks_of_use import REPORTED_FOR

LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class UseOfToken:
    """Accepted exchanges of one integration that gave tokens for one user, by one algorithm of the assertion.

    `lately` are those of the last 7 days, `refreshed` the ones among them that were bought with a refresh token;
    `reported` are those of the last 14, `would_refuse` the ones among them that a condition which only reports was not
    met by.
    """

    entity: str
    user: str | None
    algorithm: str | None
    latest: str
    exchanges: int
    lately: int
    refreshed: int
    reported: int
    would_refuse: int

    @property
    def latest_at(self) -> datetime:
        """Return when the latest one was."""
        return instant_of(self.latest)


def instant_of(correlation_id: str) -> datetime:
    """Return the instant that a correlation id begins with."""
    return datetime.fromtimestamp(int(correlation_id[:12], 16) / 1000, UTC)


def read_uses(at: datetime) -> list[UseOfToken]:
    """Return how each integration was used, as far as the log goes back, in one statement."""
    exchange = OAuthExchange
    is_late = exchange.correlation_id >= earliest_correlation_id(at - LATELY)
    is_reported = exchange.correlation_id >= earliest_correlation_id(at - REPORTED_FOR)
    # Else SQLite follows the index that begins with the integration and looks up each row: four times slower.
    entity = func.coalesce(exchange.entity, literal_column("''"))
    columns: tuple[Any, ...] = (entity, exchange.user, exchange.algorithm)
    counted: tuple[Any, ...] = (
        func.max(exchange.correlation_id),
        func.count(),
        func.count(case((is_late, 1))),
        # A password that buys both tokens leaves a row that names itself.
        func.count(case((and_(is_late, exchange.refresh_token != exchange.correlation_id), 1))),
        func.count(case((is_reported, 1))),
        func.count(case((and_(is_reported, exchange.would_refuse.is_(True)), 1))),
    )
    found = connection().execute(select(*columns, *counted).where(exchange.is_accepted).group_by(*columns)).all()
    return [UseOfToken(*row) for row in found if row[0]]


def read_claims(correlation_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what was claimed in some exchanges, by the integration that they were of."""
    if not correlation_ids:
        return {}
    claimed = select(OAuthExchange.entity, OAuthExchange.claims)
    found = connection().execute(claimed.where(OAuthExchange.correlation_id.in_(correlation_ids))).all()
    return {row.entity: row.claims for row in found if isinstance(row.claims, dict)}
