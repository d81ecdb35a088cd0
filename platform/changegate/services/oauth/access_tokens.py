"""Access tokens: opaque, kept as a hash, and judged anew at every call."""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, reduce
from typing import Any

from sqlalchemy import and_, bindparam, case, func, literal, select

from changegate.extensions import now
from changegate.models import (
    OAuthEntity,
    OAuthEntityScope,
    OAuthExchange,
    SysApiAccessScope,
    SysAuthScope,
    SysUser,
)
from changegate.services.access import NO_LIMITS, ApiCall, Caller, CallLimits, TokenGrant, expand_roles
from changegate.services.prepared import Prepared
from changegate.services.users import roles_of_user

# A fixed prefix lets secret scanners recognise a token that leaked. Then come, in base64url, the correlation id of the
# exchange, by which the token's row is found, and 32 random bytes.
TOKEN_PREFIX = "cgat_"  # noqa: S105 - a prefix, not a token
ID_BYTES = 16
RANDOM_BYTES = 32
# Between the parts of a rule and between rules, as one statement brings them; neither is typed by hand.
FIELD_SEPARATOR, RULE_SEPARATOR = "\x1f", "\x1e"
TOKEN_LENGTH = len(TOKEN_PREFIX) + (ID_BYTES + RANDOM_BYTES) * 4 // 3


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token as its client gets it, once, and what is kept of it, by column."""

    access_token: str
    lifespan: timedelta
    scope: str
    kept: dict[str, Any]


def new_token(correlation_id: str, *, user: str, generation: int, scope: str, lifespan: timedelta) -> IssuedToken:
    """Return a fresh token of an exchange; once its row is committed, nothing can bring the token back."""
    material = bytes.fromhex(correlation_id) + secrets.token_bytes(RANDOM_BYTES)
    token = TOKEN_PREFIX + urlsafe_b64encode(material).decode()
    kept = {
        "token_hash": _hash(token),
        "token_generation": generation,
        "user": user,
        "scope": scope,
    }
    return IssuedToken(token, lifespan, scope, kept)


def find_token_caller(token: str) -> Caller | None:
    """Return whom a token acts as now, or None.

    Token, integration, user, roles and scopes are read in one statement at every call: whatever was disabled
    meanwhile has stopped working.
    """
    correlation_id = _find_correlation_id(token)
    if correlation_id is None:
        return None
    row = _TOKEN.first({"correlation_id": correlation_id, "token_hash": _hash(token), "now": now()})
    if row is None:
        return None
    roles = expand_roles((row.roles or "").split(","))
    return Caller(row.user, row.user_name, roles, _grant(row.entity, row.scope, row.rules))


def revoke_tokens(entity: OAuthEntity) -> None:
    """End every token of an integration, in the caller's transaction."""
    # Counted by the database: of two administrators at once, neither takes back what the other ended.
    entity.token_generation = OAuthEntity.token_generation + 1


@lru_cache(maxsize=1024)
def _grant(entity: str, scope: str, rules: str | None) -> TokenGrant:
    """Return what the rules of the integration's scopes allow, less the scopes that the token did not ask for."""
    granted = scope.split()
    rows = (rule.split(FIELD_SEPARATOR) for rule in (rules or "").split(RULE_SEPARATOR) if rule)
    found: dict[ApiCall, CallLimits] = {}
    for name, api, method, table, own, writable in rows:
        if name in granted:
            limits = CallLimits(_fields(writable), own == "1")
            call = ApiCall(api, method, table)
            found[call] = found[call].or_else(limits) if call in found else limits
    limited = {call: limits for call, limits in found.items() if limits != NO_LIMITS}
    return TokenGrant(entity, scope, frozenset(found), limited)


def _fields(text: str) -> frozenset[str] | None:
    """Return the fields of a comma list, None for no list at all; one without a name in it allows no field."""
    names = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    return names if text else None


def _find_correlation_id(token: str) -> str | None:
    """Return the correlation id that a text carries if it is written like a token."""
    if len(token) != TOKEN_LENGTH or not token.startswith(TOKEN_PREFIX) or not token.isascii():
        return None
    try:
        material = urlsafe_b64decode(token[len(TOKEN_PREFIX) :])
    except NotBase64:
        return None
    return material[:ID_BYTES].hex()


def _hash(token: str) -> str:
    # Plain SHA-256 is enough for 256 random bits: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


def _rules_of_entity() -> Any:
    """Return the scalar subquery for the rules of the integration's scopes, one in a line."""
    rule = SysApiAccessScope
    columns = (
        SysAuthScope.name,
        rule.rest_api,
        rule.http_method,
        rule.table,
        case((rule.own_records, "1"), else_="0"),
        func.coalesce(rule.writable_fields, ""),
    )
    line = reduce(lambda left, right: left + literal(FIELD_SEPARATOR) + right, columns)
    return (
        select(func.aggregate_strings(line, RULE_SEPARATOR))
        .select_from(OAuthEntityScope)
        .join(SysAuthScope, SysAuthScope.sys_id == OAuthEntityScope.scope)
        .join(rule, and_(rule.scope == SysAuthScope.sys_id, rule.active))
        .where(OAuthEntityScope.entity == OAuthExchange.entity)
        .correlate(OAuthExchange)
        .scalar_subquery()
    )


_TOKEN = Prepared(
    select(
        OAuthExchange.entity,
        OAuthExchange.scope,
        OAuthExchange.user,
        SysUser.user_name,
        roles_of_user().label("roles"),
        _rules_of_entity().label("rules"),
    )
    .join(OAuthEntity, OAuthEntity.sys_id == OAuthExchange.entity)
    .join(SysUser, SysUser.sys_id == OAuthExchange.user)
    .where(
        OAuthExchange.correlation_id == bindparam("correlation_id", None),
        OAuthExchange.token_hash == bindparam("token_hash", None),
        OAuthExchange.revoked_at.is_(None),
        OAuthExchange.expires_at > bindparam("now", None),
        OAuthExchange.token_generation == OAuthEntity.token_generation,
        OAuthEntity.active,
        SysUser.active,
        ~SysUser.locked_out,
    )
)
