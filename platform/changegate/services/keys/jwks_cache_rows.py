"""Rows of the key cache, each written in a short transaction of its own.

    process A    take_lease ──> True     fetches ──> store_document, renew, or store_failure (these end the lease)
    process B    take_lease ──> False    polls `fetch_lease_until` until A is done or the lease has expired

The transactions are separate from the caller's, so that a refused exchange does not roll them back.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from changegate.models.jwks_cache import JwksCache
from changegate.services.keys.jwks_answer import FetchedDocument
from changegate.services.keys.key_source import CLOCK_TOLERANCE, LEASE, CachedFacts, KeySource, fresh_for

MAX_ERROR_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A row as it was read: its facts, as `source`, and its document."""

    source: KeySource
    document: bytes | None
    etag: str | None
    last_modified: str | None
    error: str | None


class JwksCacheRows:
    """Statements on the cache, each in a transaction of its own that has ended when the method returns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """Return the engine that the rows are written with."""
        return self._engine

    def find(self, source: KeySource) -> CacheRow | None:
        """Return the row of an integration, or None if the current URL has no row."""
        query = select(JwksCache.__table__).where(_belongs_to(source))
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        facts = CachedFacts(**{field.name: row[field.name] for field in fields(CachedFacts)})
        return CacheRow(replace(source, cached=facts), row["document"], row["etag"], row["last_modified"], row["error"])

    def provide(self, source: KeySource) -> CacheRow | None:
        """Return the row, created if missing and reset if it is for another URL; None if the integration is gone."""
        return self.find(source) or self._start(source)

    def _start(self, source: KeySource) -> CacheRow | None:
        fresh_row: dict[str, Any] = {column.name: None for column in JwksCache.__table__.columns}
        fresh_row |= {"entity_id": source.entity_id, "url": source.url, "failures": 0}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(JwksCache).values(fresh_row))
        except IntegrityError:
            # Either there is a row already, or the integration is gone and its foreign key fails. The update matches
            # only a row of another URL: a row that another process has just created for this URL is left alone.
            with self._engine.begin() as connection:
                of_other_url = and_(JwksCache.entity_id == source.entity_id, JwksCache.url != source.url)
                connection.execute(update(JwksCache).where(of_other_url).values(fresh_row))
        return self.find(source)

    def take_lease(self, seen: KeySource, now: datetime) -> bool:
        """Take the right to fetch, for `LEASE`; return False if it is taken already, or a fetch has ended since `seen`.

        One UPDATE checks and takes it at once, so that of several processes exactly one gets the lease. A process that
        dies while it fetches leaves a lease that expires.
        """
        return self._update(seen, {"fetch_lease_until": now + LEASE}, _may_lease(seen, now))

    def take_unknown_kid_fetch(self, seen: KeySource, cooldown: timedelta, now: datetime) -> bool:
        """Take the lease together with the one fetch that unknown kids may cause in a cooldown.

        One UPDATE takes both: a request that sees the cooldown begun must also see the fetch that it can wait for.
        """
        last = JwksCache.unknown_kid_fetch_at
        is_due = or_(last.is_(None), last <= now - cooldown, last > now + CLOCK_TOLERANCE)
        values = {"unknown_kid_fetch_at": now, "fetch_lease_until": now + LEASE}
        return self._update(seen, values, is_due, _may_lease(seen, now))

    def store_document(self, source: KeySource, fetched: FetchedDocument, now: datetime) -> None:
        """Replace the document, reset the count of failures, and end the lease; the last error stays."""
        digest = hashlib.sha256(fetched.body).hexdigest()
        values = {"document": fetched.body, "document_sha256": digest}
        self._update(source, values | _success(source, fetched, now))

    def renew(self, seen: KeySource, fetched: FetchedDocument, now: datetime) -> None:
        """Renew the freshness of a document that has not changed (status 304), and end the lease."""
        values = _success(seen, fetched, now)
        for validator in ("etag", "last_modified"):
            # A 304 may omit the validators; those of the stored document stay valid.
            if values[validator] is None:
                del values[validator]
        # Only while the row still holds the document that the 304 is about.
        self._update(seen, values, JwksCache.document_sha256 == seen.facts.document_sha256)

    def store_failure(self, source: KeySource, error: str, http_status: int | None, now: datetime) -> None:
        """Record a failed fetch, and end the lease; the document stays."""
        values = {
            "failed_at": now,
            "failures": JwksCache.failures + 1,
            "error": error[:MAX_ERROR_LENGTH],
            "http_status": http_status,
            "fetch_lease_until": None,
        }
        self._update(source, values)

    def _update(self, source: KeySource, values: dict[str, Any], *conditions: ColumnElement[bool]) -> bool:
        statement = update(JwksCache).where(_belongs_to(source), *conditions).values(values)
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1


def clear_cached_keys(connection: Connection, entity_id: str) -> None:
    """Delete an integration's cached keys, in the transaction that changes its URL or issuer."""
    connection.execute(delete(JwksCache).where(JwksCache.entity_id == entity_id))


def _belongs_to(source: KeySource) -> ColumnElement[bool]:
    # The URL is compared too: a fetch that was under way when the URL changed must not write to the new URL's row.
    return and_(JwksCache.entity_id == source.entity_id, JwksCache.url == source.url)


def _may_lease(seen: KeySource, now: datetime) -> ColumnElement[bool]:
    until = JwksCache.fetch_lease_until
    # A lease that ends later than any lease could was written by a wrong clock and counts as free. The other two
    # conditions compare with what the caller read: if a fetch has ended since, its result is read instead.
    return and_(
        or_(until.is_(None), until <= now, until > now + LEASE + CLOCK_TOLERANCE),
        JwksCache.fetched_at.is_not_distinct_from(seen.facts.fetched_at),
        JwksCache.failed_at.is_not_distinct_from(seen.facts.failed_at),
    )


def _success(source: KeySource, fetched: FetchedDocument, now: datetime) -> dict[str, Any]:
    return {
        "etag": fetched.etag,
        "last_modified": fetched.last_modified,
        "fetched_at": now,
        "fresh_until": now + fresh_for(fetched.max_age, source.lifespan),
        # The time and text of the last failure stay: a provider that fails now and then would leave no trace.
        "failures": 0,
        "http_status": fetched.status,
        "fetch_lease_until": None,
    }
