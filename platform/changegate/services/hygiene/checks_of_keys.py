"""Hygiene checks of the keys that assertions are verified with."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from changegate.extensions import settings
from changegate.services.hygiene.facts import IntegrationFacts
from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Check, Fault

EXPIRES_WITHIN = timedelta(days=30)
ALERTED_FOR = timedelta(days=7)
STALE_AFTER = timedelta(hours=24)
FAILING_AFTER = timedelta(hours=1)
LONGEST_ERROR = 200


def _certificate_expired(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for row in facts.keys.certificates:
        if row.expires < at:
            consequence = (
                "assertions signed with its key are refused" if row.enforce_dates else "its key is still accepted"
            )
            sentence = f"The certificate of map {row.name} expired on {row.expires:%Y-%m-%d}; {consequence}."
            yield Fault(sentence, "Add the signer's new certificate and remove this one.", "verifier_maps")


def _certificate_expires(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for row in facts.keys.certificates:
        if at <= row.expires < at + EXPIRES_WITHIN:
            sentence = f"The certificate of map {row.name} expires on {row.expires:%Y-%m-%d}."
            yield Fault(sentence, "Add the signer's new certificate before that.", "verifier_maps")


def _alerted(kind: str, sentence: str, remedy: str) -> Callable[[IntegrationFacts, datetime], Iterator[Fault]]:
    def evaluate(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
        alerts = [row for row in facts.keys.alerts if row.kind == kind and at - row.happened_at <= ALERTED_FOR]
        # A key may have several alerts; only its latest becomes a finding.
        for alert in {row.kid: row for row in sorted(alerts, key=lambda row: row.happened_at)}.values():
            said = sentence.format(kid=alert.kid or "without kid", at=f"{alert.happened_at:%Y-%m-%d %H:%M} UTC")
            yield Fault(said, remedy, "keys")

    return evaluate


_private_key_published = _alerted(
    "private_key_published",
    "On {at} the provider published the private half of its key {kid}: anyone who read it can sign as the provider.",
    "Have the provider replace the key, and block it here.",
)
_kid_reused = _alerted(
    "same_kid_other_key",
    "On {at} the kid {kid} was published with a different key than before.",
    "Ask the provider whether this was intended; block the new key until you know.",
)
_all_keys_replaced = _alerted(
    "all_keys_replaced",
    "On {at} the provider published none of the keys that it had published before.",
    "Ask the provider whether this was planned, and check the key timeline.",
)


def _shared_key(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.key_source == "shared_key":
        algorithms = ", ".join(facts.row.algorithms or ()) or "a shared key"
        sentence = f"Assertions are signed with a secret key that is also stored in Changegate ({algorithms})."
        yield Fault(sentence, "Have the signer use a key pair, and enter its JWKS URL or certificate.", "key_source")


def _blocked_key_published(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    blocked = frozenset(facts.row.blocked_keys or ())
    for key in facts.keys.published:
        if key.thumbprint in blocked:
            sentence = f"The key {key.kid or key.thumbprint} is blocked, but its provider still publishes it."
            yield Fault(sentence, "Have the provider withdraw the key, or unblock it if it is trustworthy.", "keys")


def _keys_expired(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    cache = _cache(facts)
    if cache and cache.failures and _overdue(cache, at) >= settings().jwks_stale_if_error:
        sentence = (
            f"No fetch of its keys has succeeded since {cache.fetched_at:%Y-%m-%d %H:%M} UTC: exchanges are refused."
        )
        yield Fault(f"{sentence} {_error(cache)}", "Correct the JWKS URL, or have the provider fix it.", "keys")


def _keys_stale(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    cache = _cache(facts)
    if cache and not cache.failures and _overdue(cache, at) >= STALE_AFTER:
        sentence = (
            f"Its keys were last fetched on {cache.fetched_at:%Y-%m-%d %H:%M} UTC; no request has needed them since."
        )
        yield Fault(sentence, "Refresh the keys to check that the provider still publishes them.", "keys")


def _fetch_failing(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    cache = _cache(facts)
    if not cache or not cache.failures:
        return
    if cache.fetched_at is None:
        sentence = f"Its keys have never been fetched ({_fetches(cache)})."
        yield Fault(f"{sentence} {_error(cache)}", "Correct the JWKS URL, or have the provider fix it.", "keys")
    elif FAILING_AFTER <= _overdue(cache, at) < STALE_AFTER:
        until = cache.fresh_until + STALE_AFTER
        sentence = (
            f"Its keys cannot be fetched; those of {cache.fetched_at:%Y-%m-%d %H:%M} UTC are used until {until:%H:%M}."
        )
        yield Fault(f"{sentence} {_error(cache)}", "Correct the JWKS URL, or have the provider fix it.", "keys")


def _fetch_failed(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    cache = _cache(facts)
    if cache and cache.failures and cache.fetched_at is not None and _overdue(cache, at) < FAILING_AFTER:
        sentence = f"The last fetch of its keys failed, on {cache.failed_at:%Y-%m-%d %H:%M} UTC."
        yield Fault(f"{sentence} {_error(cache)}", "Refresh the keys and check whether the errors continue.", "keys")


def _cache(facts: IntegrationFacts) -> Any | None:
    """Return the row of the key cache, unless it is for another URL than the current one."""
    cache = facts.keys.cache
    is_fetched = facts.row.key_source == "jwks_url"
    return cache if is_fetched and cache is not None and cache.url == facts.row.jwks_url else None


def _overdue(cache: Any, at: datetime) -> timedelta:
    """Return for how long a new fetch has been due; zero if no fetch has ever succeeded."""
    return timedelta(0) if cache.fresh_until is None else at - cache.fresh_until


def _fetches(cache: Any) -> str:
    return f"{cache.failures} {'attempt' if cache.failures == 1 else 'attempts'}"


def _error(cache: Any) -> str:
    return " ".join((cache.error or "").split())[:LONGEST_ERROR]


CHECKS = (
    Check("certificate_expired", HIGH, _certificate_expired),
    Check("certificate_expires", MEDIUM, _certificate_expires),
    Check("private_key_published", HIGH, _private_key_published),
    Check("kid_reused", HIGH, _kid_reused),
    Check("all_keys_replaced", MEDIUM, _all_keys_replaced),
    Check("shared_key", MEDIUM, _shared_key),
    Check("blocked_key_published", MEDIUM, _blocked_key_published),
    Check("keys_expired", HIGH, _keys_expired),
    Check("keys_stale", LOW, _keys_stale),
    Check("key_fetch_failing", MEDIUM, _fetch_failing, warns=True),
    Check("key_fetch_failed", LOW, _fetch_failed),
)
