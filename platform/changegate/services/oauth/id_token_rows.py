"""Rows of accepted third-party ID tokens: exchanges by which later calls with the same token are recognized.

The first call with a token verifies it. Later calls cost one statement, like calls with an access token: it finds the
row by its reuse key, together with the current state of everything that the caller depends on. Each process remembers
the grounds on which it has verified a token. If the integration, its key set, or the user's name has changed since, the
token is verified again.
"""

import hashlib
import threading
from datetime import datetime
from typing import Any

from cachetools import LRUCache
from sqlalchemy import select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import JwksCache, OAuthEntity, OAuthExchange, SysUser
from changegate.services.access.caller import Caller
from changegate.services.keys.key_source import CachedFacts, Freshness, KeySource
from changegate.services.keys.static_keys import FETCHED
from changegate.services.oauth.access_tokens import caller_of_row, caller_statement, hash_token
from changegate.services.oauth.clients import Client
from changegate.services.oauth.exchange_figures import count_again

REMEMBERED = 4096
ReusedTokenRow = Any  # a row of `_TOKEN_ROW`, by column name
# The token generation of the integration, the digest of its key set (None if its keys are stored with it), and the
# value that names the user (None if all tokens act as one account).
Grounds = tuple[int, str | None, object]
_ROW = OAuthExchange.__table__.c


class _VerifiedTokens:
    """A cache of the tokens that this process has verified: the grounds of each, by token hash.

    An entry alone never admits a caller: `find_known_caller` compares it with the current state of the database.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grounds = LRUCache[str, Grounds](REMEMBERED)

    def find(self, token_hash: str) -> Grounds | None:
        with self._lock:
            return self._grounds.get(token_hash)

    def keep(self, token_hash: str, grounds: Grounds) -> None:
        with self._lock:
            self._grounds[token_hash] = grounds


_verified_tokens = _VerifiedTokens()


def reuse_key_of(text: str) -> str:
    """Return the key of a reusable token's row: 64 hex digits, a hash of the signing input.

    The signature is left out, because an ECDSA signature can be changed without the key and stays valid: a revoked
    token would otherwise become a new token.
    """
    return hashlib.sha256(b"ID token\0" + text.rpartition(".")[0].encode()).hexdigest()


def find_known_caller(text: str) -> Caller | None:
    """Return the caller of a token; None unless this process has verified it on grounds that are still current."""
    at, token_hash = now(), hash_token(text)
    # By the hash of the whole text. The row alone must never admit a caller: its reuse key leaves the signature out, so
    # that a forged signature would find it too.
    verified_on = _verified_tokens.find(token_hash)
    if verified_on is None:
        return None
    row = _KNOWN.first({"reuse_key": reuse_key_of(text), "now": at})
    return caller_of_row(row) if row is not None and verified_on == _grounds_now(row, at) else None


def find_admitted_caller(correlation_id: str) -> Caller | None:
    """Return the caller of the token that an exchange was written for; None if it has ended since."""
    row = _ADMITTED.first({"correlation_id": correlation_id, "now": now()})
    return None if row is None else caller_of_row(row)


def find_token_row(text: str) -> ReusedTokenRow | None:
    """Return the row of a reusable token that was used before, live or not."""
    return _TOKEN_ROW.first({"reuse_key": reuse_key_of(text)})


def renew(kept: ReusedTokenRow, client: Client, user: str, expires_at: datetime) -> None:
    """Update a token's row to the integration and user it was just verified for; a revoked row stays revoked."""
    grounds = {"new_entity": client.entity, "new_client_id": client.client_id, "new_user": user}
    # The exchange counts for another integration or user from now on.
    if (kept.entity, kept.user) != (client.entity, user):
        count_again(kept.correlation_id, connection())
    generation = {"new_generation": client.token_generation, "new_expiry": expires_at}
    _RENEW.execute({"kept": kept.correlation_id, **grounds, **generation})


def remember(text: str, client: Client, named_user: object) -> None:
    """Remember in this process that a token has just been verified, and the value that names its user."""
    # The digest as it was read before verification. If a newer key set was fetched meanwhile, the digests differ, and
    # the next call verifies again.
    digest = None if client.source.static is not None else client.source.facts.document_sha256
    _verified_tokens.keep(hash_token(text), (client.token_generation, digest, named_user))


def _grounds_now(row: Any, at: datetime) -> Grounds | None:
    """Return the grounds on which a token would be verified now; None if the key set has to be fetched first."""
    # The value that the token's claim was compared with. If an administrator changes it, the claim may name another
    # user, so that the token must be verified again.
    named_user = None if row.run_as else getattr(row, row.user_field or "sys_id")
    if row.key_source != FETCHED:
        return row.token_generation, None, named_user
    # A key set that is stale ends the shortcut, because the provider may have withdrawn the key since.
    facts = CachedFacts(row.cached_url or "", row.document_sha256, row.fetched_at, row.fresh_until)
    source = KeySource(row.entity, row.jwks_url, row.jwks_cache_lifespan_minutes, facts)
    if source.freshness_at(at) is not Freshness.FRESH:
        return None
    return row.token_generation, row.document_sha256, named_user


def _known_statement() -> Any:
    cache, entity = JwksCache, OAuthEntity
    keys = (entity.key_source, entity.jwks_url, entity.jwks_cache_lifespan_minutes, cache.url.label("cached_url"))
    facts = (cache.document_sha256, cache.fetched_at, cache.fresh_until)
    # `caller_statement` selects `user_name` already.
    user = (entity.run_as, entity.user_field, SysUser.sys_id, SysUser.email, SysUser.employee_number)
    return (
        caller_statement(entity.token_generation, *keys, *facts, *user)
        .outerjoin(cache, cache.entity_id == entity.sys_id)
        .where(OAuthExchange.replay_key == parameter("reuse_key"))
    )


_KNOWN = Prepared(_known_statement())
_ADMITTED = Prepared(caller_statement().where(OAuthExchange.correlation_id == parameter("correlation_id")))
_TOKEN_ROW = Prepared(
    select(
        *(_ROW.correlation_id, _ROW.entity, _ROW.user, _ROW.token_generation, _ROW.expires_at, _ROW.revoked_at)
    ).where(_ROW.replay_key == parameter("reuse_key"))
)
# `revoked_at` is checked again in the UPDATE, so that a revocation since `find_token_row` is not undone.
_RENEW = Prepared(
    update(OAuthExchange.__table__)
    .where(_ROW.correlation_id == parameter("kept"), _ROW.revoked_at.is_(None))
    .values(
        entity=parameter("new_entity", type_=_ROW.entity.type),
        client_id=parameter("new_client_id", type_=_ROW.client_id.type),
        user=parameter("new_user", type_=_ROW.user.type),
        token_generation=parameter("new_generation", type_=_ROW.token_generation.type),
        expires_at=parameter("new_expiry", type_=_ROW.expires_at.type),
    )
)
