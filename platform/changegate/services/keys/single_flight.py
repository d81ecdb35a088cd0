"""Single flights: one fetch per name is under way in a process, and all requests that need it wait for that one.

    request 1       start("a") ──> starts a fetch thread     wait ──> Postponed, or waits on its own thread
    request 2       start("a") ──> joins the flight          wait ──> Postponed, or waits on its own thread
    fetch thread    fetches ──> `fetched` ──> `landed` ──> requests 1 and 2 continue

A postponed request gives up its thread and later runs again from the start. The result of its fetch is then in the
database; for `outcome`, the flight keeps it until each request that waits for it has come back. No request fetches
twice.
"""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from changegate.database import end_turn
from changegate.errors import JwksFetchFailed
from changegate.postponed import Postponed, can_postpone
from changegate.services.keys.fetch_threads import SLOW_SECONDS, FetchThreads, TooManyFetches

LONGEST_SECONDS = 15.0
# In one process, over all fetches: half of the four threads that answer requests.
MOST_IN_PLACE = 2
MOST_POSTPONED = 100
# How long a fetch that got no thread is not retried. The requests that were postponed for it run again within this
# time, and are refused then instead of waiting a second time.
REFUSED_SECONDS = 5.0


class TooManyWaiting(JwksFetchFailed):
    """The maximum number of requests wait for this fetch already."""

    status = 503

    def __init__(self) -> None:
        super().__init__("Many requests wait for this key set already; try again.")


@dataclass(slots=True, eq=False)
class Flight:
    """One fetch: `fetched` has its result or exception, `landed` is done once requests may continue."""

    fetched: Future[Any] = field(default_factory=Future)
    landed: Future[None] = field(default_factory=Future)
    begun_at: float = field(default_factory=time.monotonic)
    refused_until: float = 0.0
    postponed: int = 0
    # Number of postponed requests that will ask for the outcome when they run again.
    owed: int = 0

    def is_under_way(self) -> bool:
        """Return whether a request for the same name joins this flight instead of starting another one."""
        return not self.landed.done() or time.monotonic() < self.refused_until

    def require_fetch_thread(self) -> None:
        """Raise `TooManyFetches` if the fetch got no thread."""
        if self.landed.done() and isinstance(problem := self.fetched.exception(), TooManyFetches):
            raise problem


class SingleFlight:
    """The flights of a process: those under way, and those whose outcome a postponed request comes back for."""

    def __init__(self) -> None:
        self._threads = FetchThreads()
        # Guards everything below and the counters of the flights; never held while a thread waits or starts a fetch.
        self._lock = threading.Lock()
        # Number of threads that wait for any flight.
        self._in_place = 0
        self._under_way: dict[Hashable, Flight] = {}
        self._owed: dict[Hashable, Flight] = {}

    def start(self, name: Hashable, host: str, fetch: Callable[[], Any]) -> tuple[Flight, bool]:
        """Return the flight of this name, and whether this call began it."""
        with self._lock:
            self._under_way = {other: flight for other, flight in self._under_way.items() if flight.is_under_way()}
            if (flight := self._under_way.get(name)) is not None:
                return flight, False
            # From here on, other requests join and wait for `landed`, although the fetch has not begun.
            flight = self._under_way[name] = Flight()
        flight.fetched = self._threads.start(host, fetch)
        # Runs on the fetch thread, or at once on this thread if the fetch has ended already.
        flight.fetched.add_done_callback(lambda fetched: self._land(flight, fetched))
        return flight, True

    def wait(self, flight: Flight, seconds: float) -> None:
        """Wait until a flight has landed, at most the given seconds; raises `Postponed` if the server supports it.

        At most `MOST_IN_PLACE` threads of a process wait for slow fetches, whichever the providers. While they do, any
        further thread stops waiting once its fetch has taken `SLOW_SECONDS`, and raises `TooManyWaiting`. Raises
        `TooManyFetches` if the fetch got no thread.
        """
        if not flight.landed.done():
            self._postpone(flight)
            self._wait_in_place(flight, seconds)
        flight.require_fetch_thread()

    def outcome(self, name: Hashable, host: str, fetch: Callable[[], Any]) -> Any:
        """Return the result of a fetch of this name, or raise its exception, once it has landed.

        Raises `Postponed`, `TooManyWaiting`, and `TooManyFetches` as `wait` does.
        """
        flight = self._collect(name)
        if flight is None:
            flight, _ = self.start(name, host, fetch)
            self._postpone(flight, name)
            self._wait_in_place(flight, LONGEST_SECONDS)
        if not flight.landed.done():
            raise TooManyWaiting
        return flight.fetched.result()

    def _postpone(self, flight: Flight, name: Hashable = None) -> None:
        """Postpone the current request, if the server supports it.

        With a name, the request gets the outcome of this flight when it runs again.
        """
        if not can_postpone():
            return
        with self._lock:
            # Counted under the lock, so that `_collect` finds every request that is owed the outcome.
            if flight.landed.done():
                return
            if flight.postponed >= MOST_POSTPONED:
                raise TooManyWaiting
            flight.postponed += 1
            if name is not None:
                self._owed[name] = flight
                flight.owed += 1
        raise Postponed(flight.landed)

    def _collect(self, name: Hashable) -> Flight | None:
        """Return a flight that has landed since the current request was postponed for it."""
        oldest = time.monotonic() - 2 * LONGEST_SECONDS
        with self._lock:
            # A request whose client has disconnected never collects its outcome, so that old flights are dropped.
            self._owed = {other: flight for other, flight in self._owed.items() if flight.begun_at > oldest}
            flight = self._owed.get(name)
            if flight is None or not flight.landed.done():
                return None
            flight.owed -= 1
            if flight.owed <= 0:
                del self._owed[name]
            return flight

    def _wait_in_place(self, flight: Flight, seconds: float) -> None:
        # Other requests of the process may run while this thread waits (decision 0012).
        end_turn()
        with self._lock:
            self._in_place += 1
            is_one_of_few = self._in_place <= MOST_IN_PLACE
        try:
            timeout = seconds if is_one_of_few else flight.begun_at + SLOW_SECONDS - time.monotonic()
            with suppress(TimeoutError):
                flight.landed.result(max(0.0, timeout))
        finally:
            with self._lock:
                self._in_place -= 1
        if not is_one_of_few and not flight.landed.done():
            raise TooManyWaiting

    @staticmethod
    def _land(flight: Flight, fetched: Future[Any]) -> None:
        # Before `landed`: a request that continues must see that the flight was refused.
        if isinstance(fetched.exception(), TooManyFetches):
            flight.refused_until = time.monotonic() + REFUSED_SECONDS
        flight.landed.set_result(None)
