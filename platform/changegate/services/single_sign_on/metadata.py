"""The endpoints of identity providers, from the metadata of their issuers (OpenID Connect Discovery 1.0 §3)."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from cachetools import TTLCache

from changegate.errors import JwksFetchFailed
from changegate.services.keys.fetches import Fetches
from changegate.services.keys.key_store import key_store
from changegate.services.single_sign_on.failures import SignOnFailed
from changegate.unproxied import current_application

REMEMBERED_SECONDS, REMEMBERED = 600, 64
CACHE = "sign_on_metadata"
# Guards the caches of all applications of the process; never held during a fetch.
_lock = threading.Lock()
BASIC, POST, NONE = "client_secret_basic", "client_secret_post", "none"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The checked endpoints of a provider."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    # Whether the client secret is sent as a form field because the provider does not take it as Basic.
    takes_posted_secret_only: bool
    # Whether each answer names its issuer (RFC 9207).
    names_issuer: bool


def get_metadata(issuer: str, *, is_fresh: bool = False) -> Metadata:
    """Return the metadata of an issuer, which this process remembers for ten minutes unless it must be `is_fresh`.

    Raises `SignOnFailed` and, if the server supports it, `Postponed`.
    """
    cache = _cache()
    with _lock:
        remembered = None if is_fresh else cache.get(issuer)
    if remembered is not None:
        return remembered
    try:
        found: Metadata = key_store().search(("sign-on metadata", issuer), lambda fetches: _read(fetches, issuer))
    except JwksFetchFailed as problem:
        raise SignOnFailed("sign_on_unavailable", problem.message) from None
    with _lock:
        cache[issuer] = found
    return found


def _read(fetches: Fetches, issuer: str) -> Metadata:
    document = fetches.read_metadata(issuer)
    methods = document.get("token_endpoint_auth_methods_supported", [BASIC])
    has_logout = document.get("end_session_endpoint") is not None
    return Metadata(
        authorization_endpoint=_url(document, "authorization_endpoint", fetches),
        token_endpoint=_url(document, "token_endpoint", fetches),
        jwks_uri=_url(document, "jwks_uri", fetches),
        end_session_endpoint=_url(document, "end_session_endpoint", fetches) if has_logout else None,
        takes_posted_secret_only=isinstance(methods, list) and BASIC not in methods and POST in methods,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _url(document: Mapping[str, object], name: str, fetches: Fetches) -> str:
    url = document.get(name)
    if not isinstance(url, str):
        raise JwksFetchFailed(f"The metadata of the issuer has no {name}.")
    try:
        fetches.require_url(url)
    except JwksFetchFailed as refusal:
        raise JwksFetchFailed(f"The {name} of the issuer cannot be used. {refusal.message}") from None
    return url


def _cache() -> TTLCache[str, Metadata]:
    cache: TTLCache[str, Metadata] = current_application().extensions.setdefault(
        CACHE, TTLCache(REMEMBERED, REMEMBERED_SECONDS)
    )
    return cache
