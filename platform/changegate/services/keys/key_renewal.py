"""The renewal of a cached key set: fetch it, parse it, and record success or failure."""

import logging
from contextlib import suppress
from dataclasses import dataclass

from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.services.keys.jwks_cache_rows import CacheRow, JwksCacheRows
from changegate.services.keys.jwks_fetch import FetchedDocument, FetchPolicy, fetch_jwks
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.key_source import KeySource, Now
from changegate.services.keys.key_timeline import note_key_set
from changegate.services.keys.parsed_key_sets import ParsedKeySets

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchedKeySet:
    """A key set together with the response that it came in."""

    key_set: KeySet
    document: FetchedDocument


class KeyRenewal:
    """Fetches of key sets under one policy."""

    def __init__(self, policy: FetchPolicy, parsed: ParsedKeySets[KeySet], now: Now) -> None:
        self._policy = policy
        self._parsed = parsed
        self._now = now

    def parse(self, row: CacheRow) -> KeySet | None:
        """Return the key set of a row, parsed once per process; None if the row holds no usable key set."""
        entity_id, digest = row.source.entity_id, row.source.facts.document_sha256
        if row.document is None or digest is None:
            return None
        key_set = self._parsed.find(entity_id, digest)
        if key_set is None:
            # This release may refuse a document that an earlier release accepted and stored.
            with suppress(JwksUnusable):
                key_set = KeySet.parse(row.document)
                self._parsed.keep(entity_id, digest, key_set)
        return key_set

    def fetch(self, rows: JwksCacheRows, source: KeySource, seen: CacheRow | None = None) -> FetchedKeySet:
        """Fetch, conditionally if `seen` holds a usable document, and record the outcome.

        Only another good key set replaces a good key set in the cache. Raises `JwksFetchFailed` or `JwksUnusable`.
        """
        # Without a usable document the request must not be conditional: a 304 would leave nothing to verify with.
        known = self.parse(seen) if seen else None
        status = None
        try:
            document = self._ask(source, seen if known else None)
            status = document.status
            key_set = known if status == 304 and known else KeySet.parse(document.body)
        except (JwksFetchFailed, JwksUnusable) as problem:
            rows.store_failure(source, problem.message, getattr(problem, "http_status", status), self._now())
            raise
        if key_set is known and seen:
            rows.renew(seen.source, document, self._now())
        else:
            rows.store_document(source, document, self._now())
            _log_changes(source, known, key_set)
        note_key_set(rows.engine, source.entity_id, key_set, self._now())
        return FetchedKeySet(key_set, document)

    def fetch_logged(self, rows: JwksCacheRows, seen: CacheRow) -> FetchedKeySet:
        """Fetch after the lease of the row `seen` was taken, and log a failure.

        Runs on a fetch thread. Raises `JwksFetchFailed` or `JwksUnusable`.
        """
        source = seen.source
        try:
            return self.fetch(rows, source, seen)
        except (JwksFetchFailed, JwksUnusable) as problem:
            logger.warning("The key set of integration %s: %s", source.entity_id, problem.message)
            raise
        except Exception as problem:
            # Such as an error of the database. `KeyStore.refresh` may have joined this flight and raises what it ended
            # with, so that it must be an error that requests answer.
            logger.error("Keeping a key set failed (%s)", type(problem).__name__)
            raise JwksFetchFailed("The keys were fetched and could not be kept; see the server's log.") from None

    def _ask(self, source: KeySource, seen: CacheRow | None) -> FetchedDocument:
        if seen is None:
            return fetch_jwks(source.url, self._policy)
        return fetch_jwks(source.url, self._policy, etag=seen.etag, last_modified=seen.last_modified)


def _log_changes(source: KeySource, known: KeySet | None, key_set: KeySet) -> None:
    before = {key.thumbprint for key in known.keys} if known else set()
    after = {key.thumbprint for key in key_set.keys}
    if before != after:
        added, removed = sorted(after - before), sorted(before - after)
        logger.info("Keys of integration %s: added %s, removed %s", source.entity_id, added, removed)
    for key in key_set.ignored:
        if key.alarm:
            logger.error("Key %r of integration %s: %s", key.kid, source.entity_id, key.reason)
