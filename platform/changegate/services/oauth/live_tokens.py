"""Live access tokens: which there are, and how many."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select

from changegate.database import connection
from changegate.database.text_search import contains
from changegate.extensions import now
from changegate.models import OAuthEntity, OAuthEntityScope, OAuthExchange, SysAuthScope, SysUser
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.services.oauth.access_tokens import ended_type, is_live

# As long as the integration schema lets a token live: what is older cannot be live, and is not looked at.
LONGEST_LIFESPAN = timedelta(days=1)
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """What a token must be; None is anything.

    `entity` is an integration's sys_id, `scope` the name of a scope that the token has now, `user` a user name,
    `text` a part of subject or issuer.
    """

    entity: str | None = None
    scope: str | None = None
    user: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token that works now, known by its exchange; `scopes` are those that it has at this moment."""

    correlation_id: str
    issued_at: datetime
    expires_at: datetime
    client_id: str
    integration: str
    user_name: str
    issuer: str | None
    subject: str | None
    scopes: tuple[str, ...]


def search_tokens(wanted: TokenFilter, limit: int = PAGE_SIZE, before: str | None = None) -> list[LiveToken]:
    """Return the latest live tokens that fit, newest first; `before` is the correlation id to go on from."""
    exchange, entity = OAuthExchange, OAuthEntity
    columns: tuple[Any, ...] = (
        *(exchange.correlation_id, exchange.happened_at, exchange.expires_at, exchange.issuer, exchange.subject),
        *(exchange.entity, exchange.scope, exchange.has_all_scopes),
        *(entity.client_id, entity.name.label("integration"), SysUser.user_name),
    )
    found = _live(select(*columns), wanted).order_by(exchange.correlation_id.desc()).limit(limit)
    if before is not None:
        found = found.where(exchange.correlation_id < before)
    rows = connection().execute(found).all()
    held = list_held_scopes({row.entity for row in rows})
    return [_token(row, held[row.entity]) for row in rows]


def count_tokens(wanted: TokenFilter) -> int:
    """Return how many live tokens fit."""
    number: int = connection().execute(_live(select(func.count()), wanted)).scalar_one()
    return number


def _live(columns: Select[Any], wanted: TokenFilter) -> Select[Any]:
    """Return the statement for what `find_token_caller` would take, without the hash that only a token can give."""
    exchange, at = OAuthExchange, now()
    return (
        columns.select_from(exchange)
        .join(OAuthEntity, OAuthEntity.sys_id == exchange.entity)
        .join(SysUser, SysUser.sys_id == exchange.user)
        .where(
            exchange.correlation_id >= earliest_correlation_id(at - LONGEST_LIFESPAN),
            exchange.token_hash.is_not(None),
            *is_live(at, ended_type()),
            *_clauses(wanted),
        )
    )


def _clauses(wanted: TokenFilter) -> Iterator[ColumnElement[bool]]:
    yield from clauses_of(wanted, OAuthExchange)
    if wanted.text is not None:
        places = (OAuthExchange.subject, OAuthExchange.issuer)
        yield or_(*(contains(place, wanted.text) for place in places))


def clauses_of(wanted: TokenFilter, tokens: Any) -> Iterator[ColumnElement[bool]]:
    """Yield the clauses for integration, scope and user of access tokens or refresh tokens."""
    if wanted.entity is not None:
        yield tokens.entity == wanted.entity
    if wanted.scope is not None:
        yield _has_scope(wanted.scope, tokens)
    if wanted.user is not None:
        yield func.lower(SysUser.user_name) == wanted.user.lower()


def _has_scope(name: str, tokens: Any) -> ColumnElement[bool]:
    """Return the clause for a scope that the integration has, and that the token did not leave out."""
    held = (
        select(OAuthEntityScope.entity)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        .where(OAuthEntityScope.entity == tokens.entity, SysAuthScope.name == name)
        .exists()
    )
    asked = literal(" ") + tokens.scope + literal(" ")
    return and_(held, or_(tokens.has_all_scopes.is_(True), asked.contains(f" {name} ", autoescape=True)))


def list_held_scopes(entities: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of the scopes that integrations have now."""
    found: dict[str, list[str]] = defaultdict(list)
    named = select(OAuthEntityScope.entity, SysAuthScope.name)
    joined = named.join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
    for entity, name in connection().execute(joined.where(OAuthEntityScope.entity.in_([*entities]))).all():
        found[entity].append(name)
    return found


def scopes_now(row: Any, held: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that a token has of those that its integration has now."""
    asked = None if row.has_all_scopes else (row.scope or "").split()
    return tuple(sorted(name for name in held if asked is None or name in asked))


def _token(row: Any, held: Iterable[str]) -> LiveToken:
    return LiveToken(
        correlation_id=row.correlation_id,
        issued_at=row.happened_at,
        expires_at=row.expires_at,
        client_id=row.client_id,
        integration=row.integration,
        user_name=row.user_name,
        issuer=row.issuer,
        subject=row.subject,
        scopes=scopes_now(row, held),
    )
