"""Token revocation (RFC 7009)."""

from sqlalchemy import select, update

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import OAuthExchange
from changegate.services.oauth.access_tokens import find_issued
from changegate.services.oauth.refresh_tokens import is_refresh_token, revoke_refresh_token

_ROW = OAuthExchange.__table__.c


def revoke_token(token: str, entity: str | None = None) -> bool:
    """Revoke a token, effective at the next request in every process; return whether it was live.

    The token itself is the only permission needed. With `entity`, only a token of that integration is revoked. Tokens
    in JWT format are revoked like opaque tokens, because every call reads their row. Revoking a refresh token also
    revokes its access tokens; revoking an access token revokes nothing else.
    """
    if is_refresh_token(token):
        return revoke_refresh_token(token, entity)
    issued = find_issued(token)
    if issued is None:
        return False
    row = _FIND.first(issued)
    # Read first, so that invented tokens never enter the write queue.
    if row is None or entity not in (None, row.entity):
        return False
    return end_token(row.correlation_id)


def end_token(correlation_id: str) -> bool:
    """Revoke the token of an exchange, effective at the next request in every process; return whether it was live."""
    # A second revocation matches no row, so that the time of the first is kept.
    return _END.execute({"ended": correlation_id, "at": now()}) == 1


_FIND = Prepared(
    select(_ROW.correlation_id, _ROW.entity).where(
        _ROW.correlation_id == parameter("correlation_id"),
        _ROW.token_hash == parameter("token_hash"),
        _ROW.revoked_at.is_(None),
    )
)
# Rows without a hash have no token to end: refusals, and ID tokens that are accepted only once.
_END = Prepared(
    update(OAuthExchange.__table__)
    .where(_ROW.correlation_id == parameter("ended"), _ROW.token_hash.is_not(None), _ROW.revoked_at.is_(None))
    .values(revoked_at=parameter("at", type_=_ROW.revoked_at.type))
)
