"""Administrators' actions on keys: block, unblock, and refresh."""

import re

from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.services.integrations.connection_types import require_provider
from changegate.services.integrations.integration_fields import changing
from changegate.services.keys.key_renewal import FetchedKeySet
from changegate.services.keys.key_source import KeySource
from changegate.services.keys.key_store import KeyStore
from changegate.services.keys.static_keys import static_keys_of
from changegate.services.oauth.access_tokens import revoke_tokens

THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def block_key(entity: OAuthEntity, thumbprint: str, *, by: str) -> None:
    """Stop trusting a key, whatever its provider publishes, and revoke the integration's tokens.

    `thumbprint` follows RFC 7638 and has 43 characters; raises `InputInvalid` for other text. Takes effect at the next
    request, in every process.
    """
    require_provider(entity, "keys", "thumbprint")
    _require_thumbprint(thumbprint)
    with changing(entity, by):
        entity.blocked_keys = sorted({*(entity.blocked_keys or ()), thumbprint})
        # Which tokens were issued for assertions of this key is not recorded, so that all are revoked.
        revoke_tokens(entity)


def unblock_key(entity: OAuthEntity, thumbprint: str, *, by: str) -> None:
    """Trust a key again if its provider publishes it; raises `InputInvalid` for text that is not a thumbprint."""
    _require_thumbprint(thumbprint)
    with changing(entity, by):
        entity.blocked_keys = sorted({*(entity.blocked_keys or ())} - {thumbprint})


def refresh_keys(entity: OAuthEntity, key_store: KeyStore) -> FetchedKeySet:
    """Fetch an integration's keys now and store them.

    Raises `JwksFetchFailed`, also for keys that are stored with the integration, or `JwksUnusable`; a good key set
    then stays in the cache. Raises `InputInvalid` if the connection type has no keys.
    """
    require_provider(entity, "keys", "client_id")
    lifespan, static = entity.jwks_cache_lifespan_minutes, static_keys_of(entity)
    return key_store.refresh(KeySource(entity.sys_id, entity.jwks_url, lifespan, static=static))


def _require_thumbprint(text: str) -> None:
    if not THUMBPRINT.match(text):
        raise InputInvalid({"thumbprint": ["A thumbprint has 43 characters of base64url."]})
