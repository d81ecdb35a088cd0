"""Choices that were read a moment ago, and when they are forgotten."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import Flask

from changegate.extensions import current_application
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules, Values

KEPT_FOR_SECONDS = 1.0
CAPACITY = 256
_KEPT_AS = "recent_choices"

Labels = dict[str, str]


class Wanted(NamedTuple):
    """Which choices: of a table and some of its fields."""

    table: str
    elements: tuple[str, ...]
    active_only: bool


Found = Mapping[str, Mapping[str, str]]


class RecentChoices:
    """Choices by what was asked for; nobody may change them.

    Every write looks choices up, and an administrator changes one a few times a year. What is written counts within a
    second, and in this process with the next question, unless somebody asks between a write and its commit. See
    decision 0017.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Wanted, tuple[float, Found]] = {}

    def find(self, wanted: Wanted, read: Callable[[Wanted], Found]) -> Found:
        """Return what is asked for, read anew if it was not within a second."""
        kept = self._kept
        known = kept.get(wanted)
        now = self._clock()
        if known is not None and now < known[0]:
            return known[1]
        found = read(wanted)
        if len(kept) >= CAPACITY:
            kept.clear()
        # Into what was there before the reading: it is nobody's any more if something was forgotten meanwhile.
        kept[wanted] = now + KEPT_FOR_SECONDS, found
        return found

    def forget(self) -> None:
        """Forget all: a choice has been written."""
        self._kept = {}


def keep_choices(app: Flask) -> None:
    """Let an application remember choices."""
    app.extensions[_KEPT_AS] = RecentChoices()


def recent_choices() -> RecentChoices:
    """Return what the application at work remembers."""
    found: RecentChoices = current_application().extensions[_KEPT_AS]
    return found


class ChoiceRules(NoRules):
    """Writes to sys_choice."""

    def after_create(self, values: Values, caller: Caller) -> None:
        """Let the new choice count."""
        recent_choices().forget()

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Let the changes count."""
        recent_choices().forget()

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Let the choice be gone."""
        recent_choices().forget()
