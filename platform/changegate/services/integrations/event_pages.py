"""Pages of token events for the admin API, which names integrations by client id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changegate.errors import InputInvalid, RecordNotFound
from changegate.models import OAuthExchange
from changegate.services.assertions.report import RuleResult
from changegate.services.integrations.integrations import get_integration
from changegate.services.oauth.event_search import EventFilter, find_events_by_id, search_events
from changegate.services.oauth.events import report_of

FILTERS = ("outcome", "reason", "text", "since", "until")


@dataclass(frozen=True, slots=True)
class EventWithRules:
    """An event with the results of all its rules."""

    event: OAuthExchange
    rules: list[RuleResult]

    @property
    def outcome(self) -> str:
        """Return `accepted` or `refused`."""
        return "accepted" if self.event.is_accepted else "refused"

    @property
    def would_refuse(self) -> bool:
        """Return whether a report-only condition has failed."""
        return bool(self.event.would_refuse)


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events, newest first; `next_before` is the `before` of the next page, None on the last page."""

    events: list[EventWithRules]
    next_before: str | None


def find_events(query: Mapping[str, Any]) -> EventPage:
    """Return the page for a query as `EventQuerySchema` loads it; raises `InputInvalid`."""
    if query["correlation_id"] is not None:
        return EventPage(_with_rules(find_events_by_id(query["correlation_id"])), None)
    limit = query["limit"]
    criteria = EventFilter(_entity(query["client_id"]), **{name: query[name] for name in FILTERS})
    # One more than the page holds shows whether there is another page.
    events = search_events(criteria, limit + 1, query["before"])
    return EventPage(_with_rules(events[:limit]), events[limit - 1].correlation_id if len(events) > limit else None)


def _with_rules(events: list[OAuthExchange]) -> list[EventWithRules]:
    return [EventWithRules(event, report_of(event)) for event in events]


def _entity(client_id: str | None) -> str | None:
    if client_id is None:
        return None
    try:
        return get_integration(client_id).sys_id
    except RecordNotFound:
        problem = "There is no such integration. If it was deleted, search for its client ID as text."
        raise InputInvalid({"client_id": [problem]}) from None
