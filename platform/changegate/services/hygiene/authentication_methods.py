"""Authentication methods: the grants by which tokens are issued, and how clients authenticate.

See docs/reference/inbound-integrations.md#console.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from changegate.models.connection_type import AUTHENTICATION_METHODS, PRIVATE_KEY_JWT, PUBLIC, REFRESH, SECRET, TYPES
from changegate.models.integration_choices import JWT_BEARER, PASSWORD
from changegate.services.hygiene.facts import Row
from changegate.services.hygiene.log_reading import UseOfToken

Way = tuple[str, str | None]
# As long as the event log keeps events.
SIGNED_WITHIN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AuthenticationMethod:
    """A connection type or the refresh grant, with its client authentication (see `client_authentication_of`).

    `active_integrations` is the number of integrations that may use it now, `tokens` the number of tokens issued by it
    in the last 7 days; an ID token counts at its first use.
    """

    method: str
    client_authentication: str | None
    active_integrations: int
    tokens: int


def count_methods(integrations: Iterable[Row], uses: Iterable[UseOfToken], at: datetime) -> list[AuthenticationMethod]:
    """Return all methods, used or not."""
    registered, issued = Counter[Way](), Counter[Way]()
    ways = {row.sys_id: (row.type, client_authentication_of(row, at)) for row in integrations}
    for row in integrations:
        if row.active:
            registered[ways[row.sys_id]] += 1
            registered[REFRESH, SECRET] += row.type == PASSWORD and row.issue_refresh_tokens
    for use in uses:
        if use.entity in ways:
            issued[ways[use.entity]] += use.lately - use.refreshed
            issued[REFRESH, SECRET] += use.refreshed
    return [AuthenticationMethod(*way, registered[way], issued[way]) for way in AUTHENTICATION_METHODS]


def client_authentication_of(row: Row, at: datetime) -> str | None:
    """Return how the client of an integration authenticates; None for ID tokens, which involve no client.

    A public client counts as `private_key_jwt` if it has sent a client assertion within 30 days. All its exchanges are
    counted so then, because events do not record whether a client assertion was sent.
    """
    if not TYPES[row.type].has_secret:
        return None
    if row.type != JWT_BEARER or not row.public_client:
        return SECRET
    signed_at = row.last_client_assertion_at
    return PRIVATE_KEY_JWT if signed_at is not None and signed_at > at - SIGNED_WITHIN else PUBLIC
