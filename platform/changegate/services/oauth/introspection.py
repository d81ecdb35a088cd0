"""Introspection: what a token is worth now, for those who may know (RFC 7662)."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping

import orjson
from sqlalchemy import bindparam, or_, select

from changegate.extensions import settings
from changegate.models import OAuthEntityScope, OAuthExchange, SysApiAccessScope
from changegate.models.auth_scope import ANY
from changegate.services.access import Caller
from changegate.services.oauth.access_tokens import TOKEN_PREFIX, find_token_caller
from changegate.services.oauth.clients import Client
from changegate.services.prepared import Prepared

# The API of the rule by whose scope an integration sees the tokens of all; every other one sees its own.
REST_API = "oauth/introspect"
INACTIVE: Mapping[str, object] = {"active": False}


def introspect(token: str, client: Client) -> Mapping[str, object]:
    """Return what a token is worth at this moment, as RFC 7662 §2.2 names it.

    One that is unknown, ended, or none of the client's to know is not active, and nothing else is said of it. A token
    is active here exactly if a call with it would be taken, and its scope is what it has left of what was granted.
    """
    who = find_token_caller(token)
    if who is None or who.grant is None or who.origin is None or not _may_know(client, who.grant.entity):
        return INACTIVE
    correlation_id = who.origin.correlation_id
    is_opaque = token.startswith(TOKEN_PREFIX)
    times = _times_kept(correlation_id) if is_opaque else _times_in_token(token)
    if not times:  # its integration has been deleted at this moment
        return INACTIVE
    named = {"client_id": who.origin.client_id, "scope": who.grant.scope, "jti": correlation_id}
    return {"active": True, "token_type": "Bearer", **named, **_parties(who), **times, "nbf": times["iat"]}


def _may_know(client: Client, entity: str) -> bool:
    return client.entity == entity or _SEES_ALL.first({"entity": client.entity}) is not None


def _parties(who: Caller) -> dict[str, str]:
    issuer = settings().base_url
    return {"username": who.user_name, "sub": who.sys_id, "aud": issuer, "iss": issuer}


def _times_kept(correlation_id: str) -> dict[str, int]:
    row = _TIMES.first({"correlation_id": correlation_id})
    kept = {} if row is None else {"iat": row.happened_at, "exp": row.expires_at}
    return {name: int(instant.timestamp()) for name, instant in kept.items()}


def _times_in_token(token: str) -> dict[str, int]:
    """Return the times that a verified JWT says itself: its row was written a moment later."""
    payload = token.split(".")[1]
    claims = orjson.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {name: claims[name] for name in ("iat", "exp")}


_TIMES = Prepared(
    select(OAuthExchange.happened_at, OAuthExchange.expires_at).where(
        OAuthExchange.correlation_id == bindparam("correlation_id", None)
    )
)
_SEES_ALL = Prepared(
    select(SysApiAccessScope.sys_id)
    .join(OAuthEntityScope, OAuthEntityScope.scope == SysApiAccessScope.scope)
    .where(
        OAuthEntityScope.entity == bindparam("entity", None),
        SysApiAccessScope.active,
        SysApiAccessScope.rest_api == REST_API,
        or_(SysApiAccessScope.http_method == "POST", SysApiAccessScope.http_method == ANY),
    )
    .limit(1)
)
