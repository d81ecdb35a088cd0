"""A cache of choices for one second, and its invalidation.

    a write of sys_choice ──ChoiceRules──> forget(): this process reads the choices again
    another process       ──nothing──────> its entries expire after KEPT_FOR_SECONDS

The threads of a process share the cache. None holds its lock while it reads the database.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cachetools import TTLCache
from flask import Flask

from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules, Values
from changegate.unproxied import current_application

KEPT_FOR_SECONDS = 1.0
CHOICES_CACHED = 256
_KEPT_AS = "recent_choices"

Labels = dict[str, str]


class ChoicesKey(NamedTuple):
    """The key of the cache: the choices of some fields of a table, all or only the active ones."""

    table: str
    elements: tuple[str, ...]
    active_only: bool


LabelsByElement = Mapping[str, Mapping[str, str]]


class RecentChoices:
    """The cached choices of one application; callers must not modify them.

    Every write of a record reads choices, but an administrator changes them a few times a year. A change takes effect
    within a second. In the process that wrote it, it takes effect with the next lookup, unless another lookup reads the
    old rows between the write and its commit. See decision 0017.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept = self._empty()

    def find(self, key: ChoicesKey, read: Callable[[ChoicesKey], LabelsByElement]) -> LabelsByElement:
        """Return the choices of a key, calling `read` if they were not read within the last second."""
        with self._lock:
            kept = self._kept
            choices = kept.get(key)
        if choices is None:
            choices = read(key)
            with self._lock:
                # Store in the cache that was current before the read. If `forget` has replaced it since, these choices
                # may be outdated, and are lost with it.
                kept[key] = choices
        return choices

    def forget(self) -> None:
        """Drop all choices, because one has been written."""
        # Replaced, not cleared: a thread that is reading in `find` stores its result in the old cache.
        with self._lock:
            self._kept = self._empty()

    def _empty(self) -> TTLCache[ChoicesKey, LabelsByElement]:
        return TTLCache(CHOICES_CACHED, KEPT_FOR_SECONDS, self._clock)


def keep_choices(app: Flask) -> None:
    """Give an application its cache of choices."""
    app.extensions[_KEPT_AS] = RecentChoices()


def recent_choices() -> RecentChoices:
    """Return the cache of the current application."""
    cache: RecentChoices = current_application().extensions[_KEPT_AS]
    return cache


class ChoiceRules(NoRules):
    """Rules of sys_choice: each write drops the cache."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Drop the cache, so that the new choice takes effect."""
        recent_choices().forget()

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Drop the cache, so that the changes take effect."""
        recent_choices().forget()

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Drop the cache, so that the choice disappears."""
        recent_choices().forget()
