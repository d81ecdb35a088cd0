"""Refresh tokens (RFC 6749 §1.5), stored as hashes: creation, lookup, expiry, and revocation.

    refresh       lock_owner ──> note_use: revoked by now? ──> writes the access token ──> commits
    revocation    lock_owner ──> waits for the refresh     ──> ends the refresh token and all its access tokens

Both lock the integration and the user first (`lock_owner`). So a revocation that waits for a refresh sees the access
token that it issued, and a refresh that waits for a revocation sees that the refresh token has ended.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import OAuthExchange, OAuthRefreshToken, SysUser
from changegate.oauth_errors import InvalidClient
from changegate.services.jobs.cleanups import deletes
from changegate.services.oauth.access_tokens import RANDOM_BYTES, hash_token
from changegate.services.oauth.clients import Client
from changegate.services.oauth.issuing import IssuedToken
from changegate.services.oauth.resource_owners import STATE, lock_owner

# A fixed prefix, so that secret scanners recognize a leaked token, and that it differs from access tokens.
REFRESH_PREFIX = "cgrt_"
# For this time after its end, refusals distinguish an ended refresh token from an unknown one.
TOKENS_KEPT_FOR = timedelta(days=30)
TokenRow = Any  # a row of `_FIND`, by column name
_TOKENS = OAuthRefreshToken.__table__
_EXCHANGES = OAuthExchange.__table__


def add_refresh_token(issued: IssuedToken, mark: str, lifespan: timedelta) -> str:
    """Return a new refresh token for the access token that is issued with it; both work once they are committed.

    `mark` is the `password_mark` of the user. Raises `InvalidClient` if the integration has been deleted.
    """
    token, at = REFRESH_PREFIX + secrets.token_urlsafe(RANDOM_BYTES), now()
    row = {
        "correlation_id": issued.exchange.correlation_id,
        "entity": issued.exchange.client.entity,
        "user": issued.user,
        "token_hash": hash_token(token),
        "token_generation": issued.generation,
        "scope": issued.scope,
        "has_all_scopes": issued.has_all_scopes,
        "password_mark": mark,
        "issued_at": at,
        "expires_at": at + lifespan,
    }
    try:
        # The foreign key decides whether the integration still exists: it may have been deleted since the client was
        # authenticated.
        _INSERT.execute(row)
    except IntegrityError:
        raise InvalidClient("client_unknown") from None
    return token


def is_refresh_token(token: str) -> bool:
    """Return whether a text has the format of a refresh token; no other text is looked up as one."""
    return token.startswith(REFRESH_PREFIX) and token.isascii()


def find_refresh_token(token: str) -> TokenRow | None:
    """Return the row of a refresh token with the current state of its user, or None."""
    return _FIND.first({"token_hash": hash_token(token)}) if is_refresh_token(token) else None


def find_end(row: TokenRow, client: Client, at: datetime) -> str | None:
    """Return the reason code if a refresh token does not work for a client, or None; its user is not checked."""
    # Ownership comes first, so that the event log shows a stolen token as another client's even after it was revoked.
    if row.entity != client.entity:
        return "refresh_token_foreign"
    # A former generation counts as revoked: the UPDATE that revokes all tokens of an integration writes no row of this
    # table.
    if row.revoked_at is not None or row.token_generation != client.token_generation:
        return "refresh_token_revoked"
    return "refresh_token_expired" if expiry_of(row, client.refresh_token_lifespan) <= at else None


def expiry_of(row: TokenRow, lifespan_now: timedelta | None) -> datetime:
    """Return when a refresh token expires: as issued, or earlier if its integration's lifespan was shortened since."""
    expires_at: datetime = row.expires_at
    return expires_at if lifespan_now is None else min(expires_at, row.issued_at + lifespan_now)


def remaining_scopes(row: TokenRow, client: Client) -> list[str]:
    """Return the scopes that a refresh token was issued with and its integration still has."""
    issued = client.scopes if row.has_all_scopes else row.scope.split()
    return [name for name in issued if name in client.scopes]


def note_use(correlation_id: str, at: datetime) -> bool:
    """Record a use of a refresh token; return False if it has been revoked."""
    # The UPDATE checks `revoked_at` again, because the token may have been revoked after it was read and before
    # `lock_owner` got its locks.
    return _USE.execute({"used": correlation_id, "at": at}) == 1


def revoke_refresh_token(token: str, entity: str | None = None) -> bool:
    """Revoke a refresh token with its access tokens (RFC 7009 §2.1); see `revoke_token`."""
    row = find_refresh_token(token)
    # Read first, so that invented and ended tokens never enter the write queue.
    if row is None or row.revoked_at is not None or entity not in (None, row.entity):
        return False
    return end_refresh_token(row.correlation_id, row.user, row.entity)


def end_refresh_token(correlation_id: str, user: str, entity: str) -> bool:
    """Revoke the refresh token of an exchange and all its access tokens; return whether it was live.

    Waits for a refresh that is under way, and revokes its access token too.
    """
    # Before any other lock. If a revocation and a refresh took their locks in different orders, they could deadlock on
    # PostgreSQL.
    lock_owner(user, entity)
    at = now()
    if _END.execute({"ended": correlation_id, "at": at}) == 0:
        return False
    # Complete, because the owner is locked: a refresh either has committed its access token by now, or finds its
    # refresh token revoked.
    _REVOKE_ISSUED.execute({"refresh_token_id": correlation_id, "at": at})
    return True


def _ended_before(at: datetime) -> ColumnElement[bool]:
    return or_(OAuthRefreshToken.expires_at < at, OAuthRefreshToken.revoked_at < at)


purge_ended = deletes(
    "oauth.purge_refresh_tokens",
    "refresh tokens that ended long ago",
    OAuthRefreshToken.correlation_id,
    lambda at: _ended_before(at - TOKENS_KEPT_FOR),
)


def _at() -> Any:
    return parameter("at", type_=_TOKENS.c.revoked_at.type)


_INSERT = Prepared(insert(_TOKENS), _TOKENS.columns.keys())
_FIND = Prepared(
    select(
        *(column for column in _TOKENS.c if column.name != "token_hash"),
        SysUser.user_name,
        *STATE,
    )
    .join(SysUser, SysUser.sys_id == _TOKENS.c.user)
    .where(_TOKENS.c.token_hash == parameter("token_hash"))
)
_USE = Prepared(
    update(_TOKENS)
    .where(_TOKENS.c.correlation_id == parameter("used"), _TOKENS.c.revoked_at.is_(None))
    .values(last_used_at=_at())
)
_END = Prepared(
    update(_TOKENS)
    .where(_TOKENS.c.correlation_id == parameter("ended"), _TOKENS.c.revoked_at.is_(None))
    .values(revoked_at=_at())
)
_REVOKE_ISSUED = Prepared(
    update(_EXCHANGES)
    .where(_EXCHANGES.c.refresh_token == parameter("refresh_token_id"), _EXCHANGES.c.revoked_at.is_(None))
    .values(revoked_at=_at())
)
