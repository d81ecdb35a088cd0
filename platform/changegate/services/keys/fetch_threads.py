"""Dedicated threads for fetches, so that a slow provider never occupies a thread that answers requests.

    request thread    start(host, fetch) ──> a new fetch thread, or the queue ──> Future
    fetch thread      runs the fetch ──> starts the queued fetches that may begin now ──> resolves the Future

No thread waits for another here: `start` returns at once, and `single_flight` decides who waits for the Future. At most
`THREADS` fetches are under way in a process. One host gets at most half of them. All hosts whose last fetch was slow
share at most half of them too: the other half stays free for providers that answer quickly.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cachetools import LRUCache

from changegate.errors import JwksFetchFailed

THREADS = 8
SHARE = THREADS // 2
MOST_QUEUED = 64
SLOW_SECONDS = 1.0
# Plus the longest fetch, this must stay below the 15 seconds that a request may wait (`single_flight.LONGEST_SECONDS`).
LONGEST_QUEUED_SECONDS = 5.0
MOST_SLOW_HOSTS = 256


class TooManyFetches(JwksFetchFailed):
    """More fetches are requested at this moment than may be under way or queued."""

    status = 503

    def __init__(self) -> None:
        super().__init__("Too many key sets are being fetched at this moment; try again.")


@dataclass(slots=True)
class _Fetch:
    host: str
    run: Callable[[], Any]
    outcome: Future[Any] = field(default_factory=Future)
    queued_at: float = field(default_factory=time.monotonic)


class FetchThreads:
    """Fetches under way, and fetches that are queued for a thread."""

    def __init__(self) -> None:
        # Guards everything below. Never held while a fetch runs, nor while a Future is resolved, since that runs the
        # callbacks of other modules.
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._queue: list[_Fetch] = []
        self._slow_hosts = LRUCache[str, None](MOST_SLOW_HOSTS)

    def start(self, host: str, run: Callable[[], Any]) -> Future[Any]:
        """Call `run` on a thread of its own and return the Future of its result, which is resolved within 15 seconds.

        The Future raises `TooManyFetches` if the queue is full, or if the fetch was queued for too long.
        """
        fetch = _Fetch(host, run)
        has_room = True
        with self._lock:
            if self._may_run(fetch):
                has_room = self._begin(fetch)
            elif len(self._queue) < MOST_QUEUED:
                self._queue.append(fetch)
            else:
                has_room = False
        if not has_room:
            fetch.outcome.set_exception(TooManyFetches())
        return fetch.outcome

    def _may_run(self, fetch: _Fetch) -> bool:
        if self._running.total() >= THREADS or self._running[fetch.host] >= SHARE:
            return False
        slow = sum(self._running[host] for host in self._slow_hosts)
        return fetch.host not in self._slow_hosts or slow < SHARE

    def _begin(self, fetch: _Fetch) -> bool:
        try:
            threading.Thread(target=self._work, args=[fetch], name="key-fetch", daemon=True).start()
        except RuntimeError:  # the system gives no more threads
            return False
        self._running[fetch.host] += 1
        return True

    def _work(self, fetch: _Fetch) -> None:
        begun = time.monotonic()
        outcome, problem = None, None
        try:
            outcome = fetch.run()
        except Exception as raised:
            problem = raised
        with self._lock:
            self._note_speed(fetch.host, time.monotonic() - begun)
            self._running[fetch.host] -= 1
            # Adding a Counter drops the entries that are zero; otherwise every host ever fetched from would stay.
            self._running += Counter()
            late = self._take_from_queue()
        if problem is None:
            fetch.outcome.set_result(outcome)
        else:
            fetch.outcome.set_exception(problem)
        for other in late:
            other.outcome.set_exception(TooManyFetches())

    def _note_speed(self, host: str, seconds: float) -> None:
        if seconds > SLOW_SECONDS:
            self._slow_hosts[host] = None
        else:
            self._slow_hosts.pop(host, None)

    def _take_from_queue(self) -> list[_Fetch]:
        """Start the queued fetches that may begin now, oldest first; return those that were dropped.

        Called with the lock held. Fetches are dropped when they were queued for too long, or when no thread can start.
        """
        latest = time.monotonic() - LONGEST_QUEUED_SECONDS
        late = [fetch for fetch in self._queue if fetch.queued_at < latest]
        self._queue = [fetch for fetch in self._queue if fetch.queued_at >= latest]
        for fetch in tuple(self._queue):
            if self._may_run(fetch):
                self._queue.remove(fetch)
                if not self._begin(fetch):
                    late.append(fetch)
        return late


def host_of(url: str) -> str:
    """Return the host and port of a URL, or the URL itself if it cannot be parsed; a name to count fetches by."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return url
