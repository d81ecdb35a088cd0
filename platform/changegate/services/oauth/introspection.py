"""Token introspection (RFC 7662): whether a token is active, and what it grants."""

from collections.abc import Mapping

from sqlalchemy import or_, select

from changegate.database.prepared import Prepared, parameter
from changegate.extensions import now, settings
from changegate.models import OAuthEntityScope, OAuthExchange, SysApiAccessScope
from changegate.models.auth_scope import ANY
from changegate.services.oauth.access_tokens import OPAQUE_PREFIX, find_token_caller
from changegate.services.oauth.clients import Client
from changegate.services.oauth.grant_types import REFRESH_TOKEN, allowed_grants
from changegate.services.oauth.jwt_token import claims_of_verified
from changegate.services.oauth.refresh_tokens import (
    expiry_of,
    find_end,
    find_refresh_token,
    is_refresh_token,
    remaining_scopes,
)
from changegate.services.oauth.resource_owners import find_owner_fault

# A scope with a rule for this API lets an integration introspect all tokens; without one, only its own.
REST_API = "oauth/introspect"
INACTIVE: Mapping[str, object] = {"active": False}


def introspect(token: str, client: Client) -> Mapping[str, object]:
    """Return the introspection response for a token (RFC 7662 §2.2).

    Unknown, expired, and foreign tokens are reported as inactive, without further detail. A token is active exactly if
    a call with it would be accepted now; its scope is the part of the granted scope that the integration still has. A
    refresh token is reported to its own client only, so that no resource server mistakes it for an access token.
    """
    if is_refresh_token(token):
        return _introspect_refresh_token(token, client)
    # Must stay the lookup of the APIs. A second implementation could report a token as active that the APIs refuse.
    caller = find_token_caller(token)
    # The response for another integration's token must equal that for an unknown one. Otherwise, clients could test
    # which tokens exist.
    if (
        caller is None
        or caller.grant is None
        or caller.origin is None
        or not _may_introspect(client, caller.grant.entity)
    ):
        return INACTIVE
    correlation_id = caller.origin.correlation_id
    is_opaque = token.startswith(OPAQUE_PREFIX)
    times = _times_kept(correlation_id) if is_opaque else _times_in_token(token)
    if not times:  # The integration has just been deleted.
        return INACTIVE
    named = {"client_id": caller.origin.client_id, "scope": caller.grant.scope, "jti": correlation_id}
    times = {**times, "nbf": times["iat"]}
    return {"active": True, "token_type": "Bearer", **named, **_parties(caller.user_name, caller.sys_id), **times}


def _introspect_refresh_token(token: str, client: Client) -> Mapping[str, object]:
    """Return the response for a refresh token: active exactly if a refresh with it would succeed."""
    row = find_refresh_token(token)
    if row is None or find_end(row, client, now()) or find_owner_fault(row, row.password_mark):
        return INACTIVE
    # Checked now, because the integration may have been edited after the refresh token was issued.
    if REFRESH_TOKEN not in allowed_grants(client):
        return INACTIVE
    expires_at = expiry_of(row, client.refresh_token_lifespan)
    times = {"iat": int(row.issued_at.timestamp()), "exp": int(expires_at.timestamp())}
    named = {"client_id": client.client_id, "scope": " ".join(remaining_scopes(row, client)), "jti": row.correlation_id}
    return {"active": True, "token_type": REFRESH_TOKEN, **named, **_parties(row.user_name, row.user), **times}


def _may_introspect(client: Client, entity: str) -> bool:
    return client.entity == entity or _SEES_ALL.first({"entity": client.entity}) is not None


def _parties(user_name: str, sys_id: str) -> dict[str, str]:
    issuer = settings().base_url
    return {"username": user_name, "sub": sys_id, "aud": issuer, "iss": issuer}


def _times_kept(correlation_id: str) -> dict[str, object]:
    row = _TIMES.first({"correlation_id": correlation_id})
    kept = {} if row is None else {"iat": row.happened_at, "exp": row.expires_at}
    return {name: int(instant.timestamp()) for name, instant in kept.items()}


def _times_in_token(token: str) -> dict[str, object]:
    """Return the times in a verified JWT; those of its row may differ, because it was written a moment later."""
    claims = claims_of_verified(token)
    return {name: claims[name] for name in ("iat", "exp")}


_TIMES = Prepared(
    select(OAuthExchange.happened_at, OAuthExchange.expires_at).where(
        OAuthExchange.correlation_id == parameter("correlation_id")
    )
)
_SEES_ALL = Prepared(
    select(SysApiAccessScope.sys_id)
    .join(OAuthEntityScope, OAuthEntityScope.scope == SysApiAccessScope.scope)
    .where(
        OAuthEntityScope.entity == parameter("entity"),
        SysApiAccessScope.active,
        SysApiAccessScope.rest_api == REST_API,
        or_(SysApiAccessScope.http_method == "POST", SysApiAccessScope.http_method == ANY),
    )
    .limit(1)
)
