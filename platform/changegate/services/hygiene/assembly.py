"""The assembly of rows into the facts about each integration and account."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from changegate.extensions import settings
from changegate.models.connection_type import TYPES
from changegate.services.assertions.condition_linter import lint_conditions
from changegate.services.hygiene.facts import AccountFacts, Binding, IntegrationFacts, KeyFacts, Row, Use
from changegate.services.hygiene.log_reading import UseOfToken
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge
from changegate.services.hygiene.reading import Reading
from changegate.services.integrations.authority import COMMAND_LINE, shared_audiences


def integrations_of(
    reading: Reading, known: ProviderKnowledge, only: Container[str] | None = None
) -> Iterator[IntegrationFacts]:
    """Yield the facts of each active integration, or `only` of those with these client IDs.

    Disabled integrations issue no tokens and are left out.
    """
    active = [row for row in reading.integrations if row.active]
    by_issuer: dict[str, list[str]] = defaultdict(list)
    for row in active:
        if TYPES[row.type].has_provider:
            by_issuer[row.issuer].append(row.name)
    uses = by_entity(reading.uses)
    for row in active:
        if only is not None and row.client_id not in only:
            continue
        yield IntegrationFacts(
            row=row,
            binding=binding_of(row, known),
            use=_use(uses[row.sys_id]),
            keys=reading.keys.get(row.sys_id, KeyFacts()),
            run_as=reading.accounts.get(row.run_as or ""),
            owner=reading.accounts.get(row.owner or ""),
            last_used_at=last_use(row, uses[row.sys_id]),
            neighbours=tuple(name for name in by_issuer.get(row.issuer, ()) if name != row.name),
            late_claims=reading.late_claims.get(row.sys_id),
            is_password_grant_on=settings().password_grant_enabled,
            rivals=tuple(other.name for other in active if _accepts_the_same(row, other)),
            is_saved_by_administrator=row.is_saved_by_administrator or row.sys_updated_by == COMMAND_LINE,
            **_provider_facts(row, known),
        )


def _provider_facts(row: Row, known: ProviderKnowledge) -> dict[str, Any]:
    if not TYPES[row.type].has_provider:
        return {}
    return {
        "mistakes": known.find_mistakes(row._mapping),
        "open_trust": known.find_open_trust(row.issuer, row.preset),
        "audience_fault": known.find_audience_fault(row.issuer, row.preset, row.audiences or (), row.client_id),
    }


def _accepts_the_same(row: Row, other: Row) -> bool:
    if row.sys_id == other.sys_id or not TYPES[row.type].has_provider or not TYPES[other.type].has_provider:
        return False
    is_alike = (row.issuer, row.audience_claim) == (other.issuer, other.audience_claim)
    return is_alike and bool(shared_audiences(row.audiences, other.audiences))


def accounts_of(reading: Reading) -> Iterator[AccountFacts]:
    """Yield the facts of each account that an integration runs as, that a token acted as, or that cannot sign in."""
    uses, by_user = by_entity(reading.uses), _by_user(reading.uses)
    run_as: dict[str, list[Row]] = defaultdict(list)
    for row in reading.integrations:
        if row.run_as:
            run_as[row.run_as].append(row)
    rows = {row.sys_id: row for row in reading.integrations}
    for sys_id, account in reading.accounts.items():
        acted, runs = by_user[sys_id], run_as[sys_id]
        if not (acted or runs or account.web_service_access_only):
            continue
        involved = {row.sys_id: row for row in (*runs, *(rows[use.entity] for use in acted if use.entity in rows))}
        known = [*(use.latest_at for use in acted), *(last_use(row, uses[row.sys_id]) for row in runs)]
        yield AccountFacts(
            account=account,
            integrations=[row for row in involved.values() if row.active],
            is_machine=bool(runs) or account.web_service_access_only,
            last_used_at=max((at for at in known if at), default=None),
        )


def last_use(row: Row, uses: Iterable[UseOfToken]) -> datetime | None:
    """Return the latest known use of an integration.

    Uses before the event log are known from the changes that were created, and from `last_exchange_at`, which is stored
    when exchanges are deleted.
    """
    known = [row.last_exchange_at, row.last_created_at, *(use.latest_at for use in uses)]
    return max((at for at in known if at is not None), default=None)


def by_entity(uses: Iterable[UseOfToken]) -> dict[str, list[UseOfToken]]:
    """Group uses by integration."""
    grouped: dict[str, list[UseOfToken]] = defaultdict(list)
    for use in uses:
        grouped[use.entity].append(use)
    return grouped


def _by_user(uses: Iterable[UseOfToken]) -> dict[str, list[UseOfToken]]:
    grouped: dict[str, list[UseOfToken]] = defaultdict(list)
    for use in uses:
        if use.user is not None:
            grouped[use.user].append(use)
    return grouped


def _use(uses: Iterable[UseOfToken]) -> Use:
    listed = list(uses)
    return Use(
        latest=max((use.latest for use in listed), default=None),
        exchanges=sum(use.reported for use in listed),
        would_refuse=sum(use.would_refuse for use in listed),
    )


def binding_of(row: Row, known: ProviderKnowledge) -> Binding:
    """Return what the claim conditions of an integration enforce, with warnings about them.

    Integrations without an identity provider have no conditions and need none.
    """
    if not TYPES[row.type].has_provider:
        return Binding()
    conditions: list[Mapping[str, Any]] = list(row.claim_conditions or ())
    linted = lint_conditions(conditions, known.find_claim_kinds(row.issuer, row.preset))
    enforced = [
        (str(condition.get("claim")), findings.admits_everything)
        for condition, findings in zip(conditions, linted.conditions, strict=True)
        if not condition.get("report_only")
    ]
    return Binding(
        is_bound=any(not admits_everything for _, admits_everything in enforced),
        idle=tuple(claim for claim, admits_everything in enforced if admits_everything),
        reporting=tuple(str(condition.get("claim")) for condition in conditions if condition.get("report_only")),
        faults=tuple(known.require_pins(row.issuer, row.preset, conditions, row.audiences or ())),
        warnings=linted.warnings,
    )
