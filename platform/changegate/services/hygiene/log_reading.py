"""The use of integrations: their exchanges in the event log, by user and algorithm."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from changegate.database import connection
from changegate.models import OAuthExchange
from changegate.models.oauth_exchange import earliest_correlation_id, instant_of
from changegate.services.hygiene.checks_of_use import TRIAL_PERIOD
from changegate.services.oauth.exchange_figures import exchange_numbers

LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class UseOfToken:
    """The accepted exchanges of an integration for one user, with one algorithm of the assertion.

    `lately` is the number of the last 7 days, and `refreshed` the number of these by refresh token. `reported` is the
    number of the last 14 days, and `would_refuse` the number of these that failed a report-only condition.
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
        """The time of the latest exchange."""
        return instant_of(self.latest)


def read_uses(at: datetime) -> list[UseOfToken]:
    """Return the uses of all integrations, as far as the log goes back."""
    late, reported = at - LATELY, at - TRIAL_PERIOD
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
    rows = connection().execute(select(*columns, *counted).where(*accepted).group_by(*columns)).all()
    return [UseOfToken(*row) for row in rows]


def read_claims(correlation_ids: list[str]) -> dict[str, dict[str, Any]]:
    """Return the verified claims of exchanges, by the sys_id of their integration."""
    if not correlation_ids:
        return {}
    statement = select(OAuthExchange.entity, OAuthExchange.claims)
    rows = connection().execute(statement.where(OAuthExchange.correlation_id.in_(correlation_ids))).all()
    return {row.entity: row.claims for row in rows if isinstance(row.claims, dict)}
