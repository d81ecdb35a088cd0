"""One worker at a task within this process; the others may wait for it."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class SingleFlight:
    """Tasks by name, each done by one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, threading.Event] = {}

    @contextmanager
    def lead(self, name: Hashable) -> Iterator[bool]:
        """Yield whether this thread is the one to do the task; it is under way until the block ends."""
        landed = threading.Event()
        with self._lock:
            leads = self._under_way.setdefault(name, landed) is landed
        try:
            yield leads
        finally:
            if leads:
                with self._lock:
                    del self._under_way[name]
                landed.set()

    def wait(self, name: Hashable, seconds: float) -> bool:
        """Wait until the task is no longer under way; False when it still is after `seconds`."""
        with self._lock:
            landed = self._under_way.get(name)
        return landed is None or landed.wait(seconds)
