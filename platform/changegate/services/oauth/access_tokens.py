"""Access tokens: opaque or in JWT format, stored as a hash, and checked again at every call."""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import LargeBinary, Select, case, func, or_, select, type_coerce

from changegate.database.prepared import Prepared, Remembered, parameter
from changegate.extensions import now, settings
from changegate.models import (
    OAuthEntity,
    OAuthExchange,
    OAuthTokenKey,
    SysUser,
)
from changegate.models.integration_choices import PASSWORD
from changegate.services.access.caller import Caller, TokenOrigin
from changegate.services.access.permissions import Permissions, TokenGrant, expand_roles
from changegate.services.access.time_zones import find_time_zone
from changegate.services.oauth.jwt_token import has_header_of_instance, looks_like_jwt, sign_token, verify_token
from changegate.services.oauth.token_keys import PUBLISHED_AFTER, is_published
from changegate.services.scopes.rules import all_rules, held_scopes, rules_of_entity, scope_policy_of
from changegate.services.users.roles import roles_of_user

# A fixed prefix, so that secret scanners recognize a leaked token. It is followed by base64url of the correlation ID of
# the exchange, which is the primary key of the token's row, and of 32 random bytes.
OPAQUE_PREFIX = "cgat_"
ID_BYTES = 16
RANDOM_BYTES = 32
TOKEN_LENGTH = len(OPAQUE_PREFIX) + (ID_BYTES + RANDOM_BYTES) * 4 // 3


def new_token(correlation_id: str) -> str:
    """Return a new opaque token for an exchange; the stored row does not allow the token to be recovered."""
    # The id finds the row by its primary key, so that the hash needs no index. The id is not a secret: only the random
    # bytes protect the token.
    material = bytes.fromhex(correlation_id) + secrets.token_bytes(RANDOM_BYTES)
    return OPAQUE_PREFIX + urlsafe_b64encode(material).decode()


def new_jwt_token(correlation_id: str, *, client_id: str, user: str, scope: str, lifespan: timedelta) -> str:
    """Return a new token in JWT format (RFC 9068 §2.2); the correlation ID is its jti.

    Raises `TemporarilyUnavailable` if it cannot be signed.
    """
    # Issuer and audience are the base URL, and `verify_token` requires both. A change of CHANGEGATE_BASE_URL therefore
    # ends all tokens in JWT format (decision 0013).
    at, issuer = now(), settings().base_url
    issued_at = int(at.timestamp())
    times = {"iat": issued_at, "exp": issued_at + int(lifespan.total_seconds())}
    claims = {"iss": issuer, "sub": user, "aud": issuer, "client_id": client_id}
    return sign_token({**claims, **times, "jti": correlation_id, "scope": scope}, at)


def find_token_caller(token: str) -> Caller | None:
    """Return the caller that a token represents now, or None.

    One statement at every call reads token, integration, user, roles, and scopes, so that a change to any of them takes
    effect at the next call. The format of the token alone decides how it is looked up; there is no fallback.
    """
    if token.startswith(OPAQUE_PREFIX):
        return _find_opaque(token)
    return _find_jwt(token) if looks_like_jwt(token) else None


def is_foreign(token: str) -> bool:
    """Return whether, by its format alone, a token can only be another issuer's; nothing is verified."""
    return not token.startswith(OPAQUE_PREFIX) and looks_like_jwt(token) and not has_header_of_instance(token)


def caller_of_row(row: Any) -> Caller:
    """Return the caller of a row of `caller_statement`."""
    roles = expand_roles(row.roles)
    # By position: `_ORIGIN` must stay at the end of `caller_statement`, after the columns that its callers add.
    origin = TokenOrigin._make(row[-len(_ORIGIN) :])
    grant = _grant(row.entity, row.asked_scope, row.rules, row.other_rules, row.enforce_token_restriction)
    return Caller(row.user, row.user_name, Permissions(roles, grant), origin, find_time_zone(row.time_zone))


def _find_opaque(token: str) -> Caller | None:
    correlation_id = _find_correlation_id(token)
    if correlation_id is None:
        return None
    # The hash must be compared as well: the id alone is known to every reader of the event log, and is the `jti` of
    # introspection.
    of_token = {"correlation_id": correlation_id, "token_hash": hash_token(token), "now": now()}
    return _OPAQUE.first({**of_token, "ended_type": ended_type()})


def _find_jwt(token: str) -> Caller | None:
    """Return the caller of a token that is signed by a published key of this instance, or None.

    The hash is compared too. The signature proves only that the signer had the key; the hash proves that this token was
    issued and recorded.
    """
    at = now()
    verified = verify_token(token, issuer=settings().base_url, at=at)
    if verified is None:
        return None
    of_token = {"correlation_id": verified.correlation_id, "token_hash": hash_token(token), "now": at}
    of_token["ended_type"] = ended_type()
    # The key is part of the statement at every call, although the signature is cached: a blocked key ends its tokens at
    # once.
    return _JWT.first({**of_token, "kid": verified.kid, "retired_since": at - PUBLISHED_AFTER})


def find_issued(token: str) -> dict[str, Any] | None:
    """Return the `correlation_id` and `token_hash` to find a token's row by, or None if the text is not a token.

    The row is not read: it may be missing, and the token may have ended.
    """
    if token.startswith(OPAQUE_PREFIX):
        correlation_id = _find_correlation_id(token)
    else:
        verified = verify_token(token, issuer=settings().base_url, at=now()) if looks_like_jwt(token) else None
        correlation_id = verified.correlation_id if verified else None
    return None if correlation_id is None else {"correlation_id": correlation_id, "token_hash": hash_token(token)}


def revoke_tokens(entity: OAuthEntity) -> None:
    """Revoke every token of an integration, in the caller's transaction."""
    # The database increments the stored value, so that two concurrent revocations both take effect.
    entity.token_generation = OAuthEntity.token_generation + 1


def revoke_all_so_far(entity: OAuthEntity) -> None:
    """Permanently revoke every token of an integration, in the caller's transaction.

    This includes ID tokens, even those not used yet: only ID tokens that are issued from now on are accepted.
    """
    revoke_tokens(entity)
    entity.tokens_valid_from = now()


# Never stale: the arguments are the rules as the statement has just read them, so that changed rules are another entry.
@lru_cache(maxsize=1024)
def _grant(entity: str, scope: str | None, rules: str | None, others: str | None, is_enforced: bool) -> TokenGrant:
    """Return the grant of a token; without `scope` it has all scopes of its integration."""
    held = held_scopes(rules, scope)
    return TokenGrant(entity, " ".join(held), scope_policy_of(rules, held, others, is_enforced=is_enforced))


def _find_correlation_id(token: str) -> str | None:
    """Return the correlation ID in an opaque token, or None if the text does not have the format of one."""
    # The decoder skips characters outside its alphabet. That is harmless here: the id only finds a row, and the hash of
    # the exact text decides.
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    try:
        material = urlsafe_b64decode(token[len(OPAQUE_PREFIX) :])
    except NotBase64:
        return None
    return material[:ID_BYTES].hex()


def hash_token(token: str) -> str:
    """Return the stored hash of a token, 64 hex digits."""
    # A slow, salted hash is only needed for guessable input. A token has 256 random bits or a signature.
    return hashlib.sha256(token.encode()).hexdigest()


# In the order of `TokenOrigin`. Claims stay packed, because most calls never read them.
_ORIGIN = (
    OAuthEntity.client_id,
    OAuthExchange.correlation_id,
    OAuthEntity.preset,
    OAuthExchange.issuer,
    OAuthExchange.subject,
    type_coerce(OAuthExchange.claims, LargeBinary).label("claims"),
    or_(OAuthEntity.creations_per_hour.is_not(None), OAuthEntity.creations_per_day.is_not(None)).label("is_limited"),
    OAuthEntity.run_as.is_not(None).label("is_of_account"),
)


def _asked_scope() -> Any:
    """Return the scopes that the token was requested with; NULL if it has all scopes of its integration."""
    # Without `coalesce`, a token that was issued with no scope would be NULL here, and get all scopes of its
    # integration.
    return case((OAuthExchange.has_all_scopes.is_(True), None), else_=func.coalesce(OAuthExchange.scope, ""))


def ended_type() -> str | None:
    """Return the connection type whose tokens do not work because its grant is switched off, or None."""
    return None if settings().password_grant_enabled else PASSWORD


def is_live(at: Any, ended_type: Any) -> tuple[Any, ...]:
    """Return the clauses for a token that is active at an instant, including its integration and user."""
    return (
        # Not `!=`: the parameter is NULL while the password grant is on, and a comparison with NULL would refuse every
        # token.
        OAuthEntity.type.is_distinct_from(ended_type),
        OAuthExchange.revoked_at.is_(None),
        OAuthExchange.expires_at > at,
        # One UPDATE of the integration revokes all its tokens, including those that another process commits only after
        # it (decision 0011).
        OAuthExchange.token_generation == OAuthEntity.token_generation,
        OAuthEntity.active,
        SysUser.active,
        ~SysUser.locked_out,
    )


def caller_statement(*more: Any) -> Select[Any]:
    """Return the statement for the caller of a live token, with `more` columns and the parameters of `is_live`.

    Callers of this function add the clause that selects the token.
    """
    return (
        select(
            OAuthExchange.entity,
            OAuthExchange.user,
            SysUser.user_name,
            SysUser.time_zone,
            roles_of_user().label("roles"),
            _asked_scope().label("asked_scope"),
            rules_of_entity(OAuthExchange.entity).label("rules"),
            case((OAuthEntity.scope_restriction, None), else_=all_rules()).label("other_rules"),
            OAuthEntity.enforce_token_restriction,
            *more,
            *_ORIGIN,
        )
        # Inner joins: after the deletion of its integration or user, a token must find no caller.
        .join(OAuthEntity, OAuthEntity.sys_id == OAuthExchange.entity)
        .join(SysUser, SysUser.sys_id == OAuthExchange.user)
        .where(*is_live(parameter("now"), parameter("ended_type")))
    )


def _statement() -> Select[Any]:
    """Return the statement for one token that this instance issued."""
    return caller_statement().where(
        OAuthExchange.correlation_id == parameter("correlation_id"),
        OAuthExchange.token_hash == parameter("token_hash"),
    )


_of_published_key = _statement().join(OAuthTokenKey, OAuthTokenKey.kid == parameter("kid")).where(is_published())
# `Remembered` runs the statement at every call, and saves only the conversion of an equal row. A cache by token would
# keep a revoked token alive in this process.
_OPAQUE = Remembered(Prepared(_statement()), caller_of_row)
_JWT = Remembered(Prepared(_of_published_key), caller_of_row)
