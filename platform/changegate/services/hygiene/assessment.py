"""The assessment: every check on every subject, and the score that comes of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from changegate.services.hygiene import (
    checks_of_accounts,
    checks_of_care,
    checks_of_grants,
    checks_of_keys,
    checks_of_trust,
    checks_of_use,
)
from changegate.services.hygiene.assembly import accounts_of, integrations_of
from changegate.services.hygiene.facts import AccountFacts, IntegrationFacts
from changegate.services.hygiene.finding import SEVERITIES, Check, Finding, findings_of
from changegate.services.hygiene.provider_knowledge import NOTHING_KNOWN, ProviderKnowledge
from changegate.services.hygiene.reading import Reading, read_all
from changegate.services.hygiene.score import score_all

INTEGRATION_CHECKS: tuple[Check[IntegrationFacts], ...] = (
    *checks_of_trust.CHECKS,
    *checks_of_keys.CHECKS,
    *checks_of_grants.CHECKS,
    *checks_of_care.CHECKS,
    *checks_of_use.CHECKS,
)
ACCOUNT_CHECKS: tuple[Check[AccountFacts], ...] = checks_of_accounts.CHECKS
_ORDER = tuple(SEVERITIES)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The score, and the findings, the worst first; within one severity by subject."""

    score: int
    findings: list[Finding]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each severity."""
        return {severity: sum(one.severity == severity for one in self.findings) for severity in SEVERITIES}


def assess(at: datetime, known: ProviderKnowledge = NOTHING_KNOWN) -> Assessment:
    """Run every check; `known` is what the presets know of providers."""
    return assess_reading(read_all(at), at, known)


def assess_reading(reading: Reading, at: datetime, known: ProviderKnowledge) -> Assessment:
    """Run every check on what was read already."""
    integrations, accounts = list(integrations_of(reading, known)), list(accounts_of(reading))
    found = [*_findings(integrations, accounts, at)]
    subjects = [subject[:2] for subject in (*(one.subject for one in integrations), *(one.subject for one in accounts))]
    found.sort(key=lambda one: (_ORDER.index(one.severity), one.subject_type, one.name.lower(), one.subject))
    return Assessment(score_all(subjects, found), found)


def _findings(integrations: list[IntegrationFacts], accounts: list[AccountFacts], at: datetime) -> Iterator[Finding]:
    for integration in integrations:
        for check in INTEGRATION_CHECKS:
            yield from findings_of(check, integration, integration.subject, at)
    for account in accounts:
        for account_check in ACCOUNT_CHECKS:
            yield from findings_of(account_check, account, account.subject, at)
