"""Filter and page of the list of token events."""

from dataclasses import dataclass
from typing import ClassVar

from changegate.console.list_arguments import FilteredLog
from changegate.console.local_times import parse_local
from changegate.services.oauth.event_search import OUTCOMES, EventFilter

EVENTS_PER_PAGE = 50
NO_TIME = "{} is not a valid time. Write times as 2026-07-15T08:30."


@dataclass(frozen=True, slots=True, kw_only=True)
class EventList(FilteredLog):
    """The state of the list as text, stored in the URL."""

    lengths: ClassVar = {
        **{"integration": 32, "outcome": 20, "reason": 40, "text": 255},
        **{"since": 25, "until": 25, "correlation_id": 32},
    }
    choices: ClassVar = {"outcome": OUTCOMES}

    integration: str = ""
    outcome: str = ""
    reason: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    correlation_id: str = ""

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
