"""The list and number of live access tokens, for administrators."""

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

# The longest lifespan that the integration schema allows: older exchanges cannot have live tokens and are not read.
LONGEST_LIFESPAN = timedelta(days=1)
TOKENS_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class TokenFilter:
    """The criteria of a search; None matches every token.

    `entity` is an integration's sys_id, `scope` the name of a scope that the token has now, `user` a user name,
    `text` a part of subject or issuer.
    """

    entity: str | None = None
    scope: str | None = None
    user: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token that works now, identified by its exchange; `scopes` are its current scopes."""

    correlation_id: str
    issued_at: datetime
    expires_at: datetime
    client_id: str
    integration: str
    user_name: str
    issuer: str | None
    subject: str | None
    scopes: tuple[str, ...]


def search_tokens(criteria: TokenFilter, limit: int = TOKENS_PER_PAGE, before: str | None = None) -> list[LiveToken]:
    """Return the latest matching live tokens, newest first; `before` is the last correlation ID of the page before."""
    exchange, entity = OAuthExchange, OAuthEntity
    columns: tuple[Any, ...] = (
        *(exchange.correlation_id, exchange.happened_at, exchange.expires_at, exchange.issuer, exchange.subject),
        *(exchange.entity, exchange.scope, exchange.has_all_scopes),
        *(entity.client_id, entity.name.label("integration"), SysUser.user_name),
    )
    statement = _live(select(*columns), criteria).order_by(exchange.correlation_id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(exchange.correlation_id < before)
    rows = connection().execute(statement).all()
    held = list_held_scopes({row.entity for row in rows})
    return [_token(row, held[row.entity]) for row in rows]


def count_tokens(criteria: TokenFilter) -> int:
    """Return the number of matching live tokens."""
    number: int = connection().execute(_live(select(func.count()), criteria)).scalar_one()
    return number


def _live(columns: Select[Any], criteria: TokenFilter) -> Select[Any]:
    """Return the statement for tokens that `find_token_caller` would accept, without a comparison of their hash."""
    exchange, at = OAuthExchange, now()
    return (
        columns.select_from(exchange)
        .join(OAuthEntity, OAuthEntity.sys_id == exchange.entity)
        .join(SysUser, SysUser.sys_id == exchange.user)
        .where(
            exchange.correlation_id >= earliest_correlation_id(at - LONGEST_LIFESPAN),
            exchange.token_hash.is_not(None),
            *is_live(at, ended_type()),
            *_clauses(criteria),
        )
    )


def _clauses(criteria: TokenFilter) -> Iterator[ColumnElement[bool]]:
    yield from clauses_of(criteria, OAuthExchange)
    if criteria.text is not None:
        places = (OAuthExchange.subject, OAuthExchange.issuer)
        yield or_(*(contains(place, criteria.text).build() for place in places))


def clauses_of(criteria: TokenFilter, tokens: Any) -> Iterator[ColumnElement[bool]]:
    """Yield the clauses for integration, scope, and user of access tokens or refresh tokens."""
    if criteria.entity is not None:
        yield tokens.entity == criteria.entity
    if criteria.scope is not None:
        yield _has_scope(criteria.scope, tokens)
    if criteria.user is not None:
        yield func.lower(SysUser.user_name) == criteria.user.lower()


def _has_scope(name: str, tokens: Any) -> ColumnElement[bool]:
    """Return the clause for tokens with a scope: the integration has it, and the token was issued with it."""
    held = (
        select(OAuthEntityScope.entity)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        .where(OAuthEntityScope.entity == tokens.entity, SysAuthScope.name == name)
        .exists()
    )
    asked = literal(" ") + tokens.scope + literal(" ")
    return and_(held, or_(tokens.has_all_scopes.is_(True), asked.contains(f" {name} ", autoescape=True)))


def list_held_scopes(entities: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of the scopes that integrations have now, by sys_id."""
    scopes: dict[str, list[str]] = defaultdict(list)
    named = select(OAuthEntityScope.entity, SysAuthScope.name)
    joined = named.join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
    for entity, name in connection().execute(joined.where(OAuthEntityScope.entity.in_([*entities]))).all():
        scopes[entity].append(name)
    return scopes


def scopes_now(row: Any, held: Iterable[str]) -> tuple[str, ...]:
    """Return a token's current scopes: those of its integration that it was issued with."""
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
