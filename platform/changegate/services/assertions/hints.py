"""Hints: a sentence of advice for each refusal that nearly always has the same cause."""

import re

# In repositories created or renamed since July 2026, GitHub's subjects contain the ids of the owner and the repository.
_NUMBERED_SUBJECT = re.compile(r"repo:[^/]+@\d+/[^:]+@\d+:")

_TYPES = ("the boolean ", "the number ", "the list ", "the string ")

_HINTS = {
    "jti_missing": "Your signer sends no usable jti. Name another unique claim (Entra: uti) or require none.",
    "jti_replayed": (
        "The same assertion came before. Sign a fresh one for each exchange; a library that sends one JWT again when "
        "it renews its token (PySNC does) needs another replay policy."
    ),
    "client_unknown": (
        "No active ID token integration has this issuer. A token for the JWT bearer grant is exchanged first, at the "
        "token endpoint."
    ),
    "client_ambiguous": "Several ID token integrations fit. Give each an audience of its own.",
    "token_revoked": "An administrator ended this token here. Have the provider issue a fresh one.",
    "user_claim_missing": "The token lacks this claim, or it is not a string. Name another user claim.",
    "email_unverified": "The token does not say that the email is verified (email_verified). Use another user claim.",
    "grant_not_allowed": (
        "A client may use the grant of its connection type only. Passwords and refresh tokens are taken where "
        "CHANGEGATE_PASSWORD_GRANT_ENABLED is on, refresh tokens where the integration issues them as well."
    ),
    "user_web_service_only": "Such a user has no interactive session to give a client. Basic takes this password.",
    "refresh_token_foreign": "A refresh token is for the client that it was issued to.",
    "refresh_token_expired": "The user has to sign in again.",
    "password_changed": "The user has to sign in with the new password.",
    "own_token": "Changegate issued this token. Send the token that your identity provider signed.",
    "kid_missing": "Your signer names no key. Accept assertions without kid, or have it name one.",
    "key_blocked": "An administrator blocked this key. If the provider has rotated, it signs with another one soon.",
    "kid_ambiguous": "Have your signer name its key, or leave only one key that fits.",
    "certificate_expired": "Add the signer's new certificate as another map, or let this one be used beyond its dates.",
    "certificate_not_yet_valid": "The signer uses its new certificate too early. Compare the clocks of both machines.",
    "shared_key_sealed": "The secret key of the instance has changed. Enter the shared keys again.",
    "typ_not_allowed": "This is another kind of token. Set the required typ if it is the kind that you mean to accept.",
    "claim_condition_failed": "The workload is another one than the condition names, or the condition is too narrow.",
    "aud_mismatch": "Have the workload ask for one of the expected audiences, or add the received one.",
    "sub_unmapped": "No user has this subject. Choose another user field, or let the integration run as one account.",
    "user_inactive": "Activate the user, or let the integration run as another one.",
    "kid_unknown": "If the provider has just rotated its keys, refresh them or wait out the cooldown.",
    "aud_multiple": "The assertion is meant for others too. Give this integration an audience of its own.",
    "lifetime_too_long": "Have the provider issue a shorter token, or raise the maximum assertion lifetime.",
    "exp_missing": "Have the provider issue tokens that expire: an assertion must have an expiry time (RFC 7523 §3).",
    "expired": "Send a fresh assertion for each exchange, and compare the clocks of both machines.",
    "not_yet_valid": "Compare the clocks of both machines, or raise the clock skew.",
}

# For refusals before any rule was checked, because the client did not authenticate.
_CLIENT_HINTS = {
    "client_secret_bad": (
        "The sender did not authenticate as the client. If it was your pipeline, compare its secret with the "
        "integration's, or give it a new one."
    ),
    "password_wrong": "Compare the password that the user or their automation sends. Otherwise it is being guessed.",
    "user_unknown": "No user has the name. It is not stored, since it may be a password in the wrong field.",
    "credentials_missing": "The call had no login that is accepted here: send a bearer token or Basic.",
    "token_expired": "The client has to get a new token before the old one expires.",
    "token_refused": "The token was not issued here, or its key no longer counts. Exchange assertions first.",
    "scope_missing": "Give the integration the scope that the detail names, if it may make such calls.",
    "rate_limited": "Nothing was compared: too many attempts failed before. Look at the events of this address.",
    "client_inactive": "Activate the integration if its client is to have tokens again.",
}


def find_client_hint(reason: str | None) -> str | None:
    """Return advice for the reason code of a refused client, or None."""
    return _CLIENT_HINTS.get(reason or "")


def find_hint(reason: str | None, expected: str | None, received: str | None) -> str | None:
    """Return advice for a reason code, or None; `expected` and `received` are the texts of the report."""
    if reason == "iss_mismatch" and expected and received and expected.rstrip("/") == received.rstrip("/"):
        return "The two differ only by a trailing slash; issuers are compared exactly."
    if reason == "claim_condition_failed" and received:
        return _hint_of_condition(expected or "", received)
    return _HINTS.get(reason or "")


def _hint_of_condition(expected: str, received: str) -> str | None:
    if _NUMBERED_SUBJECT.match(received) and not _NUMBERED_SUBJECT.match(expected):
        return "GitHub has numbered this repository's subject. Bind on repository_id instead, or on the new subject."
    if received.startswith(_TYPES) and not expected.startswith(" ".join(received.split(" ", 2)[:2])):
        return "The claim is of another type than the condition says; nothing is converted."
    return _HINTS["claim_condition_failed"]
