"""Authentication methods: by which grants tokens are bought, and how clients prove themselves.

See docs/reference/inbound-integrations.md#console.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from changegate.models.connection_type import AUTHENTICATION_METHODS, PRIVATE_KEY_JWT, PUBLIC, REFRESH, SECRET, TYPES
from changegate.models.oauth_entity import JWT_BEARER, PASSWORD
from changegate.services.hygiene.facts import Row
from changegate.services.hygiene.log_reading import UseOfToken

Way = tuple[str, str | None]
# As long as the event log goes back.
SIGNED_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AuthenticationMethod:
    """A connection type or the refresh grant, with how its clients authenticate: see `client_authentication_of`.

    `active_integrations` may use it as they are registered now. `tokens` were bought by it in the last 7 days; an ID
    token counts when it is used for the first time.
    """

    method: str
    client_authentication: str | None
    active_integrations: int
    tokens: int


def count_methods(integrations: Iterable[Row], uses: Iterable[UseOfToken], at: datetime) -> list[AuthenticationMethod]:
    """Return every method there is, used or not."""
    registered, bought = Counter[Way](), Counter[Way]()
    ways = {row.sys_id: (row.type, client_authentication_of(row, at)) for row in integrations}
    for row in integrations:
        if row.active:
            registered[ways[row.sys_id]] += 1
            registered[REFRESH, SECRET] += row.type == PASSWORD and row.issue_refresh_tokens
    for use in uses:
        if use.entity in ways:
            bought[ways[use.entity]] += use.lately - use.refreshed
            bought[REFRESH, SECRET] += use.refreshed
    return [AuthenticationMethod(*way, registered[way], bought[way]) for way in AUTHENTICATION_METHODS]


def client_authentication_of(row: Row, at: datetime) -> str | None:
    """Return how the client of an integration authenticates; None for ID tokens, which no client sends.

    A public client counts as one that signs if it has signed within 30 days. Its exchanges without a client assertion
    are then counted with the others: events do not record it.
    """
    if not TYPES[row.type].has_secret:
        return None
    if row.type != JWT_BEARER or not row.public_client:
        return SECRET
    signed_at = row.last_client_assertion_at
    return PRIVATE_KEY_JWT if signed_at is not None and signed_at > at - SIGNED_WITHIN else PUBLIC
