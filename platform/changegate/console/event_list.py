"""Filter and page of the list of token events."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.list_arguments import correlation_id
from changegate.console.local_times import parse_local
from changegate.printable import typed
from changegate.services.oauth.event_search import OUTCOMES, EventFilter

EVENTS_PER_PAGE = 50
# The arguments of the query string, and their maximum lengths.
ARGUMENTS = {
    **{"integration": 32, "outcome": 20, "reason": 40, "text": 255},
    **{"since": 25, "until": 25, "correlation_id": 32},
}
NO_TIME = "{} is not a valid time. Write times as 2026-07-15T08:30."


@dataclass(frozen=True, slots=True)
class EventList:
    """The state of the list as text, stored in the URL; the page begins after the event with the ID `before`."""

    integration: str = ""
    outcome: str = ""
    reason: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    correlation_id: str = ""
    before: str = ""

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> "EventList":
        """Read the query string; invalid values are ignored."""
        texts = {name: typed(arguments.get(name, ""))[:length] for name, length in ARGUMENTS.items()}
        if texts["outcome"] not in OUTCOMES:
            texts["outcome"] = ""
        return cls(**texts, before=correlation_id(arguments.get("before", "")))

    def filter(self, entity: str | None) -> EventFilter:
        """Return the filter of the search; `entity` is the sys_id of the integration."""
        return EventFilter(
            entity=entity,
            outcome=self.outcome or None,
            reason=self.reason or None,
            text=self.text or None,
            since=parse_local(self.since),
            until=parse_local(self.until),
        )

    @property
    def problems(self) -> list[str]:
        """Return the error messages of invalid times."""
        times = {"From": self.since, "Until": self.until}
        return [NO_TIME.format(label) for label, text in times.items() if text and parse_local(text) is None]

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string without the page."""
        return {name: value for name in ARGUMENTS if (value := getattr(self, name))}
