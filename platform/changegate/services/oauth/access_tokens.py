"""Access tokens: opaque, kept as a hash, and judged anew at every call."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, literal, select, update

from changegate.extensions import connection, now
from changegate.models import (
    OAuthCredential,
    OAuthEntity,
    OAuthEntityScope,
    SysApiAccessScope,
    SysAuthScope,
    SysUser,
)
from changegate.services.access import ApiCall, Caller, TokenGrant, expand_roles
from changegate.services.prepared import Prepared
from changegate.services.users import roles_of_user

# A fixed prefix lets secret scanners recognise a token that leaked; 32 random bytes follow.
TOKEN_PREFIX = "cgat_"  # noqa: S105 - a prefix, not a token
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token as its client gets it, once; `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    scope: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What an access token is to stand for."""

    entity: str
    user: str
    scope: str
    lifespan: timedelta
    assertion_issuer: str
    assertion_subject: str


def issue_token(wanted: TokenRequest, issued_at: datetime) -> IssuedToken:
    """Store a fresh token's hash and return the token; nothing can bring it back later."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    row = {
        "token_hash": _hash(token),
        "entity": wanted.entity,
        "user": wanted.user,
        "scope": wanted.scope,
        "issued_at": issued_at,
        "expires_at": issued_at + wanted.lifespan,
        "assertion_issuer": wanted.assertion_issuer,
        "assertion_subject": wanted.assertion_subject,
    }
    _INSERT.execute(row)
    return IssuedToken(token, int(wanted.lifespan.total_seconds()), wanted.scope)


def find_token_caller(token: str) -> Caller | None:
    """Return whom a token acts as now, or None.

    Token, integration, user, roles and scopes are read in one statement at every call: whatever was disabled
    meanwhile has stopped working.
    """
    if not token.startswith(TOKEN_PREFIX):
        return None
    wanted = {"token_hash": _hash(token), "now": now()}
    row = _TOKEN.first(wanted)
    if row is None:
        return None
    grant = TokenGrant(row.entity, row.scope, _calls(row.calls, granted=row.scope.split()))
    return Caller(row.user, row.user_name, expand_roles((row.roles or "").split(",")), grant)


def revoke_tokens(entity: str, revoked_at: datetime) -> int:
    """Revoke all live tokens of an integration, in the caller's transaction; return how many."""
    live = (OAuthCredential.entity == entity, OAuthCredential.revoked_at.is_(None))
    return connection().execute(update(OAuthCredential).where(*live).values(revoked_at=revoked_at)).rowcount


def _calls(text: str | None, granted: list[str]) -> frozenset[ApiCall]:
    """Return the calls of the integration's scopes, less those of scopes that the token did not ask for."""
    rows = (item.split("|") for item in (text or "").split(",") if item)
    return frozenset(ApiCall(api, method, table) for scope, api, method, table in rows if scope in granted)


def _hash(token: str) -> str:
    # Plain SHA-256 is enough for 256 random bits: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _calls_of_entity() -> Any:
    separator = literal("|")
    rule = SysApiAccessScope
    call = SysAuthScope.name + separator + rule.rest_api + separator + rule.http_method + separator + rule.table
    return (
        select(func.aggregate_strings(call, ","))
        .select_from(OAuthEntityScope)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        .join(rule, and_(rule.scope == SysAuthScope.sys_id, rule.active))
        .where(OAuthEntityScope.entity == OAuthCredential.entity)
        .correlate(OAuthCredential)
        .scalar_subquery()
    )


_INSERT = Prepared(insert(OAuthCredential.__table__), OAuthCredential.__table__.columns.keys())
_TOKEN = Prepared(
    select(
        OAuthCredential.entity,
        OAuthCredential.scope,
        OAuthCredential.user,
        SysUser.user_name,
        roles_of_user().label("roles"),
        _calls_of_entity().label("calls"),
    )
    .join(OAuthEntity, OAuthEntity.sys_id == OAuthCredential.entity)
    .join(SysUser, SysUser.sys_id == OAuthCredential.user)
    .where(
        OAuthCredential.token_hash == bindparam("token_hash", None),
        OAuthCredential.revoked_at.is_(None),
        OAuthCredential.expires_at > bindparam("now", None),
        OAuthEntity.active,
        SysUser.active,
        ~SysUser.locked_out,
    )
)
