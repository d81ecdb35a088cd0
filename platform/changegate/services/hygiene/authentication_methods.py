"""Authentication methods: by which grants tokens are bought, and how clients prove themselves (oauth_jwt.md §1.2)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from changegate.models.connection_type import AUTHENTICATION_METHODS, PUBLIC, REFRESH, SECRET, TYPES
from changegate.models.oauth_entity import JWT_BEARER, PASSWORD
from changegate.services.hygiene.facts import Row
from changegate.services.hygiene.log_reading import UseOfToken

Way = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class AuthenticationMethod:
    """A connection type or the refresh grant, with how its clients prove themselves: `secret`, `public` or None.

    `active_integrations` may use it as they are registered now. `tokens` were bought by it in the last 7 days; an ID
    token counts when it is used for the first time.
    """

    method: str
    client_authentication: str | None
    active_integrations: int
    tokens: int


def count_methods(integrations: Iterable[Row], uses: Iterable[UseOfToken]) -> list[AuthenticationMethod]:
    """Return every method there is, used or not."""
    registered, bought = Counter[Way](), Counter[Way]()
    ways = {row.sys_id: _way_of(row) for row in integrations}
    for row in integrations:
        if row.active:
            registered[ways[row.sys_id]] += 1
            registered[REFRESH, SECRET] += row.type == PASSWORD and row.issue_refresh_tokens
    for use in uses:
        if use.entity in ways:
            bought[ways[use.entity]] += use.lately - use.refreshed
            bought[REFRESH, SECRET] += use.refreshed
    return [AuthenticationMethod(*way, registered[way], bought[way]) for way in AUTHENTICATION_METHODS]


def _way_of(row: Row) -> Way:
    if not TYPES[row.type].has_secret:
        return row.type, None
    return row.type, PUBLIC if row.type == JWT_BEARER and row.public_client else SECRET
