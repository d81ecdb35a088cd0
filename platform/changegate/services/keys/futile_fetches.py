"""Fetches that an address causes by key ids which its provider does not publish: so many in a minute, and no more.

Each integration has its own cooldown. An address that goes through all integrations would still cause a fetch of each.
"""

from collections.abc import Callable

from changegate.errors import RateLimited
from changegate.extensions import current_application, limiter
from changegate.services.keys.key_renewal import FetchedKeySet

COUNTED_AS = "key fetches for unknown kids"


class FutileFetches:
    """The futile fetches of one address; without an address, as for commands, there is no bound."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def has_room(self) -> bool:
        """Return whether this address may cause one more fetch."""
        if self._address is None:
            return True
        try:
            limiter.require_room(self._address, COUNTED_AS)
        except RateLimited:
            return False
        return True

    def counting(self, kid: str) -> Callable[[FetchedKeySet | None], None]:
        """Return what counts a fetch that did not bring a kid; called on a fetch thread, without a context."""
        app, address = current_application(), self._address

        def count(fetched: FetchedKeySet | None) -> None:
            # A rotation costs its clients nothing, however many share an address.
            if address is not None and (fetched is None or not fetched.key_set.has_kid(kid)):
                with app.app_context():
                    limiter.count(address, COUNTED_AS)

        return count
