"""The JWT bearer grant (RFC 7523 §2.1): an assertion buys an access token."""

from changegate.errors import (
    AssertionRefused,
    JwksFetchFailed,
    JwksUnusable,
    SealBroken,
    TemporarilyUnavailable,
)
from changegate.extensions import now, settings
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.keys.key_store import KeySetTooOld, KeyStore
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import Client
from changegate.services.oauth.issuing import Exchange, issue_token
from changegate.services.oauth.subjects import resolve_subject

EVENTS = "events"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def exchange_assertion(exchange: Exchange, key_store: KeyStore, text: str, scope: str | None) -> IssuedToken:
    """Judge an assertion and return the token that it buys.

    The token counts when the exchange's row is committed, which claims the assertion too: a request that is refused
    never burns a good assertion. Raises `AssertionRefused`, `InvalidScope`, `TemporarilyUnavailable`.
    """
    client = exchange.client
    exchange.assertion = UnverifiedAssertion.parse(text)
    exchange.verified = verified = verify_for(client, exchange.assertion, key_store)
    return issue_token(exchange, resolve_subject(client, verified), scope)


def verify_for(client: Client, assertion: UnverifiedAssertion, key_store: KeyStore) -> VerifiedAssertion:
    """Verify an assertion against an integration, fetching its keys anew for a kid that is not among them."""
    try:
        verified = _verify(client, assertion, key_store)
    except (JwksFetchFailed, JwksUnusable) as problem:
        # No signature was checked and the fault is not the caller's.
        reason = "jwks_stale_expired" if isinstance(problem, KeySetTooOld) else "jwks_fetch_failed"
        raise TemporarilyUnavailable(reason, problem.message) from None
    except SealBroken as problem:
        raise TemporarilyUnavailable("shared_key_sealed", problem.message) from None
    require_purpose(verified)
    return verified


def require_purpose(verified: VerifiedAssertion) -> None:
    """Refuse what was signed for another purpose than to let somebody in, whatever its `typ`.

    What this product has signed itself buys no token, should an integration trust its own keys; what tells of an event,
    such as a sign-out, neither (RFC 8417 §4, OpenID Connect Back-Channel Logout 1.0 §2.4).
    """
    ours = settings().base_url
    if verified.issuer == ours:
        verified.report.add(("own token", "own_token", "another issuer than this product", ours))
        verified.report.require_passed()
    if EVENTS in verified.claims:
        verified.report.add((EVENTS, "payload_invalid", "absent", "present"))
        verified.report.require_passed()


def _verify(client: Client, assertion: UnverifiedAssertion, key_store: KeyStore) -> VerifiedAssertion:
    key_set = key_store.get_key_set(client.source)
    try:
        return assertion.verify(client.policy, key_set, now=now())
    except AssertionRefused as refusal:
        if not _may_be_signed_by_a_newer_key(refusal, assertion):
            raise
        refetched = key_store.refetch_for_unknown_kid(client.source, assertion.unverified_kid or "")
        if refetched is None:
            raise
    return assertion.verify(client.policy, refetched, now=now())


def _may_be_signed_by_a_newer_key(refusal: AssertionRefused, assertion: UnverifiedAssertion) -> bool:
    """Tell whether a rotation could explain a refusal; without a kid, a new key shows as a wrong signature."""
    is_nameless = assertion.unverified_kid is None
    return refusal.reason == "kid_unknown" or (is_nameless and refusal.reason == "signature_invalid")
