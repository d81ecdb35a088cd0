"""The key store: each integration's keys, from a cache in the database that survives restarts, outages, and rotations.

    request         reads the cache ──> no usable keys ──> starts a flight, or joins one ──> waits ──> reads again
    fetch thread    takes the lease in the database ──> fetches ──> writes the cache ──> the flight lands
                    or, if another process holds the lease, polls the row until the lease has ended

Two levels keep fetches single: a flight (see `single_flight`) within a process, a lease (see `jwks_cache_rows`)
between processes. While the cache holds usable keys, only two kinds of requests wait: the first one that finds them
older than `STALE_WHILE_REVALIDATE` allows, and those with an unknown kid, once per cooldown.
"""

import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from changegate.errors import JwksFetchFailed
from changegate.extensions import db
from changegate.services.keys.fetch_threads import host_of
from changegate.services.keys.fetches import Fetches
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
from changegate.setting_parsers import LONGEST_STALE
from changegate.unproxied import current_application

__all__ = ["CachedFacts", "FetchedKeySet", "KeySetTooOld", "KeySource", "KeyStore", "clear_cached_keys", "key_store"]

WAIT_SECONDS = 3.0
POLL_SECONDS = 0.1
# No host has this name.
SEARCHES = "/searches"
T = TypeVar("T")
UNDER_WAY = "It is being fetched at this moment; try again."


class KeySetTooOld(JwksFetchFailed):
    """The last good key set is too old to be used, and newer keys could not be fetched."""


class KeyStore:
    """The keys of all integrations.

    The store writes its rows in transactions of its own. Call it only while the session has no uncommitted writes:
    SQLite has one writer, so that the store would wait for the session's transaction, and that for the store.
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

    def get_key_set(self, source: KeySource) -> VerifyingKeys[Any]:
        """Return the keys that may verify a signature now.

        A fresh key set that this process has parsed costs no SQL. A stale key set is served while it is renewed, and
        for `stale_if_error` if the renewal fails. Raises `JwksFetchFailed`, or `KeySetTooOld` after that time. For keys
        that are stored with the integration, raises `JwksUnusable` and `SealBroken`.
        """
        if source.static is not None:
            return self._static.get(source.entity_id, source.static)
        digest = source.facts.document_sha256
        if digest is not None:
            key_set = self._parsed.find(source.entity_id, digest)
            if key_set is not None and source.is_settled(self._now(), self._stale_if_error):
                return key_set
        return self._get_from_rows(JwksCacheRows(db.engine), source)

    def refetch_for_unknown_kid(self, source: KeySource, kid: str, address: str | None = None) -> KeySet | None:
        """Return a newer key set than the caller's, fetched if the cooldown allows it; None if there is no newer one.

        Each cooldown allows one fetch. It is taken before it is made, and counts even if it fails, so that random
        kids cost the provider one request. Concurrent requests wait for that fetch. While none is allowed or under way,
        the answer costs no SQL. The futile fetches of one caller's `address` are limited (`FutileFetches`).
        """
        if source.static is not None or (source.facts.document_sha256 and not self._may_find_kid(source)):
            return None
        rows = JwksCacheRows(db.engine)
        row = rows.provide(source)
        if row is None:
            return None
        # Another process may have fetched since the caller read its facts.
        newer = self._newer(source, row)
        futile = FutileFetches(address)
        if (newer is not None and newer.has_kid(kid)) or not futile.may_fetch():
            return newer
        take = partial(rows.take_unknown_kid_fetch, row.source, self._cooldown)
        flight, is_first = self._start(rows, row, take, futile.counting(kid))
        self._flights.wait(flight, LONGEST_SECONDS if is_first else WAIT_SECONDS)
        return self._newer(source, rows.find(source))

    def refresh(self, source: KeySource) -> FetchedKeySet:
        """Fetch now, whatever the state of the cache, and store the result.

        Raises `JwksFetchFailed` or `JwksUnusable`; a good key set then stays in the cache.
        """
        if source.static is not None:
            raise JwksFetchFailed("The keys of this integration are stored with it; there is nothing to fetch.")
        rows = JwksCacheRows(db.engine)
        rows.provide(source)
        name, host = _flight(source), host_of(source.url)
        for _ in range(2):
            fetched: FetchedKeySet | None
            fetched = self._flights.outcome(name, host, lambda: self._renewal.fetch(rows, source))
            # Joining a flight of this process returns its key set. A flight that only waited for the lease of another
            # process returns None; the second attempt then fetches.
            if fetched is not None:
                return fetched
        raise JwksFetchFailed(UNDER_WAY)

    def probe(self, url: str) -> FetchedKeySet:
        """Fetch and parse a key set without storing it; raises `JwksFetchFailed` or `JwksUnusable`."""
        return self._ask(("probe", url), host_of(url), lambda fetches: fetches.probe(url))

    def search(self, name: Hashable, look: Callable[[Fetches], T]) -> T:
        """Return the result of a search of this name, which fetches one document after another on one fetch thread.

        Raises `JwksFetchFailed` if no thread is free, and what `look` raises. A request that can be postponed waits for
        the whole search once, instead of beginning again after each fetch.
        """
        # Searches count as one host: together they occupy at most half of the fetch threads.
        return self._ask(("search", name), SEARCHES, look)

    def _ask(self, name: Hashable, host: str, look: Callable[[Fetches], T]) -> T:
        result: T = self._flights.outcome(name, host, lambda: look(Fetches(self._policy)))
        return result

    def _may_find_kid(self, source: KeySource) -> bool:
        """Return whether a fetch for an unknown kid is allowed, or one is under way that may bring the kid."""
        now = self._now()
        return source.facts.is_unknown_kid_fetch_due(self._cooldown, now) or source.facts.is_leased(now)

    def _get_from_rows(self, rows: JwksCacheRows, source: KeySource) -> KeySet:
        row = rows.provide(source)
        key_set, freshness = self._read_row(row)
        if row is not None and freshness is not Freshness.FRESH:
            self._renew(rows, row, freshness)
            row = rows.find(source)
            key_set, freshness = self._read_row(row)
        if key_set is None or freshness is Freshness.EXPIRED:
            raise _nothing_to_serve(row)
        return key_set

    def _read_row(self, row: CacheRow | None) -> tuple[KeySet | None, Freshness]:
        key_set = self._renewal.parse(row) if row else None
        if row is None or key_set is None:
            return None, Freshness.EXPIRED
        return key_set, row.source.freshness_at(self._now(), self._stale_if_error)

    def _newer(self, source: KeySource, row: CacheRow | None) -> KeySet | None:
        if row is None or row.source.facts.document_sha256 == source.facts.document_sha256:
            return None
        key_set, freshness = self._read_row(row)
        return None if freshness is Freshness.EXPIRED else key_set

    def _renew(self, rows: JwksCacheRows, seen: CacheRow, freshness: Freshness) -> None:
        """Fetch in the background while the cached keys are usable, else wait for the fetch.

        Does nothing if a failure is too recent, or if a process is fetching and there are keys to serve meanwhile.
        """
        now = self._now()
        if seen.source.is_backing_off(now):
            return
        has_old_keys = freshness is not Freshness.EXPIRED
        if has_old_keys and seen.source.facts.is_leased(now):
            return
        flight, is_first = self._start(rows, seen, partial(rows.take_lease, seen.source))
        if freshness is Freshness.EXPIRED:
            self._flights.wait(flight, LONGEST_SECONDS if is_first else WAIT_SECONDS)
        elif freshness is Freshness.IF_ERROR and is_first:
            # The request that starts the flight waits for newer keys, and uses the old ones if the fetch fails. All
            # others use the old keys at once, so that an outage of the provider does not occupy their threads.
            with suppress(JwksFetchFailed):
                self._flights.wait(flight, LONGEST_SECONDS)

    def _start(
        self,
        rows: JwksCacheRows,
        seen: CacheRow,
        take: Callable[[datetime], bool],
        count: Callable[[FetchedKeySet | None], None] = lambda _fetched: None,
    ) -> tuple[Flight, bool]:
        """Start or join the flight of a source: its fetch thread fetches if `take` succeeds, else waits for the lease.

        Returns the flight, and whether this call began it. `count` is called with the outcome of a fetch.
        """

        def fetch() -> FetchedKeySet | None:
            if take(self._now()):
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
        # The row is the only sign of a fetch in another process, and nothing announces its change: hence the polling.
        while time.monotonic() < deadline:
            row = rows.find(source)
            if row is None or not row.source.facts.is_leased(self._now()):
                return
            time.sleep(POLL_SECONDS)


def key_store() -> KeyStore:
    """Return the key store of the current application."""
    store: KeyStore = current_application().extensions["key_store"]
    return store


def _flight(source: KeySource) -> tuple[str, str]:
    # With the URL, so that no caller waits for a fetch from the former URL of an integration.
    return source.entity_id, source.url


def _nothing_to_serve(row: CacheRow | None) -> JwksFetchFailed:
    if row is None:
        return JwksFetchFailed("The integration no longer exists, or its JWKS URL has just been changed.")
    reason = (row.error if row.source.facts.failures else None) or UNDER_WAY
    if row.source.facts.fetched_at is None:
        return JwksFetchFailed(f"There is no key set yet. {reason}")
    day = f"{row.source.facts.fetched_at:%Y-%m-%d %H:%M}"
    return KeySetTooOld(f"The last good key set, of {day} UTC, is too old to be used. {reason}")
