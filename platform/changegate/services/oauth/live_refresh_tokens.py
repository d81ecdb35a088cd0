"""The list of live refresh tokens, for administrators."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from changegate.database import connection
from changegate.extensions import now, settings
from changegate.models import OAuthEntity, OAuthEntityScope, OAuthRefreshToken, SysAuthScope, SysUser
from changegate.models.integration_choices import PASSWORD
from changegate.services.oauth.refresh_tokens import expiry_of
from changegate.services.oauth.resource_owners import STATE, find_owner_fault

# Of more live tokens, the newest ones are listed.
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class LiveRefreshToken:
    """A refresh token that works now, identified by the exchange that issued it; `scopes` are its current scopes."""

    correlation_id: str
    issued_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    entity: str
    client_id: str
    integration: str
    user_name: str
    scopes: tuple[str, ...]


def search_refresh_tokens(entities: Collection[str] | None = None) -> list[LiveRefreshToken]:
    """Return the latest live refresh tokens, newest first: all, or those of integrations by their sys_ids."""
    if not settings().password_grant_enabled:
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
        .where(*_is_live(now()), *([tokens.entity.in_(entities)] if entities is not None else []))
        .order_by(tokens.correlation_id.desc())
    )
    rows = connection().execute(statement.limit(MOST_LISTED)).all()
    held = _list_held_scopes({row.entity for row in rows})
    # Password and current lifespan are checked after the LIMIT, so that the list may be shorter.
    live = [_token(row, held[row.entity]) for row in rows if find_owner_fault(row, row.password_mark) is None]
    return [token for token in live if token.expires_at > now()]


def _is_live(at: datetime) -> tuple[Any, ...]:
    """Return the clauses for a refresh token that works, except for the user's password, which SQL cannot compare."""
    tokens, entity = OAuthRefreshToken, OAuthEntity
    of_entity = (entity.active, entity.type == PASSWORD, entity.issue_refresh_tokens)
    of_user = (SysUser.active, ~SysUser.locked_out, ~SysUser.web_service_access_only)
    of_token = (tokens.revoked_at.is_(None), tokens.expires_at > at)
    return *of_entity, *of_user, *of_token, tokens.token_generation == entity.token_generation


def _list_held_scopes(entities: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of the scopes that integrations have now, by sys_id."""
    scopes: dict[str, list[str]] = defaultdict(list)
    named = select(OAuthEntityScope.entity, SysAuthScope.name)
    joined = named.join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
    for entity, name in connection().execute(joined.where(OAuthEntityScope.entity.in_([*entities]))).all():
        scopes[entity].append(name)
    return scopes


def _scopes_now(row: Any, held: Iterable[str]) -> tuple[str, ...]:
    """Return a token's current scopes: those of its integration that it was issued with."""
    asked = None if row.has_all_scopes else (row.scope or "").split()
    return tuple(sorted(name for name in held if asked is None or name in asked))


def _token(row: Any, held: Iterable[str]) -> LiveRefreshToken:
    return LiveRefreshToken(
        correlation_id=row.correlation_id,
        issued_at=row.issued_at,
        last_used_at=row.last_used_at,
        expires_at=expiry_of(row, timedelta(seconds=row.refresh_token_lifespan_seconds)),
        entity=row.entity,
        client_id=row.client_id,
        integration=row.integration,
        user_name=row.user_name,
        scopes=_scopes_now(row, held),
    )
