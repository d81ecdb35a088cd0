"""What is kept of a third party's ID token that was accepted: the row of an exchange, by which later calls find it.

The first call with a token judges it. Later ones cost one statement, as those with an access token do: the row is found
by what it claims, and brings whatever the caller depends on as it is now. This process remembers by which keys it has
judged a token; where the integration, its key set or what tells its user has changed since, it is judged anew.
"""

import hashlib
import threading
from collections import OrderedDict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now
from changegate.models import JwksCache, OAuthEntity, OAuthExchange, SysUser
from changegate.services.access.caller import Caller
from changegate.services.keys.key_source import CachedFacts, Freshness, KeySource
from changegate.services.keys.static_keys import FETCHED
from changegate.services.oauth.access_tokens import caller_of, caller_statement, hash_token
from changegate.services.oauth.clients import Client
from changegate.services.oauth.exchange_figures import count_again

REMEMBERED = 4096
KeptRow = Any  # a row of `_KEPT`, by column name
# The generation of the integration's tokens; the key set, None where the keys are stored with the integration; and what
# the claim says that names the user, None where there is one account for all.
Basis = tuple[int, str | None, object]
_ROW = OAuthExchange.__table__.c


class _Judged:
    """The tokens that this process has judged, by their hash, with what they were judged on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._basis: OrderedDict[str, Basis] = OrderedDict()

    def find(self, token_hash: str) -> Basis | None:
        return self._basis.get(token_hash)

    def keep(self, token_hash: str, basis: Basis) -> None:
        with self._lock:
            self._basis[token_hash] = basis
            self._basis.move_to_end(token_hash)
            if len(self._basis) > REMEMBERED:
                self._basis.popitem(last=False)


_judged = _Judged()


def claim_of(text: str) -> str:
    """Return what the row of a token that may be used again claims: 64 hex digits for what was signed.

    Not for the whole text: with another signature over the same, as anybody can make of one by ECDSA, a token that was
    revoked would be a new one.
    """
    return hashlib.sha256(b"ID token\0" + text.rpartition(".")[0].encode()).hexdigest()


def find_known_caller(text: str) -> Caller | None:
    """Return whom a token acts as; None unless this process has judged it by what counts at this moment."""
    at, token_hash = now(), hash_token(text)
    judged_on = _judged.find(token_hash)
    if judged_on is None:
        return None
    row = _KNOWN.first({"claim": claim_of(text), "now": at})
    return caller_of(row) if row is not None and judged_on == _basis_now(row, at) else None


def find_admitted_caller(correlation_id: str) -> Caller | None:
    """Return whom the token acts as that an exchange was written for; None where something has ended it since."""
    row = _ADMITTED.first({"admitted": correlation_id, "now": now()})
    return None if row is None else caller_of(row)


def find_kept(text: str) -> KeptRow | None:
    """Return what is kept of a token that was used before and could be used again, live or not."""
    return _KEPT.first({"claim": claim_of(text)})


def renew(kept: KeptRow, client: Client, user: str, expires_at: datetime) -> None:
    """Let a kept token rest on what it was judged by just now; a revoked one stays revoked."""
    rests_on = {"new_entity": client.entity, "new_client_id": client.client_id, "new_user": user}
    if (kept.entity, kept.user) != (client.entity, user):
        count_again(kept.correlation_id, connection())
    generation = {"new_generation": client.token_generation, "new_expiry": expires_at}
    _RENEW.execute({"kept": kept.correlation_id, **rests_on, **generation})


def remember(text: str, client: Client, named_user: object) -> None:
    """Note in this process that a token has just been judged by a client's trust, and what it calls its user."""
    # Of a key set that was fetched meanwhile, the next call takes note by judging once more.
    digest = None if client.source.static is not None else client.source.facts.document_sha256
    _judged.keep(hash_token(text), (client.token_generation, digest, named_user))


def _basis_now(row: Any, at: datetime) -> Basis | None:
    """Return what a token would be judged on now; None where its key set is due to be fetched."""
    named_user = None if row.run_as else getattr(row, row.user_field or "sys_id")
    if row.key_source != FETCHED:
        return row.token_generation, None, named_user
    facts = CachedFacts(row.cached_url or "", row.document_sha256, row.fetched_at, row.fresh_until)
    source = KeySource(row.entity, row.jwks_url, row.jwks_cache_lifespan_minutes, facts)
    return (row.token_generation, row.document_sha256, named_user) if source.judge(at) is Freshness.FRESH else None


def _known_statement() -> Any:
    cache, entity = JwksCache, OAuthEntity
    keys = (entity.key_source, entity.jwks_url, entity.jwks_cache_lifespan_minutes, cache.url.label("cached_url"))
    facts = (cache.document_sha256, cache.fetched_at, cache.fresh_until)
    # `user_name` is there already.
    user = (entity.run_as, entity.user_field, SysUser.sys_id, SysUser.email, SysUser.employee_number)
    return (
        caller_statement(entity.token_generation, *keys, *facts, *user)
        .outerjoin(cache, cache.entity_id == entity.sys_id)
        .where(OAuthExchange.assertion_claim == parameter("claim"))
    )


_KNOWN = Prepared(_known_statement())
_ADMITTED = Prepared(caller_statement().where(OAuthExchange.correlation_id == parameter("admitted")))
_KEPT = Prepared(
    select(
        *(_ROW.correlation_id, _ROW.entity, _ROW.user, _ROW.token_generation, _ROW.expires_at, _ROW.revoked_at)
    ).where(_ROW.assertion_claim == parameter("claim"))
)
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
