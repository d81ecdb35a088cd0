"""The limit on fetches that one address causes with key ids that the provider does not publish.

Each integration has its own cooldown. Without this limit, an address could cause one fetch for each integration.
"""

from collections.abc import Callable

from changegate.errors import RateLimited
from changegate.extensions import limiter
from changegate.services.keys.key_renewal import FetchedKeySet
from changegate.unproxied import current_application

COUNTED_AS = "key fetches for unknown kids"


class FutileFetches:
    """The futile fetches of one address; without an address, as for commands, there is no limit."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def may_fetch(self) -> bool:
        """Return whether this address may cause one more fetch."""
        if self._address is None:
            return True
        try:
            limiter.require_room_to_fail(self._address, COUNTED_AS)
        except RateLimited:
            return False
        return True

    def counting(self, kid: str) -> Callable[[FetchedKeySet | None], None]:
        """Return a callback that counts a fetch if it failed or its key set lacks the kid.

        The callback runs on a fetch thread, outside of any application context.
        """
        app, address = current_application(), self._address

        def count(fetched: FetchedKeySet | None) -> None:
            # A fetch that brings the kid is a rotation and does not count, however many clients share an address.
            if address is not None and (fetched is None or not fetched.key_set.has_kid(kid)):
                with app.app_context():
                    limiter.count(address, COUNTED_AS)

        return count
