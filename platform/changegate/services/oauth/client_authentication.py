"""Client authentication at the OAuth endpoints.

See docs/reference/token-endpoint.md#client-authentication.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from changegate.errors import RateLimited
from changegate.extensions import limiter, now
from changegate.failure_limit import Guess
from changegate.oauth_errors import InvalidClient, TooManyFailures
from changegate.services.oauth.clients import Client, StoredClient, find_client, find_public_client
from changegate.services.oauth.secrets import is_right_secret


@dataclass(frozen=True, slots=True, repr=False)
class ClientCredentials:
    """The client credentials of a request and its address; members that were not sent are None.

    At most one of `secret` and `assertion` is sent.
    """

    client_id: str | None
    secret: str | None
    assertion: str | None = None
    address: str = field(kw_only=True)


def authenticate_client(credentials: ClientCredentials, assertion_text: str | None) -> Client:
    """Return the authenticated client of a request.

    A public client may omit its id. The unverified audience or issuer of its assertion then chooses the configuration,
    and nothing else. Raises `InvalidClient`, and `TooManyFailures` before a secret is compared.
    """
    if credentials.client_id is not None:
        stored = find_client(credentials.client_id)
    else:
        stored = find_public_client(assertion_text)
    if credentials.secret is not None:
        # For unknown clients too, so that a reached limit does not reveal which client ids exist. No secret is compared
        # beyond the limit, not even the right one (decision 0004).
        guess = require_room_to_guess(credentials.address, credentials.client_id or "")
        _require_secret(guess, stored, credentials.secret)
    if stored is None:
        raise InvalidClient("client_unknown")
    if credentials.secret is None and not stored.client.is_public:
        raise InvalidClient("client_secret_bad")
    # Checked last: a wrong secret is refused as such, whether the client is active or not.
    return _require_active(stored)


def require_room_to_guess(address: str, name: str) -> Guess:
    """Return the permission to compare one secret or password for a name; raises `TooManyFailures`."""
    try:
        return limiter.require_room_to_guess(address, name)
    except RateLimited as limited:
        raise TooManyFailures(limited.retry_after) from None


def get_unauthenticated_client(client_id: str | None) -> Client:
    """Return an active client that is not authenticated yet; raises `InvalidClient`."""
    stored = None if client_id is None else find_client(client_id)
    if stored is None:
        raise InvalidClient("client_unknown")
    return _require_active(stored)


def _require_active(stored: StoredClient) -> Client:
    if not stored.is_active:
        raise InvalidClient("client_inactive")
    return stored.client


def _require_secret(guess: Guess, stored: StoredClient | None, secret: str) -> None:
    """Refuse and count a wrong secret; an unknown client takes the same steps, so that timing does not reveal it."""
    kept = stored.secrets if stored else (None, None, None)
    # Some clients percent-encode the secret for Basic authentication (RFC 6749 §2.3.1) and some do not: try both forms.
    if not any(is_right_secret(guess, form, *kept, now()) for form in _forms(secret)):
        limiter.count_guess(guess)
        raise InvalidClient("client_secret_bad" if stored else "client_unknown")


def _forms(secret: str) -> Iterator[str]:
    yield secret
    if "%" in secret or "+" in secret:
        yield unquote_plus(secret)
