"""The remedy for each reason code, and hints for refusals that nearly always have the same cause."""

from collections.abc import Mapping

# Hint codes: causes within a reason code. They are stored with the results of rules.
TYPE_DIFFERS, SUBJECT_NUMBERED = "type_differs", "subject_numbered"

_HINTS: Mapping[str, str] = {
    TYPE_DIFFERS: "The claim is of another type than the condition requires; nothing is converted.",
    SUBJECT_NUMBERED: (
        "GitHub has numbered this repository's subject. Bind on repository_id instead, or on the new subject."
    ),
}

REMEDIES: Mapping[str, str] = {
    "jti_missing": "Your signer sends no usable jti. Name another unique claim (Entra: uti) or require none.",
    "jti_replayed": (
        "The same assertion came before. Sign a fresh one for each exchange; a library that sends one JWT again when "
        "it renews its token (PySNC does) needs another replay policy."
    ),
    "client_unknown": (
        "No active integration has this client ID; for a token that was sent to an API, no active ID token integration "
        "has its issuer. A token for the JWT bearer grant is exchanged first, at the token endpoint."
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
    # For refusals before any rule was checked, because the client did not authenticate.
    "client_secret_bad": (
        "The sender did not authenticate as the client. If it was your pipeline, compare its secret with the "
        "integration's, or give it a new one."
    ),
    "sign_on_unlinked": "Link the account to a user: create a user identity with the issuer and this subject.",
    "sign_on_name_taken": "If both are the same person, create a user identity for the existing user.",
    "sign_on_ambiguous": "Keep one user identity with this issuer and subject.",
    "sign_on_code_refused": "Compare client ID, client secret, and redirect URI with the registration at the provider.",
    "sign_on_unavailable": "Press Test connection on the identity provider.",
    "password_wrong": "Compare the password that the user or their automation sends. Otherwise it is being guessed.",
    "user_unknown": "No user has the name. It is not stored, since it may be a password in the wrong field.",
    "credentials_missing": "The call had no login that is accepted here: send a bearer token or Basic.",
    "token_expired": "The client has to get a new token before the old one expires.",
    "token_refused": "The token was not issued here, or its key no longer counts. Exchange assertions first.",
    "scope_missing": "Give the integration the scope that the detail names, if it may make such calls.",
    "rate_limited": "Nothing was compared: too many attempts failed before. Look at the events of this address.",
    "client_inactive": "Activate the integration if its client is to have tokens again.",
    "access_refused": "Give the user a role that allows the call, or let the integration run as another user.",
    "alg_not_allowed": "Have the signer use an allowed algorithm, or allow its algorithm if it fits the keys.",
    "assertion_missing": "Send the token that the identity provider signed as the parameter assertion.",
    "assertion_not_compact_jws": (
        "Send the whole signed token, three segments with dots between them, without quotes and without Bearer."
    ),
    "assertion_too_large": "Have the provider leave out claims, such as groups, that Changegate does not need.",
    "body_malformed": "Send the parameters in the body as application/x-www-form-urlencoded, each once.",
    "client_assertion_bad": (
        "Send client_assertion and client_assertion_type together, the type as RFC 7523 §2.2 names it."
    ),
    "client_assertion_refused": (
        "Compare the client assertion with the rules below: its issuer and subject identify the client."
    ),
    "client_unproven": "Send the client secret. A public client cannot use grants that need one.",
    "header_invalid": (
        "Remove the header parameter that the rule names: Changegate takes keys from the integration only."
    ),
    "iat_invalid": "Have the signer set iat to the current time in seconds, and compare the clocks of both machines.",
    "iss_mismatch": "Enter the iss of the token as issuer if this provider is meant; otherwise, send another token.",
    "jwks_fetch_failed": "Look at the integration's keys: refresh them to see whether the JWKS URL works again.",
    "jwks_stale_expired": (
        "The provider has been unreachable for too long. Correct the JWKS URL, or have the provider fix it."
    ),
    "key_unusable": "The key does not fit the algorithm. Compare the alg of the token with the integration's keys.",
    "crit_present": "Have the signer leave out crit: no critical header extension is supported.",
    "param_duplicate": "Send each parameter once.",
    "payload_invalid": "Have the signer send a JSON object with the claims that the failed rule expects.",
    "refresh_token_revoked": "The user has to sign in again.",
    "refresh_token_unknown": (
        "Send the refresh token of the latest response, unchanged. Old ones are deleted in the end."
    ),
    "refused": "Look at the response of the call, which shows what was refused.",
    "record_changed": "Another caller changed the record meanwhile. Read it again, and repeat the call if it applies.",
    "rule_refused": "A rule of the table refused the write; the response names it.",
    "scope_invalid": "Request only scopes of the integration, leave scope out for all of them, or add the scope to it.",
    "signature_invalid": (
        "The token was changed, or signed by another key of the same name. Send it unchanged, or compare the JWKS URL."
    ),
    "sub_ambiguous": "Several users have this value. Choose a user field that is unique, such as the user ID.",
    "sub_mismatch": "Have the client set sub to its client ID in the client assertion.",
    "token_key_missing": "The keys for JWT access tokens are missing. Create one with `changegate token-key rotate`.",
    "token_key_unreadable": (
        "The secret key of the instance has changed. Create a new key with `changegate token-key rotate`."
    ),
    "user_locked": "Unlock the user, or let the integration run as another one.",
}


def find_hint(
    reason: str | None, expected: str | None, received: str | None, hint_code: str | None = None
) -> str | None:
    """Return the hint of a code, or else the remedy for a reason code; `expected` and `received` are the report's."""
    if hint_code is not None and hint_code in _HINTS:
        return _HINTS[hint_code]
    if reason == "iss_mismatch" and expected and received and expected.rstrip("/") == received.rstrip("/"):
        return "The two differ only by a trailing slash; issuers are compared exactly."
    return REMEDIES.get(reason or "")
