"""Threads that run functions for the event loop.

    event loop   run(work) ──> queue ──> thread: work()
                 future    <── call_soon_threadsafe(settle)

Futures of asyncio are not thread-safe: a thread never sets a result itself.
"""

import logging
from asyncio import Future, Semaphore, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

log = logging.getLogger(__name__)


class Threads:
    """A fixed number of threads that share one queue; half the cost per request of `ThreadPoolExecutor`."""

    def __init__(self, count: int, name: str) -> None:
        self._queue: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        # Callers hold it for work that must leave half of the threads to other requests.
        self.half = Semaphore(max(1, count // 2))
        for number in range(count):
            Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, work: Callable[[], Any]) -> Future[Any]:
        """Queue `work`; return the future of its result, which is None if it raises. The exception is logged."""
        done: Future[Any] = get_running_loop().create_future()
        self._queue.put(partial(_settle_later, work, done))
        return done

    def start(self, work: Callable[[], Any]) -> None:
        """Queue `work`, from any thread. An exception is logged."""
        self._queue.put(work)

    def _work(self) -> None:
        while True:
            # A separate function, so that no local keeps the last request alive while the thread waits.
            _do(self._queue.get())


def _do(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception:
        log.exception("a request failed outside of the application")
        return None


def _settle_later(work: Callable[[], Any], done: Future[Any]) -> None:
    outcome = _do(work)
    with suppress(RuntimeError):  # the event loop is closed because the process ends
        done.get_loop().call_soon_threadsafe(settle, done, outcome)


def settle(done: Future[Any], outcome: Any) -> None:
    """Set the result of a future unless it was canceled. Runs in the event loop."""
    if not done.done():
        done.set_result(outcome)
