"""Warnings about integrations that were just saved: the findings that a typical mistake causes.

form, command line, file, admin API ──save, commit──> warn_of_saved ──> keys never fetched? fetch them
└──> findings of checks that warn
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select

from changegate.database import commit, connection
from changegate.errors import JwksFetchFailed, JwksUnusable
from changegate.models import JwksCache, OAuthEntity
from changegate.models.connection_type import TYPES
from changegate.postponed import forbid_postponing
from changegate.services.hygiene.assembly import integrations_of
from changegate.services.hygiene.assessment import ACCOUNT_CHECKS, INTEGRATION_CHECKS
from changegate.services.hygiene.facts import AccountFacts, IntegrationFacts
from changegate.services.hygiene.finding import Finding, findings_of
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge
from changegate.services.hygiene.reading import read_records
from changegate.services.integrations.key_blocking import refresh_keys
from changegate.services.keys.key_store import KeyStore

# A file may name a thousand integrations of unreachable providers.
FETCH_SECONDS = 30.0
Warnings = dict[str, list[str]]


def warn_of_saved(
    entities: Sequence[OAuthEntity], key_store: KeyStore, known: ProviderKnowledge, at: datetime
) -> Warnings:
    """Fetch the keys that were never fetched, and return `list_warnings`; call it after the commit."""
    # The integrations are committed: a second run of the request would save them again.
    forbid_postponing()
    _fetch_first_keys(entities, key_store)
    # The key store writes in a transaction of its own. End ours, which cannot see that write.
    commit()
    return list_warnings(entities, known, at)


def list_warnings(entities: Sequence[OAuthEntity], known: ProviderKnowledge, at: datetime) -> Warnings:
    """Return the findings of checks that warn, as sentences with their remedies, by client ID.

    Inactive integrations have none.
    """
    warnings: Warnings = {entity.client_id: [] for entity in entities}
    for facts in integrations_of(read_records(at), known, warnings.keys()):
        findings = [*_findings_of(facts, at)]
        warnings[facts.row.client_id] = [f"{finding.sentence} {finding.remedy}" for finding in findings]
    return warnings


def _findings_of(facts: IntegrationFacts, at: datetime) -> Iterator[Finding]:
    for check in INTEGRATION_CHECKS:
        if check.warns:
            yield from findings_of(check, facts, facts.subject, at)
    if facts.run_as is not None:
        account = AccountFacts(facts.run_as, [facts.row])
        for account_check in ACCOUNT_CHECKS:
            if account_check.warns:
                yield from findings_of(account_check, account, account.subject, at)


def _fetch_first_keys(entities: Sequence[OAuthEntity], key_store: KeyStore) -> None:
    deadline = time.monotonic() + FETCH_SECONDS
    for entity in _without_fetched_keys(entities):
        if time.monotonic() > deadline:
            return
        with suppress(JwksFetchFailed, JwksUnusable):
            refresh_keys(entity, key_store)


def _without_fetched_keys(entities: Sequence[OAuthEntity]) -> list[OAuthEntity]:
    """Return the active integrations with a JWKS URL whose keys have never been fetched."""
    has_keys = select(JwksCache.entity_id, JwksCache.url).where(JwksCache.fetched_at.is_not(None))
    fetched = {row.entity_id: row.url for row in connection().execute(has_keys).all()}
    return [
        entity
        for entity in entities
        if TYPES[entity.type].has_provider
        and entity.active
        and entity.key_source == "jwks_url"
        and fetched.get(entity.sys_id) != entity.jwks_url
    ]
