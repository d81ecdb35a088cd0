"""Limits of the event log: how many refusals of an address and of an integration are written per minute.

Refusals without an integration share a larger limit of the process, so that a few addresses do not hide the others.
Refusals beyond the limits are only counted, by each process separately. The count is added to the last event that was
written, at most once a second and before this process reads the log, so that a flood of refusals costs one small write
per second.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from cachetools import LRUCache
from sqlalchemy import func, update

from changegate.extensions import db
from changegate.failure_limit import network_of
from changegate.models import OAuthExchange
from changegate.unproxied import current_application

WINDOW_SECONDS = 60
MOST = MappingProxyType({"address": 40, "integration": 120, "process": 1_200})
MOST_BUCKETS = 10_000
SECONDS_BETWEEN_WRITES = 1
_KEPT_AS = "event_bounds"


@dataclass(slots=True)
class _Bucket:
    """The refusals of an address, an integration, or the process since `begun_at`, in seconds since 1970.

    `latest` is the correlation ID of the last event that was written.
    """

    begun_at: float
    written: int = 0
    latest: str = ""


class EventBounds:
    """Counts refusals of one application by address and by integration, in bounded memory; thread-safe."""

    def __init__(self) -> None:
        self._buckets = LRUCache[tuple[str, str], _Bucket](MOST_BUCKETS)
        self._further = Counter[str]()
        self._written_at = 0.0
        # Guards everything above; never held while the database is written.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._buckets)

    def has_room(self, address: str | None, entity: str | None, correlation_id: str, at: datetime) -> bool:
        """Return whether a refusal may be written as an event; if not, count it."""
        kind = "integration" if entity else "process"
        with self._lock:
            of_address = self._bucket(("address", network_of(address or "")), at.timestamp())
            shared = self._bucket((kind, entity or ""), at.timestamp())
            if of_address.written >= MOST["address"] or (shared.written >= MOST["process"] and not entity):
                # The address may have no event in this minute that the count could be added to.
                self._further[of_address.latest or shared.latest] += 1
                return False
            if shared.written >= MOST[kind]:
                self._further[shared.latest] += 1
                return False
            for bucket in (of_address, shared):
                bucket.written, bucket.latest = bucket.written + 1, correlation_id
        return True

    def take_counts(self, at: datetime | None = None) -> Mapping[str, int]:
        """Return and reset the counts since the last call, by the correlation ID of the event that they are added to.

        With `at`, returns nothing within a second of the last call with it.
        """
        with self._lock:
            if not self._further or (at and 0 <= at.timestamp() - self._written_at < SECONDS_BETWEEN_WRITES):
                return {}
            counts, self._further = self._further, Counter()
            self._written_at = at.timestamp() if at else self._written_at
        return counts

    def _bucket(self, key: tuple[str, str], at: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None or not 0 <= at - bucket.begun_at < WINDOW_SECONDS:
            bucket = self._buckets[key] = _Bucket(at)
        return bucket


def event_bounds() -> EventBounds:
    """Return the limits of the current application."""
    bounds: EventBounds = current_application().extensions.setdefault(_KEPT_AS, EventBounds())
    return bounds


def write_counts(at: datetime | None = None) -> None:
    """Add the counted refusals to their events, in a transaction of its own; see `EventBounds.take_counts`."""
    counts = event_bounds().take_counts(at)
    if not counts:
        return
    further = OAuthExchange.further_refusals
    with db.engine.begin() as at_work:
        # In one order in all processes, so that none waits for a row of another while holding one that it waits for.
        for correlation_id, number in sorted(counts.items()):
            of_event = update(OAuthExchange).where(OAuthExchange.correlation_id == correlation_id)
            at_work.execute(of_event.values(further_refusals=func.coalesce(further, 0) + number))
