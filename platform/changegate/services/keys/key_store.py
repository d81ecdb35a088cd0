"""The keys of each integration: served from a cache that outlives restarts, outages and rotations.

request         reads the cache ──> nothing to serve ──> starts a flight, or joins one ──> waits ──> reads again
fetch thread    claims the lease in the database ──> fetches ──> writes the cache
                or, where another process has the lease, looks until that is over
"""

import time
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from changegate.config import LONGEST_STALE
from changegate.errors import JwksFetchFailed
from changegate.extensions import current_application, db
from changegate.services.keys.discovery import Discovered, discover
from changegate.services.keys.fetch_threads import host_of
from changegate.services.keys.futile_fetches import FutileFetches
from changegate.services.keys.jwks_cache_rows import CacheRow, JwksCacheRows, clear_cached_keys
from changegate.services.keys.jwks_fetch import FetchPolicy
from changegate.services.keys.key_renewal import FetchedKeySet, KeyRenewal
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.key_source import LEASE, CachedFacts, Freshness, KeySource, Now
from changegate.services.keys.parsed_key_sets import ParsedKeySets
from changegate.services.keys.single_flight import LONGEST_SECONDS, Flight, SingleFlight
from changegate.services.keys.static_keys import ParsedStaticKeys
from changegate.services.keys.verifying_keys import VerifyingKeys

__all__ = ["CachedFacts", "FetchedKeySet", "KeySetTooOld", "KeySource", "KeyStore", "clear_cached_keys", "key_store"]

WAIT_SECONDS = 3.0
POLL_SECONDS = 0.1
UNDER_WAY = "It is being fetched at this moment; try again."


class KeySetTooOld(JwksFetchFailed):
    """There was a good key set, and it is too long ago."""


class KeyStore:
    """Key sets by integration.

    What is known stands in the database and is written in transactions of the store's own; call it while the
    session has nothing unflushed or uncommitted, or SQLite makes the two wait for each other.
    """

    def __init__(
        self, policy: FetchPolicy, cooldown: timedelta, now: Now, stale_if_error: timedelta = LONGEST_STALE
    ) -> None:
        self._policy = policy
        self._cooldown = cooldown
        self._stale_if_error = stale_if_error
        self._now = now
        self._parsed: ParsedKeySets[KeySet] = ParsedKeySets()
        self._static = ParsedStaticKeys()
        self._renewal = KeyRenewal(policy, self._parsed, now)
        self._flights = SingleFlight()
        self._futile = FutileFetches()

    def asked_by(self, address: str | None) -> "KeyStore":
        """Return this key store for one address, whose unknown kids cause only so many futile fetches in a minute."""
        bounded = copy(self)
        bounded._futile = FutileFetches(address)
        return bounded

    def get_key_set(self, source: KeySource) -> VerifyingKeys[Any]:
        """Return the keys to verify with at this moment.

        A fresh key set that this process has parsed costs no SQL. A stale one is served while it is renewed,
        and for a day, or what is set for it, if that fails. Raises `JwksFetchFailed`, as `KeySetTooOld` after that;
        where the keys are stored with the integration, `JwksUnusable` and `SealBroken`.
        """
        if source.static is not None:
            return self._static.get(source.entity_id, source.static)
        digest = source.facts.document_sha256
        if digest is not None:
            found = self._parsed.find(source.entity_id, digest)
            if found is not None and source.is_settled(self._now(), self._stale_if_error):
                return found
        return self._get_from_rows(JwksCacheRows(db.engine), source)

    def refetch_for_unknown_kid(self, source: KeySource, kid: str) -> KeySet | None:
        """Return a newer key set than the caller's, fetched if the cooldown allows; None when there is none.

        The one fetch a cooldown allows is claimed before it is made and whatever comes of it, so that random
        kids cost the provider one request. Who comes second waits for the first one's fetch. During a flood
        the answer costs no SQL.
        """
        if source.static is not None or (source.facts.document_sha256 and not self._is_hopeful(source)):
            return None
        rows = JwksCacheRows(db.engine)
        row = rows.provide(source)
        if row is None:
            return None
        newer = self._newer(source, row)
        if (newer is not None and newer.has_kid(kid)) or not self._futile.has_room():
            return newer
        claim = partial(rows.claim_unknown_kid_fetch, row.source, self._cooldown)
        flight, is_first = self._start(rows, row, claim, self._futile.counting(kid))
        self._flights.wait(flight, LONGEST_SECONDS if is_first else WAIT_SECONDS)
        return self._newer(source, rows.find(source))

    def refresh(self, source: KeySource) -> FetchedKeySet:
        """Fetch now, whatever the cache says, and keep the result.

        Raises `JwksFetchFailed` or `JwksUnusable`; a good key set stays in the cache then.
        """
        if source.static is not None:
            raise JwksFetchFailed("The keys of this integration are stored with it; there is nothing to fetch.")
        rows = JwksCacheRows(db.engine)
        rows.provide(source)
        name, host = _flight(source), host_of(source.url)
        for _ in range(2):
            fetched: FetchedKeySet | None
            fetched = self._flights.outcome(name, host, lambda: self._renewal.fetch(rows, source))
            # A fetch that was under way serves as well; one of another process was only waited for.
            if fetched is not None:
                return fetched
        raise JwksFetchFailed(UNDER_WAY)

    def probe(self, url: str) -> FetchedKeySet:
        """Fetch and parse without keeping anything; raises `JwksFetchFailed` or `JwksUnusable`."""
        fetched: FetchedKeySet = self._flights.outcome(("probe", url), host_of(url), lambda: self._renewal.probe(url))
        return fetched

    def discover(self, issuer: str) -> Discovered:
        """Read an issuer's metadata, as `discover` does; raises `JwksFetchFailed`."""
        found: Discovered = self._flights.outcome(
            ("discover", issuer), host_of(issuer), lambda: discover(issuer, self._policy)
        )
        return found

    def _is_hopeful(self, source: KeySource) -> bool:
        """Tell whether a fetch for an unknown kid is allowed, or under way."""
        now = self._now()
        return source.facts.is_unknown_kid_fetch_due(self._cooldown, now) or source.facts.is_leased(now)

    def _get_from_rows(self, rows: JwksCacheRows, source: KeySource) -> KeySet:
        row = rows.provide(source)
        key_set, freshness = self._judge(row)
        if row is not None and freshness is not Freshness.FRESH:
            self._renew(rows, row, freshness)
            row = rows.find(source)
            key_set, freshness = self._judge(row)
        if key_set is None or freshness is Freshness.EXPIRED:
            raise _nothing_to_serve(row)
        return key_set

    def _judge(self, row: CacheRow | None) -> tuple[KeySet | None, Freshness]:
        key_set = self._renewal.parse(row) if row else None
        if row is None or key_set is None:
            return None, Freshness.EXPIRED
        return key_set, row.source.judge(self._now(), self._stale_if_error)

    def _newer(self, source: KeySource, row: CacheRow | None) -> KeySet | None:
        if row is None or row.source.facts.document_sha256 == source.facts.document_sha256:
            return None
        key_set, freshness = self._judge(row)
        return None if freshness is Freshness.EXPIRED else key_set

    def _renew(self, rows: JwksCacheRows, seen: CacheRow, freshness: Freshness) -> None:
        """Fetch if it is time: beside the request while the old keys are young, else within it."""
        now = self._now()
        if seen.source.is_backing_off(now):
            return
        has_old_keys = freshness is not Freshness.EXPIRED
        if has_old_keys and seen.source.facts.is_leased(now):
            return
        flight, is_first = self._start(rows, seen, partial(rows.claim_lease, seen.source))
        if freshness is Freshness.EXPIRED:
            self._flights.wait(flight, LONGEST_SECONDS if is_first else WAIT_SECONDS)
        elif freshness is Freshness.IF_ERROR and is_first:
            # The first one waits for newer keys, and does without them where there is no room.
            with suppress(JwksFetchFailed):
                self._flights.wait(flight, LONGEST_SECONDS)

    def _start(
        self,
        rows: JwksCacheRows,
        seen: CacheRow,
        claim: Callable[[datetime], bool],
        count: Callable[[FetchedKeySet | None], None] = lambda _fetched: None,
    ) -> tuple[Flight, bool]:
        """Fetch if the claim succeeds, and else wait for who has the lease, on a fetch thread."""

        def fetch() -> FetchedKeySet | None:
            if claim(self._now()):
                fetched = None
                try:
                    fetched = self._renewal.fetch_logged(rows, seen)
                finally:
                    count(fetched)
                return fetched
            self._wait_for_lease(rows, seen.source)
            return None

        return self._flights.start(_flight(seen.source), host_of(seen.source.url), fetch)

    def _wait_for_lease(self, rows: JwksCacheRows, source: KeySource) -> None:
        deadline = time.monotonic() + LEASE.total_seconds()
        # The lease shows the fetches of other processes; only looking does.
        while time.monotonic() < deadline:
            row = rows.find(source)
            if row is None or not row.source.facts.is_leased(self._now()):
                return
            time.sleep(POLL_SECONDS)


def key_store() -> KeyStore:
    """Return the key store of the application at work."""
    found: KeyStore = current_application().extensions["key_store"]
    return found


def _flight(source: KeySource) -> tuple[str, str]:
    # The URL too: a fetch from the former one is nothing to wait for.
    return source.entity_id, source.url


def _nothing_to_serve(row: CacheRow | None) -> JwksFetchFailed:
    if row is None:
        return JwksFetchFailed("The integration no longer exists, or its JWKS URL has just been changed.")
    reason = row.error or UNDER_WAY
    if row.source.facts.fetched_at is None:
        return JwksFetchFailed(f"There is no key set yet. {reason}")
    day = f"{row.source.facts.fetched_at:%Y-%m-%d %H:%M}"
    return KeySetTooOld(f"The last good key set, of {day} UTC, is too old to be used. {reason}")
