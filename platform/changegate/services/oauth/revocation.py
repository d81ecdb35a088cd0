"""Revocation: a token ends before its time (RFC 7009)."""

from sqlalchemy import select, update

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import OAuthExchange
from changegate.services.oauth.access_tokens import find_issued
from changegate.services.oauth.refresh_tokens import is_refresh_token, revoke_refresh_token

_ROW = OAuthExchange.__table__.c


def revoke_token(token: str, entity: str | None = None) -> bool:
    """End a token, from the next request on in every process; tell whether there was one to end.

    Whoever has a token may end it. With `entity`, it is left alone unless it is that integration's. Opaque tokens and
    those in JWT format end alike: neither is good for anything without its row. A refresh token ends with the access
    tokens that it bought; an access token ends alone.
    """
    if is_refresh_token(token):
        return revoke_refresh_token(token, entity)
    issued = find_issued(token)
    if issued is None:
        return False
    row = _FIND.first(issued)
    # Looked for first: a made-up token is not worth the place in the line of those who write.
    if row is None or entity not in (None, row.entity):
        return False
    return end_token(row.correlation_id)


def end_token(correlation_id: str) -> bool:
    """End the token of an exchange, from the next request on in every process; tell whether there was one to end."""
    return _END.execute({"ended": correlation_id, "at": now()}) == 1


_FIND = Prepared(
    select(_ROW.correlation_id, _ROW.entity).where(
        _ROW.correlation_id == parameter("correlation_id"),
        _ROW.token_hash == parameter("token_hash"),
        _ROW.revoked_at.is_(None),
    )
)
_END = Prepared(
    update(OAuthExchange.__table__)
    .where(_ROW.correlation_id == parameter("ended"), _ROW.token_hash.is_not(None), _ROW.revoked_at.is_(None))
    .values(revoked_at=parameter("at", type_=_ROW.revoked_at.type))
)
