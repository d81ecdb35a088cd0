"""The assessment: every check on every integration and account, and the resulting score."""

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
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge
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
_SEVERITY_ORDER = tuple(SEVERITIES)


@dataclass(frozen=True, slots=True)
class Assessment:
    """The score, and the findings by severity, highest first, then by subject."""

    score: int
    findings: list[Finding]

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each severity."""
        return {severity: sum(finding.severity == severity for finding in self.findings) for severity in SEVERITIES}


def assess(at: datetime, known: ProviderKnowledge) -> Assessment:
    """Read the database and run every check; `known` is the presets' knowledge of providers."""
    return assess_reading(read_all(at), at, known)


def assess_reading(reading: Reading, at: datetime, known: ProviderKnowledge) -> Assessment:
    """Run every check on rows that have been read already."""
    integrations, accounts = list(integrations_of(reading, known)), list(accounts_of(reading))
    findings = [*_findings(integrations, accounts, at)]
    subjects = [*(facts.subject[:2] for facts in integrations), *(facts.subject[:2] for facts in accounts)]
    findings.sort(key=_order)
    return Assessment(score_all(subjects, findings), findings)


def _order(finding: Finding) -> tuple[int, str, str, str]:
    return _SEVERITY_ORDER.index(finding.severity), finding.subject_type, finding.name.lower(), finding.subject


def _findings(integrations: list[IntegrationFacts], accounts: list[AccountFacts], at: datetime) -> Iterator[Finding]:
    for integration in integrations:
        for check in INTEGRATION_CHECKS:
            yield from findings_of(check, integration, integration.subject, at)
    for account in accounts:
        for account_check in ACCOUNT_CHECKS:
            yield from findings_of(account_check, account, account.subject, at)
