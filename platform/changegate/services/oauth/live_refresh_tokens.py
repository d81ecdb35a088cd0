"""The list of live refresh tokens, for administrators."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.extensions import now, settings
from changegate.models import OAuthEntity, OAuthRefreshToken, SysUser
from changegate.models.integration_choices import PASSWORD
from changegate.services.oauth.live_tokens import TOKENS_PER_PAGE, TokenFilter, clauses_of, list_held_scopes, scopes_now
from changegate.services.oauth.refresh_tokens import expiry_of
from changegate.services.oauth.resource_owners import STATE, find_owner_fault


@dataclass(frozen=True, slots=True)
class LiveRefreshToken:
    """A refresh token that works now, identified by the exchange that issued it; `scopes` are its current scopes."""

    correlation_id: str
    issued_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    client_id: str
    integration: str
    user_name: str
    scopes: tuple[str, ...]


def search_refresh_tokens(criteria: TokenFilter, limit: int = TOKENS_PER_PAGE) -> list[LiveRefreshToken]:
    """Return the latest matching live refresh tokens, newest first.

    `criteria.text` matches none of them, because they have no subject or issuer of an assertion.
    """
    if not settings().password_grant_enabled or criteria.text is not None:
        return []
    tokens, entity = OAuthRefreshToken, OAuthEntity
    columns: tuple[Any, ...] = (
        *(tokens.correlation_id, tokens.issued_at, tokens.last_used_at, tokens.expires_at, tokens.entity),
        *(tokens.scope, tokens.has_all_scopes, tokens.password_mark),
        *(entity.client_id, entity.name.label("integration"), entity.refresh_token_lifespan_seconds),
        *(SysUser.user_name, *STATE),
    )
    statement = (
        select(*columns)
        .join(entity, entity.sys_id == tokens.entity)
        .join(SysUser, SysUser.sys_id == tokens.user)
        .where(*_is_live(now()), *clauses_of(criteria, tokens))
        .order_by(tokens.correlation_id.desc())
    )
    rows = connection().execute(statement.limit(limit)).all()
    held = list_held_scopes({row.entity for row in rows})
    # Password and current lifespan are checked after the LIMIT, so that the list may be shorter than `limit`.
    live = [_token(row, held[row.entity]) for row in rows if find_owner_fault(row, row.password_mark) is None]
    return [token for token in live if token.expires_at > now()]


def _is_live(at: datetime) -> tuple[Any, ...]:
    """Return the clauses for a refresh token that works, except for the user's password, which SQL cannot compare."""
    tokens, entity = OAuthRefreshToken, OAuthEntity
    of_entity = (entity.active, entity.type == PASSWORD, entity.issue_refresh_tokens)
    of_user = (SysUser.active, ~SysUser.locked_out, ~SysUser.web_service_access_only)
    of_token = (tokens.revoked_at.is_(None), tokens.expires_at > at)
    return *of_entity, *of_user, *of_token, tokens.token_generation == entity.token_generation


def _token(row: Any, held: Iterable[str]) -> LiveRefreshToken:
    return LiveRefreshToken(
        correlation_id=row.correlation_id,
        issued_at=row.issued_at,
        last_used_at=row.last_used_at,
        expires_at=expiry_of(row, timedelta(seconds=row.refresh_token_lifespan_seconds)),
        client_id=row.client_id,
        integration=row.integration,
        user_name=row.user_name,
        scopes=scopes_now(row, held),
    )
