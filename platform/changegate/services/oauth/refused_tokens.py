"""The reasons why access tokens of this instance are refused, for the event log."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import OAuthEntity, OAuthExchange, SysUser
from changegate.services.oauth.access_tokens import find_issued


class RefusedToken(NamedTuple):
    """The owner of a refused token and the reason; `entity` is its integration's sys_id. All None if it is unknown."""

    reason: str | None = None
    user_name: str | None = None
    entity: str | None = None
    client_id: str | None = None


def explain_token(token: str) -> RefusedToken:
    """Return the owner of a refused token and the reason, as far as its row shows them."""
    issued = find_issued(token)
    row = None if issued is None else _ROW.first(issued)
    return (
        RefusedToken() if row is None else RefusedToken(_reason(row, now()), row.user_name, row.entity, row.client_id)
    )


def _reason(row: Any, at: datetime) -> str | None:
    if row.revoked_at is not None or row.token_generation != row.generation_now:
        return "token_revoked"
    if row.expires_at <= at:
        return "token_expired"
    if not row.is_client_active:
        return "client_inactive"
    if not row.is_user_active:
        return "user_inactive"
    return "user_locked" if row.locked_out else None


_ROW = Prepared(
    select(
        *(OAuthExchange.entity, OAuthExchange.revoked_at, OAuthExchange.expires_at, OAuthExchange.token_generation),
        *(OAuthEntity.client_id, OAuthEntity.token_generation.label("generation_now")),
        *(OAuthEntity.active.label("is_client_active"), SysUser.active.label("is_user_active")),
        *(SysUser.user_name, SysUser.locked_out),
    )
    .join(OAuthEntity, OAuthEntity.sys_id == OAuthExchange.entity)
    .join(SysUser, SysUser.sys_id == OAuthExchange.user)
    .where(
        OAuthExchange.correlation_id == parameter("correlation_id"),
        OAuthExchange.token_hash == parameter("token_hash"),
    )
)
