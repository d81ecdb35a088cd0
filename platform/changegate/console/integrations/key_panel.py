"""The keys of an integration over time, and the state of the fetches."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from changegate.errors import JwksUnusable, SealBroken
from changegate.extensions import db, now, settings
from changegate.models import JwksCache, OAuthEntity, OAuthEntityKey, OAuthKeyAlert
from changegate.models.oauth_entity_key import KEY_ALERTS
from changegate.services.integrations.verifier_maps import list_certificate_warnings
from changegate.services.keys.key_source import CachedFacts, backoff
from changegate.services.keys.key_timeline import list_key_alerts, list_keys
from changegate.services.keys.static_keys import StaticKeys, static_keys_of
from changegate.services.keys.verifying_keys import VerifyingKey

SHORT_LENGTH = 12


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key: fetched, stored with the integration, or known only because it is blocked."""

    thumbprint: str
    is_blocked: bool
    is_in_use: bool = False
    kid: str = ""
    algorithms: str = ""
    kind: str = ""
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None
    gone_at: datetime | None = None
    validity: str = ""

    @property
    def short(self) -> str:
        """Return the beginning of the thumbprint, enough to distinguish keys."""
        return self.thumbprint[:SHORT_LENGTH]

    @property
    def state(self) -> str:
        """Return `blocked`, `in use`, or `gone`."""
        if self.is_blocked:
            return "blocked"
        return "in use" if self.is_in_use else "gone"


@dataclass(frozen=True, slots=True)
class FetchState:
    """The state of the fetches; `next_try` is the earliest time at which an exchange fetches again.

    `error` is that of the last failure, also if a fetch has succeeded since (`failures` is 0 then).

    Until `cooldown_until`, an unknown kid does not cause a fetch; None if it would cause one now.
    """

    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    failed_at: datetime | None = None
    failures: int = 0
    error: str | None = None
    next_try: datetime | None = None
    cooldown_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyPanel:
    """The key section of the record; `fetch` is None if the keys are stored with the integration."""

    keys: Sequence[ShownKey]
    alerts: Sequence[tuple[str, OAuthKeyAlert]]
    warnings: Sequence[str]
    fetch: FetchState | None


def key_panel(entity: OAuthEntity) -> KeyPanel:
    """Return the keys of an integration, including the timeline of fetched keys."""
    blocked = frozenset(entity.blocked_keys or ())
    stored = static_keys_of(entity)
    current, warnings = _stored_keys(stored, blocked) if stored else ([], [])
    seen = [_seen_key(key, blocked, is_asked=stored is None) for key in list_keys(entity.sys_id)]
    keys = [*current, *seen]
    unseen = sorted(blocked - {key.thumbprint for key in keys})
    return KeyPanel(
        keys=[*keys, *(ShownKey(thumbprint, is_blocked=True) for thumbprint in unseen)],
        alerts=[(KEY_ALERTS.get(alert.kind, alert.kind), alert) for alert in list_key_alerts(entity.sys_id)],
        warnings=[*warnings, *list_certificate_warnings(entity, now())],
        fetch=None if stored else _fetch_state(entity),
    )


def _stored_keys(stored: StaticKeys, blocked: frozenset[str]) -> tuple[list[ShownKey], list[str]]:
    try:
        return [_stored_key(key, blocked) for key in stored.parse().keys], []
    except (JwksUnusable, SealBroken) as problem:
        return [], [problem.message]


def _stored_key(key: VerifyingKey, blocked: frozenset[str]) -> ShownKey:
    return ShownKey(
        thumbprint=key.thumbprint,
        is_blocked=key.thumbprint in blocked,
        is_in_use=True,
        kid=key.kid or "",
        algorithms=", ".join(sorted(key.algorithms)),
        kind=_kind(key.kty, key.size),
        validity=str(key.validity) if key.validity else "",
    )


def _seen_key(key: OAuthEntityKey, blocked: frozenset[str], *, is_asked: bool) -> ShownKey:
    return ShownKey(
        thumbprint=key.thumbprint,
        is_blocked=key.thumbprint in blocked,
        is_in_use=is_asked and key.gone_at is None,
        kid=key.kid,
        algorithms=", ".join(key.algorithms.split()),
        kind=_kind(key.kty, key.size),
        first_seen_at=key.first_seen_at,
        last_seen_at=key.last_seen_at,
        gone_at=key.gone_at,
    )


def _kind(kty: str, size: int) -> str:
    return f"{'Shared' if kty == 'oct' else kty}, {size} bits"


def _fetch_state(entity: OAuthEntity) -> FetchState:
    row = db.session.get(JwksCache, entity.sys_id)
    if row is None or row.url != entity.jwks_url:
        return FetchState()
    next_try = row.fresh_until
    if row.failures and row.failed_at is not None:
        next_try = row.failed_at + backoff(entity.sys_id, row.failures)
    return FetchState(
        fetched_at=row.fetched_at,
        fresh_until=row.fresh_until,
        failed_at=row.failed_at,
        failures=row.failures,
        error=row.error,
        next_try=next_try,
        cooldown_until=_facts(row).cooldown_end(settings().jwks_refetch_cooldown, now()),
    )


def _facts(row: JwksCache) -> CachedFacts:
    return CachedFacts(**{field.name: getattr(row, field.name) for field in fields(CachedFacts)})
