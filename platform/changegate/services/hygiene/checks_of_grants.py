"""Hygiene checks of connection types and tokens: those that are better replaced."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from changegate.models.integration_choices import CLIENT_CREDENTIALS, ID_TOKEN, PASSWORD, REUSABLE
from changegate.services.hygiene.checks_of_trust import LONGEST_TOKEN_SECONDS
from changegate.services.hygiene.facts import IntegrationFacts
from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Check, Fault

BY_PROVIDER = "Register a JWT bearer integration instead, and disable this one."


def _password_grant(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.type == PASSWORD and facts.is_password_grant_on:
        sentence = "Its clients handle users' passwords, which RFC 9700 §2.4 forbids."
        yield Fault(sentence, BY_PROVIDER, "active")


def _password_grant_off(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.type == PASSWORD and not facts.is_password_grant_on:
        sentence = "It uses the password grant, which is disabled on this server: its clients are refused."
        yield Fault(sentence, "Disable or delete it.", "active")


def _refresh_tokens(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.type == PASSWORD and facts.row.issue_refresh_tokens:
        lifespan = timedelta(seconds=facts.row.refresh_token_lifespan_seconds)
        sentence = f"It issues refresh tokens: a leaked one gives access for up to {_span(lifespan)}."
        remedy = "Turn off Issue refresh tokens, or shorten their lifespan if a client requires them."
        yield Fault(sentence, remedy, "issue_refresh_tokens")


def _stored_secret(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.type == CLIENT_CREDENTIALS:
        sentence = "It requires only a secret that is stored where its automation runs."
        yield Fault(sentence, BY_PROVIDER, "secret")


def _long_id_tokens(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    seconds = facts.row.max_assertion_lifetime_seconds
    if facts.row.type == ID_TOKEN and facts.row.replay_policy == REUSABLE and seconds > LONGEST_TOKEN_SECONDS:
        sentence = f"A leaked ID token works for any number of calls for up to {seconds} seconds."
        remedy = f"Lower the maximum lifetime to {LONGEST_TOKEN_SECONDS} seconds or less."
        yield Fault(sentence, remedy, "max_assertion_lifetime_seconds")


def _span(lifespan: timedelta) -> str:
    return f"{lifespan.days} days" if lifespan.days > 1 else f"{int(lifespan.total_seconds())} seconds"


CHECKS = (
    Check("password_grant", HIGH, _password_grant),
    Check("password_grant_off", LOW, _password_grant_off),
    Check("refresh_tokens", MEDIUM, _refresh_tokens),
    Check("stored_secret", MEDIUM, _stored_secret),
    Check("long_id_tokens", MEDIUM, _long_id_tokens),
)
