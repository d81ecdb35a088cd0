"""The exchanges of the event log: who used what, and how often."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from changegate.database import connection
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id, instant_of
from changegate.services.hygiene.checks_of_use import REPORTED_FOR
from changegate.services.oauth.exchange_figures import exchange_numbers

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
    lately: int
    refreshed: int
    reported: int
    would_refuse: int

    @property
    def latest_at(self) -> datetime:
        """Return when the latest one was."""
        return instant_of(self.latest)


def read_uses(at: datetime) -> list[UseOfToken]:
    """Return how each integration was used, as far as the log goes back."""
    late, reported = at - LATELY, at - REPORTED_FOR
    numbers = exchange_numbers(at, late, reported).c

    def since(begin: datetime, number: ColumnElement[int]) -> ColumnElement[int]:
        return func.sum(case((numbers.since >= earliest_correlation_id(begin), number), else_=0))

    columns = (numbers.entity, numbers.user, numbers.algorithm)
    counted = (
        func.max(numbers.latest),
        *(since(late, numbers.exchanges), since(late, numbers.refreshed)),
        *(since(reported, numbers.exchanges), since(reported, numbers.would_refuse)),
    )
    accepted = (numbers.is_accepted, numbers.entity.is_not(None))
    found = connection().execute(select(*columns, *counted).where(*accepted).group_by(*columns)).all()
    return [UseOfToken(*row) for row in found]


def read_claims(correlation_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what was claimed in some exchanges, by the integration that they were of."""
    if not correlation_ids:
        return {}
    claimed = select(OAuthExchange.entity, OAuthExchange.claims)
    found = connection().execute(claimed.where(OAuthExchange.correlation_id.in_(correlation_ids))).all()
    return {row.entity: row.claims for row in found if isinstance(row.claims, dict)}
