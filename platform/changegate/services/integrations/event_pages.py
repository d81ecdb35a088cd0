"""Token events page by page, for machines; the integration is named by its client id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changegate.errors import InputInvalid, RecordNotFound
from changegate.models import OAuthExchange
from changegate.services.assertions.report import RuleResult
from changegate.services.integrations.integrations import get_integration
from changegate.services.oauth.event_search import EventFilter, get_event, search_events
from changegate.services.oauth.events import report_of

FILTERS = ("outcome", "reason", "text", "since", "until")


@dataclass(frozen=True, slots=True)
class JudgedEvent:
    """An event with every rule that was judged."""

    event: OAuthExchange
    rules: list[RuleResult]

    @property
    def outcome(self) -> str:
        """Return `accepted` or `refused`."""
        return "accepted" if self.event.is_accepted else "refused"

    @property
    def would_refuse(self) -> bool:
        """Tell whether a condition that only reports was not met."""
        return bool(self.event.would_refuse)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, newest first; `next_before` is the correlation id to go on from, None on the last page."""

    events: list[JudgedEvent]
    next_before: str | None


def find_events(asked: Mapping[str, Any]) -> EventPage:
    """Return one page of what was asked for, as `EventQuerySchema` loads it; raises `InputInvalid`."""
    if asked["correlation_id"] is not None:
        return EventPage(_judged(_find_event(asked["correlation_id"])), None)
    limit = asked["limit"]
    wanted = EventFilter(_entity(asked["client_id"]), **{name: asked[name] for name in FILTERS})
    found = search_events(wanted, limit + 1, asked["before"])
    return EventPage(_judged(found[:limit]), found[limit - 1].correlation_id if len(found) > limit else None)


def _judged(events: list[OAuthExchange]) -> list[JudgedEvent]:
    return [JudgedEvent(event, report_of(event)) for event in events]


def _find_event(correlation_id: str) -> list[OAuthExchange]:
    try:
        return [get_event(correlation_id)]
    except RecordNotFound:
        return []


def _entity(client_id: str | None) -> str | None:
    if client_id is None:
        return None
    try:
        return get_integration(client_id).sys_id
    except RecordNotFound:
        raise InputInvalid({"client_id": ["There is no such integration."]}) from None
