"""The limit on the live tokens of a client and a user: each new token beyond it revokes the oldest.

See docs/reference/token-endpoint.md#answers.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, select, update

from changegate.database.prepared import Prepared, parameter
from changegate.models import OAuthExchange, OAuthRefreshToken
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.oauth.issuing import Exchange
from changegate.services.oauth.log_tables import LONGEST_LIFESPAN
from changegate.services.oauth.refresh_tokens import end_refresh_token

MOST_LIVE = 20


def make_room_for_access_token(exchange: Exchange, user: str, at: datetime) -> None:
    """Revoke the oldest live access tokens of the client and a user, so that one more makes `MOST_LIVE`.

    The caller must hold the lock of the user's row (`lock_owner`): otherwise concurrent exchanges would not count each
    other's tokens.
    """
    oldest_counted = earliest_correlation_id(at - LONGEST_LIFESPAN)
    _END_OLDEST.execute({"entity": exchange.client.entity, "user": user, "at": at, "since": oldest_counted})


def make_room_for_refresh_token(exchange: Exchange, user: str, at: datetime) -> None:
    """Revoke the oldest live refresh tokens of the client and a user with their access tokens, under the same lock."""
    for row in _OLDEST_REFRESH_TOKENS.all({"entity": exchange.client.entity, "user": user, "at": at}):
        end_refresh_token(row.correlation_id, user, exchange.client.entity)


def _all_but_the_latest(table: Any, *clauses: Any) -> Select[Any]:
    """Return the statement for the live tokens of a client and user that exceed the limit once a token is added."""
    live = (
        *(table.c.entity == parameter("entity"), table.c.user == parameter("user")),
        *(table.c.revoked_at.is_(None), table.c.expires_at > parameter("at", type_=table.c.expires_at.type)),
    )
    latest_first = select(table.c.correlation_id).where(*live, *clauses).order_by(table.c.correlation_id.desc())
    return latest_first.offset(MOST_LIVE - 1)


_EXCHANGES = OAuthExchange.__table__
_BEYOND = _all_but_the_latest(
    _EXCHANGES,
    _EXCHANGES.c.token_hash.is_not(None),
    # Older exchanges cannot have live tokens and are not read.
    _EXCHANGES.c.correlation_id >= parameter("since"),
)
_END_OLDEST = Prepared(
    update(_EXCHANGES)
    .where(_EXCHANGES.c.correlation_id.in_(_BEYOND))
    .values(revoked_at=parameter("at", type_=_EXCHANGES.c.revoked_at.type))
)
_OLDEST_REFRESH_TOKENS = Prepared(_all_but_the_latest(OAuthRefreshToken.__table__))
