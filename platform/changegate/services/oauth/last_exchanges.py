"""When an integration was last in use, also where that is longer ago than the log goes back."""

from datetime import timedelta

from sqlalchemy import func, or_, select, update

from changegate.database import connection
from changegate.models import OAuthEntity, OAuthExchange

# What is noted is good to a day: an integration in use is written once a day, not at each clean-up.
PRECISION = timedelta(days=1)


def note_last_exchanges(oldest_kept: str) -> None:
    """Note on each integration the latest of its accepted exchanges that are about to be forgotten.

    `oldest_kept` is the least correlation id that stays in the log.
    """
    exchange = OAuthExchange
    latest = func.max(exchange.happened_at)
    found = (
        select(OAuthEntity.sys_id, OAuthEntity.last_exchange_at.label("noted"), latest.label("latest"))
        .join(exchange, exchange.entity == OAuthEntity.sys_id)
        .where(exchange.correlation_id < oldest_kept, exchange.is_accepted)
        .group_by(OAuthEntity.sys_id, OAuthEntity.last_exchange_at)
    )
    noted = OAuthEntity.last_exchange_at
    for row in connection().execute(found).all():
        if row.noted is None or row.noted <= row.latest - PRECISION:
            # Another process may have come further meanwhile.
            is_older = (OAuthEntity.sys_id == row.sys_id, or_(noted.is_(None), noted < row.latest))
            connection().execute(update(OAuthEntity).where(*is_older).values(last_exchange_at=row.latest))
