"""Hygiene checks of the assertions that an integration accepts, and of what its tokens allow."""

from collections.abc import Iterator
from datetime import datetime

from changegate.models.integration_choices import ID_TOKEN, JWT_BEARER, REUSABLE
from changegate.services.hygiene.facts import IntegrationFacts
from changegate.services.hygiene.finding import HIGH, LOW, MEDIUM, Check, Fault
from changegate.services.users.roles import ADMIN

WIDEST_SKEW_SECONDS = 120
LONGEST_TOKEN_SECONDS = 3600


def _mistaken_value(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for field, sentence, remedy in facts.mistakes:
        yield Fault(sentence, remedy, field)


def _no_condition(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.open_trust and _accepts_every_workload(facts) and not facts.binding.faults:
        yield Fault(*facts.open_trust, "claim_conditions")


def _accepts_every_workload(facts: IntegrationFacts) -> bool:
    return bool(facts.row.run_as) and not facts.binding.is_bound and not facts.binding.idle


def _impossible_audience(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.audience_fault:
        yield Fault(*facts.audience_fault, "audiences")


def _audience_with_blanks(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for audience in facts.row.audiences or ():
        if any(character.isspace() for character in audience):
            sentence = f"The accepted audience {audience} contains a space, which the aud of a token hardly ever does."
            yield Fault(sentence, "Enter each audience on a line of its own, as the token has it.", "audiences")


def _weak_binding(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for fault in facts.binding.faults:
        yield Fault(fault, "Correct it immediately.", "claim_conditions")


def _admits_everything(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.binding.idle and not facts.binding.is_bound:
        claims = ", ".join(facts.binding.idle)
        sentence = f"Every token of the issuer passes its conditions ({claims})."
        yield Fault(sentence, "Add a condition that only the intended workloads can pass.", "claim_conditions")


def _idle_condition(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.binding.is_bound:
        for claim in facts.binding.idle:
            sentence = f"The condition on {claim} admits everything, so only the other conditions have an effect."
            yield Fault(sentence, "Correct the condition, or remove it.", "claim_conditions")


def _doubtful_conditions(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    for warning in facts.binding.warnings:
        yield Fault(warning, "Check the conditions.", "claim_conditions")


def _shared_trust(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    # For a known provider, this is the finding no_condition, with or without neighbours.
    if not facts.neighbours or not _accepts_every_workload(facts) or facts.open_trust:
        return
    others = ", ".join(facts.neighbours)
    sentence = (
        f"It accepts every workload of {facts.row.issuer}, for which other integrations are also registered ({others})."
    )
    yield Fault(sentence, "Add a claim condition that distinguishes its workloads from theirs.", "claim_conditions")


def _reusable_assertions(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    claims, name = facts.late_claims or {}, facts.row.jti_claim
    # ID tokens are meant to be used for several calls.
    if facts.row.type == JWT_BEARER and facts.row.replay_policy == REUSABLE and isinstance(claims.get(name), str):
        sentence = f"An assertion can be exchanged again until it expires, although {name} makes each one unique."
        yield Fault(sentence, "Choose the replay policy jti-required-once.", "replay_policy")


def _wide_clock_skew(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    seconds = facts.row.clock_skew_seconds
    if seconds > WIDEST_SKEW_SECONDS:
        sentence = f"Assertions are accepted up to {seconds} seconds outside their validity period."
        yield Fault(
            sentence,
            f"Synchronize the clocks, and set the skew to {WIDEST_SKEW_SECONDS} or less.",
            "clock_skew_seconds",
        )


def _long_lived_tokens(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    seconds = facts.row.access_token_lifespan_seconds
    if seconds > LONGEST_TOKEN_SECONDS:
        sentence = f"A leaked token works for up to {seconds} seconds."
        remedy = f"Lower the lifespan to {LONGEST_TOKEN_SECONDS} seconds or less; a new token costs one request."
        yield Fault(sentence, remedy, "access_token_lifespan_seconds")


def _all_rights(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.row.has_useraccount:
        sentence = "It has the scope useraccount: its tokens may do everything that their users may do."
        yield Fault(sentence, "Replace useraccount with the scopes that it needs.", "scopes")


def _shared_assertions(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    if facts.rivals:
        sentence = f"Assertions with its issuer and audience are also accepted by {', '.join(facts.rivals)}."
        yield Fault(sentence, "Give each integration its own audience.", "audiences")


def _acts_as_administrator(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    is_administrator = facts.run_as is not None and ADMIN in facts.run_as.roles
    if facts.is_saved_by_administrator or not (is_administrator or facts.row.user_field):
        return
    sentence = f"Its tokens may act as an administrator, and {facts.row.sys_updated_by}, who saved it, is not one."
    remedy = "As an administrator, check and save it, or let it run as an account without the role admin."
    yield Fault(sentence, remedy, "user_field" if facts.row.user_field else "run_as")


def _unverified_email(facts: IntegrationFacts, at: datetime) -> Iterator[Fault]:
    row = facts.row
    if row.type == ID_TOKEN and row.user_field and row.user_claim == "email" and not row.require_email_verified:
        sentence = "It matches users by email addresses that the provider may not have verified."
        yield Fault(
            sentence, "Select Require email_verified if the provider sends this claim.", "require_email_verified"
        )


CHECKS = (
    Check("mistaken_value", MEDIUM, _mistaken_value, warns=True),
    Check("no_condition", HIGH, _no_condition, warns=True),
    Check("impossible_audience", MEDIUM, _impossible_audience, warns=True),
    Check("audience_with_blanks", LOW, _audience_with_blanks, warns=True),
    Check("weak_binding", HIGH, _weak_binding, warns=True),
    Check("admits_everything", HIGH, _admits_everything, warns=True),
    Check("idle_condition", LOW, _idle_condition),
    Check("doubtful_conditions", MEDIUM, _doubtful_conditions),
    Check("shared_trust", MEDIUM, _shared_trust, warns=True),
    Check("shared_assertions", MEDIUM, _shared_assertions, warns=True),
    Check("acts_as_administrator", HIGH, _acts_as_administrator),
    Check("unverified_email", MEDIUM, _unverified_email),
    Check("reusable_assertions", MEDIUM, _reusable_assertions),
    Check("wide_clock_skew", LOW, _wide_clock_skew),
    Check("long_lived_tokens", LOW, _long_lived_tokens),
    Check("all_rights", MEDIUM, _all_rights),
)
