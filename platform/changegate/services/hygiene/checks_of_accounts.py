"""Hygiene checks of the accounts that automation acts as."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from changegate.services.hygiene.facts import AccountFacts
from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Check, Fault
from changegate.services.hygiene.privileges import HIGH_PRIVILEGES

# The number of days without API access that ServiceNow uses.
IDLE_AFTER = timedelta(days=100)


def _holds_privilege(severity: str) -> Callable[[AccountFacts, datetime], Iterator[Fault]]:
    def evaluate(facts: AccountFacts, at: datetime) -> Iterator[Fault]:
        held = [role for role in facts.account.privileges if HIGH_PRIVILEGES[role].severity == severity]
        if held and facts.integrations and facts.account.is_active:
            names = ", ".join(row.name for row in facts.integrations)
            reason = HIGH_PRIVILEGES[held[0]].reason
            sentence = f"Tokens of {names} act as {facts.account.user_name}, who {reason} (role {', '.join(held)})."
            yield Fault(sentence, "Let the integrations run as an account that has only the required roles.", "roles")

    return evaluate


def _idle(facts: AccountFacts, at: datetime) -> Iterator[Fault]:
    last = facts.last_used_at
    if facts.is_machine and facts.account.is_active and last is not None and at - last > IDLE_AFTER:
        sentence = f"No token has acted as {facts.account.user_name} since {last:%Y-%m-%d}."
        yield Fault(sentence, "Deactivate the account if nothing else needs it.", "active")


def _may_sign_in(facts: AccountFacts, at: datetime) -> Iterator[Fault]:
    account = facts.account
    is_open = account.is_active and account.has_password and not account.web_service_access_only
    if is_open and facts.is_machine and facts.integrations:
        sentence = f"Tokens act as {account.user_name}, who can also sign in to the console with a password."
        yield Fault(sentence, "Set Web service access only for the account.", "web_service_access_only")


CHECKS = (
    Check("account_administers", HIGH, _holds_privilege(HIGH), warns=True),
    Check("account_manages_changes", MEDIUM, _holds_privilege(MEDIUM)),
    Check("account_idle", MEDIUM, _idle),
    Check("account_signs_in", LOW, _may_sign_in),
)
