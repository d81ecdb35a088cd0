"""Hygiene checks of an integration's maintenance: owner, review, secret, and run-as account."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from changegate.services.hygiene.facts import IntegrationFacts
from changegate.services.hygiene.finding import LOW, MEDIUM, Check, Fault
from changegate.services.integrations.run_as import CREATOR_ROLE, may_create_changes

REVIEW_AHEAD = timedelta(days=14)
SECRET_OLD_AFTER = timedelta(days=180)


def _review_overdue(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    due = facts.row.review_date
    if due is not None and due < at.date():
        yield Fault(
            f"Its review was due on {due}.", "Review the integration and set the next review date.", "review_date"
        )


def _review_due(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    due = facts.row.review_date
    if due is not None and at.date() <= due <= (at + REVIEW_AHEAD).date():
        yield Fault(
            f"Its review is due on {due}.", "Review the integration and set the next review date.", "review_date"
        )


def _owner_missing(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.owner is None and facts.row.owner_group is None:
        yield Fault("It has no owner.", "Enter the user or the group that is responsible for it.", "owner")


def _owner_gone(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.owner_group is not None and not facts.row.has_owner_group:
        yield Fault("Its owner group is inactive or was deleted.", "Name another owner group.", "owner_group")
    if facts.row.owner is None or (facts.owner is not None and facts.owner.is_active):
        return
    state = f"{facts.owner.user_name} is {_state(facts.owner)}" if facts.owner else "was deleted"
    yield Fault(f"Its owner {state}.", "Name another owner.", "owner")


def _run_as_inactive(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    account = facts.run_as
    if account is not None and not account.is_active:
        sentence = f"It runs as {account.user_name}, who is {_state(account)}: exchanges and tokens are refused."
        yield Fault(sentence, "Choose another account, or disable the integration.", "run_as")


def _run_as_may_not_create(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    account = facts.run_as
    if account is not None and facts.row.has_creating_scope and not may_create_changes(account.roles):
        sentence = f"It runs as {account.user_name}, who may not create changes: each creation is refused."
        yield Fault(sentence, f"Give the account the role {CREATOR_ROLE}, or choose another account.", "run_as")


def _state(account: object) -> str:
    return "locked out" if getattr(account, "active", False) else "inactive"


def _old_secret(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    made = facts.row.client_secret_created_at
    if _has_secret(facts) and made is not None and at - made > SECRET_OLD_AFTER:
        sentence = f"Its client secret is {(at - made).days} days old."
        yield Fault(
            sentence, "Rotate the secret with an overlap, and configure the new secret in the clients.", "secret"
        )


def _secret_of_unknown_age(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    made = facts.row.client_secret_created_at
    if _has_secret(facts) and made is None and at - facts.row.sys_created_on > SECRET_OLD_AFTER:
        sentence = (
            f"Its client secret has no recorded creation date; it is from {facts.row.sys_created_on:%Y} or later."
        )
        yield Fault(
            sentence, "Rotate the secret with an overlap, and configure the new secret in the clients.", "secret"
        )


def _two_secrets(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    until = facts.row.previous_client_secret_expires_at
    if _has_secret(facts) and facts.row.has_previous_secret and until is not None and at < until:
        sentence = f"The previous client secret works until {until:%Y-%m-%d %H:%M} UTC."
        yield Fault(
            sentence, "Rotate without an overlap if the old secret may have leaked; otherwise, let it expire.", "secret"
        )


def _has_secret(facts: IntegrationFacts) -> bool:
    return facts.row.has_secret and not facts.row.public_client


CHECKS = (
    Check("review_overdue", MEDIUM, _review_overdue, warns=True),
    Check("review_due", LOW, _review_due),
    Check("owner_missing", LOW, _owner_missing),
    Check("owner_gone", MEDIUM, _owner_gone),
    Check("run_as_inactive", MEDIUM, _run_as_inactive),
    Check("run_as_may_not_create", MEDIUM, _run_as_may_not_create, warns=True),
    Check("old_secret", MEDIUM, _old_secret),
    Check("secret_of_unknown_age", LOW, _secret_of_unknown_age),
    Check("two_secrets", LOW, _two_secrets),
)
