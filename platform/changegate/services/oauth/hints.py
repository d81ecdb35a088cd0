"""One sentence of advice where a refusal is nearly always the same mistake in a set-up."""

_HINTS = {
    "jti_missing": "Your signer sends no usable jti. Name another unique claim (Entra: uti) or require none.",
    "kid_unknown": "If the provider has just rotated its keys, refresh them or wait out the cooldown.",
    "aud_multiple": "The assertion is meant for others too. Give this integration an audience of its own.",
    "lifetime_too_long": "Have the provider issue a shorter token, or raise the maximum assertion lifetime.",
    "expired": "Send a fresh assertion for each exchange, and compare the clocks of both machines.",
    "not_yet_valid": "Compare the clocks of both machines, or raise the clock skew.",
}


def find_hint(reason: str | None, expected: str | None, received: str | None) -> str | None:
    """Return advice for a reason code, or None; the texts are those of the report."""
    if reason == "iss_mismatch" and expected and received and expected.rstrip("/") == received.rstrip("/"):
        return "The two differ only by a trailing slash; issuers are compared exactly."
    return _HINTS.get(reason or "")
