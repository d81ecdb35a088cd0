"""Where an integration's keys come from, how long a fetched key set may be used, and when to try again."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from changegate.config import LONGEST_STALE
from changegate.services.keys.static_keys import StaticKeys

Now = Callable[[], datetime]

MIN_FRESH = timedelta(seconds=60)
STALE_WHILE_REVALIDATE = timedelta(minutes=10)
FIRST_BACKOFF = timedelta(seconds=5)
LONGEST_BACKOFF = timedelta(minutes=5)
LEASE = timedelta(seconds=10)  # longer than a fetch may take
# Between nodes that share the database, and between a thread that read its clock and one that wrote since.
CLOCK_TOLERANCE = timedelta(seconds=5)


class Freshness(Enum):
    """What a cached key set is good for."""

    FRESH = "serve it"
    REVALIDATE = "serve it and fetch in the background"
    IF_ERROR = "fetch, and serve it should that fail"
    EXPIRED = "fetch, and refuse should that fail"


@dataclass(frozen=True, slots=True)
class CachedFacts:
    """A row of the cache without its document.

    An instant further in the future than `CLOCK_TOLERANCE` is a clock's mistake and counts for nothing.
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
        """Tell whether some process is fetching."""
        until = self.fetch_lease_until
        return until is not None and now < until <= now + LEASE + CLOCK_TOLERANCE

    def is_unknown_kid_fetch_due(self, cooldown: timedelta, now: datetime) -> bool:
        """Tell whether an unknown kid may cause a fetch."""
        last = self.unknown_kid_fetch_at
        return last is None or last <= now - cooldown or last > now + CLOCK_TOLERANCE


_NOTHING = CachedFacts("")


@dataclass(frozen=True, slots=True)
class KeySource:
    """An integration's JWKS URL, with what its caller has read of the cache in the same SELECT.

    Where `static` keys are stored with the integration, nothing is ever fetched.
    """

    entity_id: str
    url: str
    jwks_cache_minutes: int
    cached: CachedFacts | None = None
    static: StaticKeys | None = None

    @property
    def facts(self) -> CachedFacts:
        """Return what is cached of this very URL; another one's keys are as good as none."""
        return self.cached if self.cached is not None and self.cached.url == self.url else _NOTHING

    @property
    def lifespan(self) -> timedelta:
        """Return the longest time a key set counts as fresh."""
        return max(timedelta(minutes=self.jwks_cache_minutes), MIN_FRESH)

    def judge(self, now: datetime, stale_if_error: timedelta = LONGEST_STALE) -> Freshness:
        """Judge the cached key set; none, or one from the future, is expired.

        `stale_if_error` is how long it may be used beyond its freshness while no fetch works.
        """
        facts = self.facts
        if facts.document_sha256 is None or facts.fetched_at is None or facts.fresh_until is None:
            return Freshness.EXPIRED
        if facts.fetched_at > now + CLOCK_TOLERANCE:
            return Freshness.EXPIRED
        # A lifespan that was shortened in the form counts at once.
        fresh_until = min(facts.fresh_until, facts.fetched_at + self.lifespan)
        if now < fresh_until:
            return Freshness.FRESH
        if now < fresh_until + min(STALE_WHILE_REVALIDATE, stale_if_error):
            return Freshness.REVALIDATE
        return Freshness.IF_ERROR if now < fresh_until + stale_if_error else Freshness.EXPIRED

    def is_settled(self, now: datetime, stale_if_error: timedelta = LONGEST_STALE) -> bool:
        """Tell whether the cached key set is to be served as it is, with nothing to do about it."""
        freshness = self.judge(now, stale_if_error)
        if freshness in (Freshness.FRESH, Freshness.EXPIRED):
            return freshness is Freshness.FRESH
        return self.facts.is_leased(now) or self.is_backing_off(now)

    def is_backing_off(self, now: datetime) -> bool:
        """Tell whether it is too early to try again after a failure."""
        failed_at = self.facts.failed_at
        if failed_at is None or failed_at > now + CLOCK_TOLERANCE:
            return False
        return now < failed_at + backoff(self.entity_id, self.facts.failures)


def fresh_for(max_age: timedelta | None, lifespan: timedelta) -> timedelta:
    """Return how long an answer counts as fresh: what its server says, within our bounds."""
    return lifespan if max_age is None else min(max(max_age, MIN_FRESH), lifespan)


def backoff(entity_id: str, failures: int) -> timedelta:
    """Return the pause after so many failures in a row, 5 seconds to 5 minutes, give or take a fifth.

    The jitter is drawn from the arguments: each process must come to the same answer each time it looks.
    """
    if failures < 1:
        return timedelta(0)
    pause = min(FIRST_BACKOFF * (1 << min(failures - 1, 10)), LONGEST_BACKOFF)
    share = zlib.crc32(f"{entity_id}:{failures}".encode()) / 2**32
    return min(pause * (0.8 + 0.4 * share), LONGEST_BACKOFF)
