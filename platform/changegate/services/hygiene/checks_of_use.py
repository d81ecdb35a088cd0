"""Hygiene checks of an integration's use, and of its report-only conditions."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from changegate.services.hygiene.facts import IntegrationFacts
from changegate.services.hygiene.finding import LOW, MEDIUM, Check, Fault

UNUSED_AFTER = timedelta(days=90)
NEVER_USED_AFTER = timedelta(days=7)
# A condition must have reported for this long before enforcing it is recommended.
TRIAL_PERIOD = timedelta(days=14)


def _unused(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    last = facts.last_used_at
    if last is not None and at - last > UNUSED_AFTER:
        yield Fault(f"Nothing has used it since {last:%Y-%m-%d}.", "Disable or delete it.", "active")


def _never_used(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    made = facts.row.sys_created_on
    if facts.last_used_at is None and at - made > NEVER_USED_AFTER:
        sentence = f"It was registered on {made:%Y-%m-%d}, and has had no exchanges."
        yield Fault(sentence, "Finish setting it up, or delete it.", "active")


def _report_only_met(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    is_settled = at - facts.row.sys_updated_on >= TRIAL_PERIOD
    if facts.binding.reporting and is_settled and facts.use.exchanges and not facts.use.would_refuse:
        sentence = f"{_conditions(facts)} would have refused none of the {_exchanges(facts)}."
        yield Fault(sentence, "Enforce them.", "claim_conditions")


def _report_only_unmet(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.binding.reporting and facts.use.would_refuse:
        sentence = f"{_conditions(facts)} would have refused {facts.use.would_refuse} of the {_exchanges(facts)}."
        yield Fault(sentence, "Check these events, then correct or enforce the conditions.", "events")


def _conditions(facts: IntegrationFacts) -> str:
    return f"Its report-only conditions ({', '.join(facts.binding.reporting)})"


def _exchanges(facts: IntegrationFacts) -> str:
    number = facts.use.exchanges
    return f"{number} {'exchange' if number == 1 else 'exchanges'} of the last {TRIAL_PERIOD.days} days"


CHECKS = (
    Check("unused", MEDIUM, _unused),
    Check("never_used", LOW, _never_used),
    Check("report_only_met", LOW, _report_only_met),
    Check("report_only_unmet", LOW, _report_only_unmet),
)
