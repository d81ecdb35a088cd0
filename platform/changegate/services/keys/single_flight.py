"""Fetches by name: each is under way once in a process, and requests wait for it without a thread where they can.

    request 1    start("a") ──> fetch thread            wait ──> Postponed, or waits on its own thread
    request 2    start("a") ──> the same flight         wait ──> Postponed, or waits on its own thread
    fetch thread fetches ──> lands ──> both go on

A request that is postponed runs again from the start. What a fetch brought is in the database then, or, for `outcome`,
kept until each request that waits for it has come back: no request fetches twice.
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
# Of one process, over all fetches: half of the threads that answer requests, of which a server has four.
MOST_IN_PLACE = 2
MOST_POSTPONED = 100
# For which a fetch that found no room is not tried again: those who waited for it are refused, and do not wait again.
REFUSED_SECONDS = 5.0


class TooManyWaiting(JwksFetchFailed):
    """As many requests wait for this fetch as may."""

    status = 503

    def __init__(self) -> None:
        super().__init__("Many requests wait for this key set already; try again.")


@dataclass(slots=True, eq=False)
class Flight:
    """One fetch, with `fetched` as its outcome; `landed` is done when that is there and kept."""

    fetched: Future[Any] = field(default_factory=Future)
    landed: Future[None] = field(default_factory=Future)
    begun_at: float = field(default_factory=time.monotonic)
    refused_until: float = 0.0
    postponed: int = 0
    # Postponed requests that will ask for the outcome when they run again.
    owed: int = 0

    def is_under_way(self) -> bool:
        """Return whether others join this flight."""
        return not self.landed.done() or time.monotonic() < self.refused_until

    def require_room(self) -> None:
        """Raise `TooManyFetches` if the fetch found no room."""
        if self.landed.done() and isinstance(problem := self.fetched.exception(), TooManyFetches):
            raise problem


class SingleFlight:
    """Fetches under way, and outcomes that a request comes back for."""

    def __init__(self) -> None:
        self._threads = FetchThreads()
        self._lock = threading.Lock()
        # Threads that wait for any flight.
        self._in_place = 0
        self._under_way: dict[Hashable, Flight] = {}
        self._owed: dict[Hashable, Flight] = {}

    def start(self, name: Hashable, host: str, fetch: Callable[[], Any]) -> tuple[Flight, bool]:
        """Return the flight of this name, and whether it begins with this call."""
        with self._lock:
            self._under_way = {other: flight for other, flight in self._under_way.items() if flight.is_under_way()}
            if (flight := self._under_way.get(name)) is not None:
                return flight, False
            flight = self._under_way[name] = Flight()
        flight.fetched = self._threads.start(host, fetch)
        flight.fetched.add_done_callback(lambda fetched: self._land(flight, fetched))
        return flight, True

    def wait(self, flight: Flight, seconds: float) -> None:
        """Wait until a flight has landed, or for so many seconds; raises `Postponed` where the server can do that.

        Raises `TooManyWaiting` where enough requests wait, and `TooManyFetches`. Of the threads of a process that
        answer requests, two at most wait for slow fetches, whatever the providers. While they do, a further thread
        leaves once its fetch has taken `SLOW_SECONDS`.
        """
        if not flight.landed.done():
            self._postpone(flight)
            self._wait_in_place(flight, seconds)
        flight.require_room()

    def outcome(self, name: Hashable, host: str, fetch: Callable[[], Any]) -> Any:
        """Return what a fetch of this name returns or raises, once it has landed.

        Raises `Postponed` and `TooManyWaiting` as `wait` does, and `TooManyFetches`.
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
        """Postpone the request at work, if it can be; a name lets it have the outcome when it runs again."""
        if not can_postpone():
            return
        with self._lock:
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
        """Return a flight that has landed since the request at work was postponed for it."""
        oldest = time.monotonic() - 2 * LONGEST_SECONDS
        with self._lock:
            # A client that left meanwhile does not come back for its outcome.
            self._owed = {other: flight for other, flight in self._owed.items() if flight.begun_at > oldest}
            flight = self._owed.get(name)
            if flight is None or not flight.landed.done():
                return None
            flight.owed -= 1
            if flight.owed <= 0:
                del self._owed[name]
            return flight

    def _wait_in_place(self, flight: Flight, seconds: float) -> None:
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
        if isinstance(fetched.exception(), TooManyFetches):
            flight.refused_until = time.monotonic() + REFUSED_SECONDS
        flight.landed.set_result(None)
