"""The key timeline: which keys a provider has published, since when and until when, and alerts about changes.

Written after each fetch of a key set, in a transaction of its own like the cache's (see `jwks_cache_rows`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from changegate.extensions import db
from changegate.models import OAuthEntityKey, OAuthKeyAlert
from changegate.models.oauth_exchange import new_correlation_id
from changegate.services.keys.key_set import KeySet
from changegate.services.keys.signing_key import SigningKey
from changegate.services.keys.verifying_keys import K, VerifyingKey, VerifyingKeys

# A provider that publishes a secret repeats it in every document; one alert in this time is enough.
QUIET_AFTER_ALERT = timedelta(days=1)
MOST_ALERTS = 20

KeyRow = Any  # a row of oauth_entity_key
Alert = tuple[str, str | None, str]  # kind, kid, detail


def note_key_set(engine: Engine, entity: str, key_set: KeySet, at: datetime) -> None:
    """Record the keys that a provider publishes now, and add alerts about suspicious changes."""
    try:
        with engine.begin() as connection:
            _note(connection, entity, key_set, at)
    except IntegrityError:
        # Another process has just recorded the same key, or the integration has been deleted. The next fetch records
        # whatever is still missing.
        return


def note_stored_keys(connection: Connection, entity: str, keys: VerifyingKeys[Any], at: datetime) -> None:
    """Record the keys that an administrator stored with an integration; no alerts, as the change was intended."""
    known = connection.execute(select(OAuthEntityKey.__table__).where(OAuthEntityKey.entity == entity)).all()
    _note_published(connection, entity, known, keys, at)


def forget_published(connection: Connection, entity: str, at: datetime) -> None:
    """Record all published keys as gone, because the URL has changed; the new keys then cause no alerts."""
    of_entity = (OAuthEntityKey.entity == entity, OAuthEntityKey.gone_at.is_(None))
    connection.execute(update(OAuthEntityKey).where(*of_entity).values(gone_at=at))


def list_keys(entity: str) -> list[OAuthEntityKey]:
    """Return the keys of an integration: published keys first, then the others, newest first."""
    order = (OAuthEntityKey.gone_at.is_not(None), OAuthEntityKey.first_seen_at.desc(), OAuthEntityKey.kid)
    keys = select(OAuthEntityKey).where(OAuthEntityKey.entity == entity).order_by(*order)
    return list(db.session.execute(keys).scalars())


def list_key_alerts(entity: str) -> list[OAuthKeyAlert]:
    """Return the latest `MOST_ALERTS` alerts of an integration, newest first."""
    alerts = select(OAuthKeyAlert).where(OAuthKeyAlert.entity == entity).order_by(OAuthKeyAlert.happened_at.desc())
    return list(db.session.execute(alerts.limit(MOST_ALERTS)).scalars())


def _note(connection: Connection, entity: str, key_set: KeySet, at: datetime) -> None:
    table = OAuthEntityKey.__table__
    known = connection.execute(select(table).where(table.c.entity == entity)).all()
    alerts = [*_alerts_of_change(known, key_set.keys), *_alerts_of_leaks(connection, entity, key_set, at)]
    _note_published(connection, entity, known, key_set, at)
    if alerts:
        connection.execute(insert(OAuthKeyAlert), [_alert_row(entity, alert, at) for alert in alerts])


def _note_published(
    connection: Connection, entity: str, known: Sequence[KeyRow], keys: VerifyingKeys[Any], at: datetime
) -> None:
    _update_known(connection, entity, known, keys, at)
    seen_before = {(row.thumbprint, row.kid) for row in known}
    fresh = [_row(entity, key, at) for key in _each_once(keys.keys) if _identity(key) not in seen_before]
    if fresh:
        connection.execute(insert(OAuthEntityKey), fresh)


def _update_known(
    connection: Connection, entity: str, known: Iterable[KeyRow], keys: VerifyingKeys[Any], at: datetime
) -> None:
    published = {_identity(key) for key in keys.keys}
    for row in known:
        is_published = (row.thumbprint, row.kid) in published
        values: dict[str, Any] = {"last_seen_at": at, "gone_at": None} if is_published else {"gone_at": at}
        if is_published or row.gone_at is None:
            of_row = (OAuthEntityKey.thumbprint == row.thumbprint, OAuthEntityKey.kid == row.kid)
            connection.execute(update(OAuthEntityKey).where(OAuthEntityKey.entity == entity, *of_row).values(values))


def _alerts_of_change(known: Iterable[KeyRow], keys: tuple[SigningKey, ...]) -> Iterator[Alert]:
    by_kid = {(row.kid, row.algorithms): row.thumbprint for row in known if row.kid}
    # Two keys of different types may share a kid while both are published. A kid counts as reused only if the earlier
    # key had the same algorithms, or is no longer published.
    current = {_identity(key) for key in keys}
    replaced = {row.kid: row.thumbprint for row in known if row.kid and (row.thumbprint, row.kid) not in current}
    seen = {row.thumbprint for row in known}
    for key in _each_once(keys):
        kid = key.kid or ""
        before = by_kid.get((kid, _algorithms(key))) or replaced.get(kid)
        if before is not None and key.thumbprint not in seen:
            detail = f"Was {before}, is {key.thumbprint}. A provider gives each key a kid of its own."
            yield "same_kid_other_key", key.kid, detail
    published = {row.thumbprint for row in known if row.gone_at is None}
    if published and not published & {key.thumbprint for key in keys}:
        detail = "No key that was published before is left. A planned rotation publishes old and new keys together."
        yield "all_keys_replaced", None, detail


def _alerts_of_leaks(connection: Connection, entity: str, key_set: KeySet, at: datetime) -> Iterator[Alert]:
    for key in key_set.ignored:
        if key.alarm and not _has_recent_alert(connection, entity, key.kid, at):
            yield "private_key_published", key.kid, f"Not used: {key.reason}."


def _has_recent_alert(connection: Connection, entity: str, kid: str | None, at: datetime) -> bool:
    lately = (OAuthKeyAlert.entity == entity, OAuthKeyAlert.happened_at > at - QUIET_AFTER_ALERT)
    same = (OAuthKeyAlert.kind == "private_key_published", OAuthKeyAlert.kid.is_not_distinct_from(kid))
    return connection.execute(select(OAuthKeyAlert.alert_id).where(*lately, *same)).first() is not None


def _each_once(keys: Iterable[K]) -> Iterator[K]:
    # A key set may list one key several times under one kid, for several algorithms.
    yield from {_identity(key): key for key in keys}.values()


def _identity(key: VerifyingKey) -> tuple[str, str]:
    return key.thumbprint, key.kid or ""


def _algorithms(key: VerifyingKey) -> str:
    return " ".join(sorted(key.algorithms))


def _row(entity: str, key: VerifyingKey, at: datetime) -> dict[str, Any]:
    return {
        "entity": entity,
        "thumbprint": key.thumbprint,
        "kid": key.kid or "",
        "algorithms": _algorithms(key),
        "kty": key.kty,
        "size": key.size,
        "first_seen_at": at,
        "last_seen_at": at,
        "gone_at": None,
    }


def _alert_row(entity: str, alert: Alert, at: datetime) -> dict[str, Any]:
    kind, kid, detail = alert
    return {
        "alert_id": new_correlation_id(at),
        "entity": entity,
        "happened_at": at,
        "kind": kind,
        "kid": kid,
        "detail": detail,
    }
