"""The threads that answer: they run what they are given, and tell the event loop."""

import logging
from asyncio import Future, Semaphore, get_running_loop
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any

log = logging.getLogger(__name__)


class Threads:
    """A few threads at one queue. A pool of `concurrent.futures` would cost a request twice as much."""

    def __init__(self, count: int, name: str) -> None:
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        # For work that others must not wait behind: it has at most half of the threads.
        self.half = Semaphore(max(1, count // 2))
        for number in range(count):
            Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, work: Callable[[], Any]) -> Future[Any]:
        """Return what becomes of `work` on a thread; None where it fails, which is logged."""
        done: Future[Any] = get_running_loop().create_future()
        self._queue.put((work, done))
        return done

    def _work(self) -> None:
        while True:
            # In a function of its own, so that no thread keeps what it has done while it waits for more.
            _do(*self._queue.get())


def _do(work: Callable[[], Any], done: Future[Any]) -> None:
    try:
        outcome = work()
    except Exception:
        log.exception("a request failed outside of the application")
        outcome = None
    with suppress(RuntimeError):  # the event loop is closed: the process ends
        done.get_loop().call_soon_threadsafe(settle, done, outcome)


def settle(done: Future[Any], outcome: Any) -> None:
    """Give a future its outcome, unless nobody waits for it any more."""
    if not done.done():
        done.set_result(outcome)
