"""The source of an integration's keys: its URL, how long a fetched key set may be used, and when to retry."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from changegate.services.keys.static_keys import StaticKeys
from changegate.setting_parsers import LONGEST_STALE

Now = Callable[[], datetime]

MIN_FRESH = timedelta(seconds=60)
STALE_WHILE_REVALIDATE = timedelta(minutes=10)
FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(minutes=5)
# Longer than a fetch may take (`jwks_fetch.TOTAL_SECONDS`), so that a lease expires only if its holder has died.
LEASE = timedelta(seconds=10)
# For the clocks of servers that share the database, and for a thread that read its clock before another one wrote.
CLOCK_TOLERANCE = timedelta(seconds=5)


class Freshness(Enum):
    """What to do with a cached key set, by its age."""

    FRESH = "serve it"
    REVALIDATE = "serve it and fetch in the background"
    IF_ERROR = "fetch, and serve it should that fail"
    EXPIRED = "fetch, and refuse should that fail"


@dataclass(frozen=True, slots=True)
class CachedFacts:
    """A row of the cache without its document.

    An instant further in the future than `CLOCK_TOLERANCE` was written by a wrong clock and is ignored.
    """

    url: str
    document_sha256: str | None = None
    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    unknown_kid_fetch_at: datetime | None = None
    fetch_lease_until: datetime | None = None

    def is_leased(self, now: datetime) -> bool:
        """Return whether a process holds the lease, and is therefore fetching."""
        until = self.fetch_lease_until
        return until is not None and now < until <= now + LEASE + CLOCK_TOLERANCE

    def is_unknown_kid_fetch_due(self, cooldown: timedelta, now: datetime) -> bool:
        """Return whether an unknown kid may cause a fetch."""
        return self.cooldown_end(cooldown, now) is None

    def cooldown_end(self, cooldown: timedelta, now: datetime) -> datetime | None:
        """Return when an unknown kid may cause the next fetch, or None if it may now."""
        last = self.unknown_kid_fetch_at
        is_past = last is None or last <= now - cooldown or last > now + CLOCK_TOLERANCE
        return None if last is None or is_past else last + cooldown


_NOTHING = CachedFacts("")


@dataclass(frozen=True, slots=True)
class KeySource:
    """An integration's JWKS URL, with the facts of the cache that the caller has read in the same SELECT.

    If `static` keys are stored with the integration, nothing is ever fetched.
    """

    entity_id: str
    url: str
    jwks_cache_minutes: int
    cached: CachedFacts | None = None
    static: StaticKeys | None = None

    @property
    def facts(self) -> CachedFacts:
        """Return the facts that are cached for this URL; facts of another URL count as none."""
        return self.cached if self.cached is not None and self.cached.url == self.url else _NOTHING

    @property
    def lifespan(self) -> timedelta:
        """Return the longest time a key set counts as fresh."""
        return max(timedelta(minutes=self.jwks_cache_minutes), MIN_FRESH)

    def freshness_at(self, now: datetime, stale_if_error: timedelta = LONGEST_STALE) -> Freshness:
        """Return the freshness of the cached key set; a missing key set, or one from the future, is expired.

        `stale_if_error` is how long a key set may be used after its freshness has ended, while fetches fail.
        """
        facts = self.facts
        if facts.document_sha256 is None or facts.fetched_at is None or facts.fresh_until is None:
            return Freshness.EXPIRED
        if facts.fetched_at > now + CLOCK_TOLERANCE:
            return Freshness.EXPIRED
        # Recomputed, so that a lifespan shortened in the form takes effect at once.
        fresh_until = min(facts.fresh_until, facts.fetched_at + self.lifespan)
        if now < fresh_until:
            return Freshness.FRESH
        if now < fresh_until + min(STALE_WHILE_REVALIDATE, stale_if_error):
            return Freshness.REVALIDATE
        return Freshness.IF_ERROR if now < fresh_until + stale_if_error else Freshness.EXPIRED

    def is_settled(self, now: datetime, stale_if_error: timedelta = LONGEST_STALE) -> bool:
        """Return whether the cached key set is to be served without starting a fetch."""
        freshness = self.freshness_at(now, stale_if_error)
        if freshness in (Freshness.FRESH, Freshness.EXPIRED):
            return freshness is Freshness.FRESH
        return self.facts.is_leased(now) or self.is_backing_off(now)

    def is_backing_off(self, now: datetime) -> bool:
        """Return whether it is too early to retry after a failure."""
        failed_at = self.facts.failed_at
        if not self.facts.failures or failed_at is None or failed_at > now + CLOCK_TOLERANCE:
            return False
        return now < failed_at + backoff(self.entity_id, self.facts.failures)


def fresh_for(max_age: timedelta | None, lifespan: timedelta) -> timedelta:
    """Return how long a response counts as fresh: as long as its server specifies, within our bounds."""
    return lifespan if max_age is None else min(max(max_age, MIN_FRESH), lifespan)


def backoff(entity_id: str, failures: int) -> timedelta:
    """Return the pause after a number of consecutive failures: 5 seconds to 5 minutes, with 20 % of jitter.

    The jitter is a hash of the arguments, because each process must compute the same pause each time it looks.
    """
    if failures < 1:
        return timedelta(0)
    pause = min(FIRST_BACKOFF * (1 << min(failures - 1, 10)), LONGEST_BACKOFF)
    share = zlib.crc32(f"{entity_id}:{failures}".encode()) / 2**32
    return min(pause * (0.8 + 0.4 * share), LONGEST_BACKOFF)
