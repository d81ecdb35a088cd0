"""Calendar feeds in iCalendar (RFC 5545): what is planned, and nothing that people have written about it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from icalendar import Calendar, Event

from changegate.extensions import now, settings
from changegate.services.tables.display.display_values import WireRecord

PRODUCT = "-//Changegate//Planned changes//EN"
# RFC 5545 §3.8.1.11, by state of the change; others are tentative.
STATUSES: Mapping[str, str] = {"-2": "CONFIRMED", "-1": "CONFIRMED", "0": "CONFIRMED", "3": "CONFIRMED"}
FIELDS = ("sys_id", "number", "short_description", "state", "start_date", "end_date", "sys_updated_on", "sys_mod_count")


def render_feed(name: str, records: Iterable[WireRecord]) -> bytes:
    """Return the feed of changes, whose records have `FIELDS`."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    for record in records:
        calendar.add_component(_event(record))
    rendered: bytes = calendar.to_ical()
    return rendered


def _event(record: WireRecord) -> Event:
    sys_id, state = record["sys_id"]["value"], record["state"]
    event = Event()
    event.add("uid", f"{sys_id}@{urlsplit(settings().base_url).hostname}")
    event.add("dtstamp", now())
    event.add("last-modified", _instant(record["sys_updated_on"]["value"]))
    event.add("sequence", int(record["sys_mod_count"]["value"]))
    event.add("dtstart", _instant(record["start_date"]["value"]))
    event.add("dtend", _instant(record["end_date"]["value"]))
    event.add("summary", f"{record['number']['value']} {record['short_description']['value']}".strip())
    event.add("status", STATUSES.get(state["value"], "TENTATIVE"))
    event.add("description", f"State: {state['display_value']}")
    event.add("url", f"{settings().base_url}/change-requests/{sys_id}")
    return event


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
