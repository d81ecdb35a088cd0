"""Which token events somebody wants to see; all of it in the address, so that it can be sent to a colleague."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.list_arguments import correlation_id
from changegate.console.local_times import parse_local
from changegate.printable import typed
from changegate.services.oauth.event_search import OUTCOMES, EventFilter

PAGE_SIZE = 50
# What can be asked for, and how long it may be.
ARGUMENTS = {
    **{"integration": 32, "outcome": 20, "reason": 40, "text": 255},
    **{"since": 25, "until": 25, "correlation_id": 32},
}
NO_TIME = "{} is not a valid time. Write times as 2026-07-15T08:30."


@dataclass(frozen=True, slots=True)
class EventList:
    """The state of the list, as text; `before` is the correlation id that the page goes on from."""

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
        """Read the query string; what makes no sense in it is left out."""
        found = {name: typed(arguments.get(name, ""))[:length] for name, length in ARGUMENTS.items()}
        if found["outcome"] not in OUTCOMES:
            found["outcome"] = ""
        return cls(**found, before=correlation_id(arguments.get("before", "")))

    def filter(self, entity: str | None) -> EventFilter:
        """Return what to search for; `entity` is the sys_id of the integration."""
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
        """Return sentences about what cannot be searched for."""
        times = {"From": self.since, "Until": self.until}
        return [NO_TIME.format(label) for label, text in times.items() if text and parse_local(text) is None]

    def arguments(self) -> dict[str, str]:
        """Return the query string's arguments without the page."""
        return {name: value for name in ARGUMENTS if (value := getattr(self, name))}
