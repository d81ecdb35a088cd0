"""Times of recent failures by key, in the memory of this process, with a bounded number of keys."""

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from itertools import islice

from limits.storage import MemoryStorage

MOST_KEYS = 100_000


@dataclass(slots=True)
class _Window:
    """The times of the last failures of a key, in seconds since 1970, oldest first."""

    times: deque[float]
    seconds: int

    def forget_outside(self, start: float, end: float) -> None:
        # If the clock was set back, callers would be locked out until it is that time again.
        if self.times and self.times[-1] > end:
            self.times.clear()
        while self.times and self.times[0] < start:
            self.times.popleft()

    def is_over(self, at: float) -> bool:
        return not self.times or self.times[-1] < at - self.seconds


class RecentFailures(MemoryStorage):
    """A store for the moving window of `limits`, with bounded time and memory for any number of invented keys.

    The memory store of `limits` scans all keys a hundred times a second. Here, each failure removes up to two expired
    windows; over `MOST_KEYS`, the key with the oldest failure is removed.
    """

    def __init__(self) -> None:
        super().__init__()
        # In the order of their last failure, the oldest first.
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._windows)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Add failures of a key unless they exceed `limit` within `expiry` seconds; return whether they were added."""
        # The wall clock, because `limits` and `failure_limit` compare these times with time.time().
        at = time.time()
        with self._lock:
            window = self._windows.setdefault(key, _Window(deque(), expiry))
            window.forget_outside(at - expiry, at)
            has_room = len(window.times) + amount <= limit
            if has_room:
                window.times.extend([at] * amount)
                self._windows.move_to_end(key)
            self._forget_some(at)
        return has_room

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the time of the first failure in the last `expiry` seconds, and the number of failures since."""
        at = time.time()
        with self._lock:
            window = self._windows.get(key)
            if window is None:
                return at, 0
            window.forget_outside(at - expiry, at)
            return (window.times[0] if window.times else at), len(window.times)

    def clear(self, key: str) -> None:
        """Remove the failures of a key."""
        with self._lock:
            self._windows.pop(key, None)

    def reset(self) -> int | None:
        """Remove all keys; return their number."""
        with self._lock:
            known = len(self._windows)
            self._windows.clear()
        return known

    def _forget_some(self, at: float) -> None:
        for key in [key for key, window in islice(self._windows.items(), 2) if window.is_over(at)]:
            del self._windows[key]
        if len(self._windows) > MOST_KEYS:
            self._windows.popitem(last=False)
