"""A cache of rows for one second, and its invalidation.

    a write of the table ──RecentRules──> forget(): this process reads the rows again
    another process      ──nothing──────> its entries expire after KEPT_FOR_SECONDS

The threads of a process share the cache. None holds its lock while it reads the database.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

from changegate.services.access.caller import Caller
from changegate.services.tables.rules import Rules, Values
from changegate.unproxied import current_application

KEPT_FOR_SECONDS = 1.0
ENTRIES_CACHED = 256
Key = TypeVar("Key", bound=Hashable)
Read = TypeVar("Read")


class RecentRows(Generic[Key, Read]):
    """What one application has read of a table; callers must not modify it.

    It is for tables that every write of a record reads, and that an administrator changes a few times a year. A change
    takes effect within a second. In the process that wrote it, it takes effect with the next lookup, unless another
    lookup reads the old rows between the write and its commit. See decision 0017.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept = self._empty()

    def find(self, key: Key, read: Callable[[Key], Read]) -> Read:
        """Return the rows of a key, calling `read` if they were not read within the last second."""
        with self._lock:
            kept = self._kept
            rows = kept.get(key)
        if rows is None:
            rows = read(key)
            with self._lock:
                # Store in the cache that was current before the read. If `forget` has replaced it since, these rows
                # may be outdated, and are lost with it.
                kept[key] = rows
        return rows

    def forget(self) -> None:
        """Drop all rows, because one has been written."""
        # Replaced, not cleared: a thread that is reading in `find` stores its result in the old cache.
        with self._lock:
            self._kept = self._empty()

    def _empty(self) -> TTLCache[Key, Read]:
        return TTLCache(ENTRIES_CACHED, KEPT_FOR_SECONDS, self._clock)


def recent_rows(table: str) -> RecentRows[Any, Any]:
    """Return the cache of a table in the current application."""
    extensions, name = current_application().extensions, f"recent_{table}"
    cache: RecentRows[Any, Any] | None = extensions.get(name)
    if cache is None:
        # One step, so that two threads get the same cache.
        cache = extensions.setdefault(name, RecentRows())
    return cache


class RecentRules(Rules):
    """Rules of a table whose rows are cached: each write drops the cache."""

    table: str

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Drop the cache, so that the new row takes effect."""
        recent_rows(self.table).forget()
        return None

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Drop the cache, so that the changes take effect."""
        recent_rows(self.table).forget()
        return None

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Drop the cache, so that the row disappears."""
        recent_rows(self.table).forget()
