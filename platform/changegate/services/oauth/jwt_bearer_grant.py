"""The JWT bearer grant (RFC 7523 §2.1): an assertion is exchanged for an access token."""

from sqlalchemy.exc import IntegrityError

from changegate.database import commit
from changegate.errors import JwksFetchFailed, JwksUnusable, SealBroken
from changegate.extensions import now, settings
from changegate.oauth_errors import AssertionRefused, TemporarilyUnavailable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.keys.key_store import KeySetTooOld, KeyStore
from changegate.services.oauth.clients import Client
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.issuing import Exchange, IssuedToken, issue_token
from changegate.services.oauth.subjects import resolve_subject

EVENTS = "events"
JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def exchange_assertion(
    exchange: Exchange, key_store: KeyStore, text: str, scope: str | None, address: str | None = None
) -> IssuedToken:
    """Verify an assertion and return the token that it is exchanged for, in the steps of RFC 7523 §3.

    The last step is the view's: it stores the row of the exchange, by `commit_exchange`. A second row for the same
    `jti` is the replay. The row makes the token work and the assertion used, both at once, so that a refused request
    does not use up a valid assertion. Raises `AssertionRefused`, `InvalidScope`, and `TemporarilyUnavailable`.
    """
    client = exchange.client
    exchange.assertion = UnverifiedAssertion.parse(text)
    exchange.verified = verified = verify_for(client, exchange.assertion, key_store, address)
    return issue_token(exchange, resolve_subject(client, verified), scope)


def commit_exchange(attempt: Attempt) -> None:
    """Commit the row of an exchange, or refuse the exchange if the database rejects the row (decision 0011).

    The replay key of the row is unique (`Exchange.replay_key`), so that of several exchanges with one `jti`, in any
    process, exactly one is stored. Raises `AssertionRefused` for the others.
    """
    try:
        commit()
    except IntegrityError:
        exchange = attempt.exchange
        if exchange is None or exchange.replay_key is None:
            raise  # A row without a replay key violates another constraint.
        report = exchange.verified.report if exchange.verified else Report()
        report.add(RuleCheck("replay", "jti_replayed", "not seen before", "seen before"))
        raise AssertionRefused("jti_replayed", report=report) from None


def verify_for(
    client: Client, assertion: UnverifiedAssertion, key_store: KeyStore, address: str | None = None
) -> VerifiedAssertion:
    """Verify an assertion against an integration, refetching its keys if the kid is unknown.

    Raises `AssertionRefused`, and `TemporarilyUnavailable` if the keys are unavailable.
    """
    try:
        verified = _verify(client, assertion, key_store, address)
    except (JwksFetchFailed, JwksUnusable) as problem:
        # No signature was verified, and the fault is not the caller's.
        reason = "jwks_stale_expired" if isinstance(problem, KeySetTooOld) else "jwks_fetch_failed"
        raise TemporarilyUnavailable(reason, problem.message) from None
    except SealBroken as problem:
        raise TemporarilyUnavailable("shared_key_sealed", problem.message) from None
    require_purpose(verified)
    return verified


def require_purpose(verified: VerifiedAssertion) -> None:
    """Refuse tokens that were signed for another purpose than authentication, whatever their `typ`.

    These are tokens that this instance issued itself, in case an integration trusts its keys, and event tokens such as
    logout tokens (RFC 8417 §4, OpenID Connect Back-Channel Logout 1.0 §2.4).
    """
    ours = settings().base_url
    if verified.issuer == ours:
        verified.report.add(RuleCheck("own token", "own_token", "another issuer than this product", ours))
        verified.report.require_passed()
    if EVENTS in verified.claims:
        verified.report.add(RuleCheck(EVENTS, "payload_invalid", "absent", "present"))
        verified.report.require_passed()


def _verify(
    client: Client, assertion: UnverifiedAssertion, key_store: KeyStore, address: str | None
) -> VerifiedAssertion:
    key_set = key_store.get_key_set(client.source)
    try:
        return assertion.verify(client.policy, key_set, now=now())
    except AssertionRefused as refusal:
        if not _may_be_signed_by_a_newer_key(refusal, assertion):
            raise
        refetched = key_store.refetch_for_unknown_kid(client.source, assertion.unverified_kid or "", address)
        if refetched is None:
            raise
    return assertion.verify(client.policy, refetched, now=now())


def _may_be_signed_by_a_newer_key(refusal: AssertionRefused, assertion: UnverifiedAssertion) -> bool:
    """Return whether a key rotation could explain a refusal; without a kid, a new key causes a wrong signature."""
    is_nameless = assertion.unverified_kid is None
    return refusal.reason == "kid_unknown" or (is_nameless and refusal.reason == "signature_invalid")
