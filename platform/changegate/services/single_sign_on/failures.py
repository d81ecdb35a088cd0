"""The refusals of single sign-on: what went wrong for the person, and why for the event log."""

from dataclasses import dataclass

from changegate.errors import ChangegateError


@dataclass(frozen=True, slots=True)
class Advice:
    """What happened, and what the person can do."""

    sentence: str
    remedy: str
    status: int = 403


LONGEST_DETAIL = 300
START_AGAIN = "Go back to the login page and start again."
ASK = "Ask an administrator of Changegate, and tell them the time."
# By the reason in the event log.
ADVICE = {
    "sign_on_outdated": Advice("This sign-in has expired, or was begun in another browser or tab.", START_AGAIN, 400),
    "sign_on_mixed_up": Advice("The answer is not from the provider that you chose.", ASK, 400),
    "sign_on_declined": Advice("The provider did not sign you in.", f"{START_AGAIN} {ASK}"),
    "sign_on_used": Advice("This answer of the provider was used before.", START_AGAIN, 400),
    "sign_on_code_refused": Advice("The provider refused the exchange of its code.", f"{START_AGAIN} {ASK}"),
    "sign_on_token_refused": Advice("The ID token of the provider failed a check.", ASK),
    "sign_on_unavailable": Advice(
        "The provider cannot be reached, or its answer cannot be read.",
        "Try again in a minute, or log in with a password if you have one.",
        503,
    ),
    "sign_on_unlinked": Advice(
        "Your account at the provider is not linked to a user of Changegate.",
        "If you have a password here, log in with it and link the account under Preferences. Otherwise, ask an "
        "administrator to link it.",
    ),
    "sign_on_ambiguous": Advice("Your account at the provider is linked to several users.", ASK),
    "sign_on_name_taken": Advice(
        "A user of this name exists, and is not linked to your account at the provider.",
        "If the user is yours, log in with its password and link the account under Preferences. Otherwise, ask an "
        "administrator.",
    ),
    "sign_on_name_missing": Advice("The provider sent no usable user ID for a new user.", ASK),
    "sign_on_linked_elsewhere": Advice("This account at the provider is linked to another user.", ASK, 409),
    "user_inactive": Advice("Your user is inactive.", ASK),
    "user_locked": Advice("Your user is locked out.", ASK),
    "user_web_service_only": Advice("Your user may use web services only.", ASK),
    "rule_refused": Advice("Your groups and roles could not be updated.", ASK),
}


class SignOnFailed(ChangegateError):
    """A person cannot be signed in; `detail` is for administrators and may contain the received value."""

    def __init__(self, reason: str, detail: str | None = None, user_name: str | None = None) -> None:
        self.advice = ADVICE[reason]
        super().__init__(self.advice.sentence, detail)
        self.reason = reason
        self.status = self.advice.status
        self.user_name = user_name
