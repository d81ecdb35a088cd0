"""Third-party ID tokens: JWTs of an identity provider that clients send directly to an API.

See docs/reference/token-endpoint.md#third-party-id-tokens-at-the-apis.

A token is verified like an assertion, by the ID token integration for its issuer and audience, and recorded as an event
like an exchange. With JTI verification it is accepted for one call; without, later calls find its row.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Never

from changegate.extensions import now, settings
from changegate.models.oauth_exchange import earliest_correlation_id
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.keys.key_store import KeyStore
from changegate.services.oauth.access_tokens import hash_token
from changegate.services.oauth.clients import Client, find_id_token_clients
from changegate.services.oauth.event_row import Attempt
from changegate.services.oauth.events import record_accepted
from changegate.services.oauth.id_token_rows import ReusedTokenRow, find_token_row, renew, reuse_key_of
from changegate.services.oauth.issuing import Exchange, IssuedToken
from changegate.services.oauth.jwt_bearer_grant import verify_for
from changegate.services.oauth.subjects import resolve_subject

# The resolution of the time in a correlation ID.
ONE_MOMENT = timedelta(milliseconds=1)
ONE_INTEGRATION = "one active ID token integration with this issuer and audience"


def accept_id_token(
    attempt: Attempt, text: str, key_store: KeyStore, *, name_client: Callable[[Attempt, str], None]
) -> str:
    """Verify a token completely, and write its row with the commit.

    Returns the correlation ID to find its caller by. `name_client` is called once the integration is known, and may
    refuse. Raises `AssertionRefused` and `TemporarilyUnavailable`. The caller commits by `commit_exchange`: another
    call with the token may be first.
    """
    assertion = UnverifiedAssertion.parse(text)
    client = _choose_integration(assertion)
    exchange = attempt.exchange = Exchange(client, attempt.correlation_id, assertion, reuse_key=reuse_key_of(text))
    # Before the verification: after too many failures of a client, `name_client` refuses without the cost of a
    # signature or a fetch.
    name_client(attempt, client.client_id)
    exchange.verified = verified = verify_for(client, assertion, key_store, attempt.address)
    user, at = resolve_subject(client, verified), now()
    kept = find_token_row(text)
    _require_unused(client, verified, kept)
    expires_at = _expiry(client, verified, at)
    if kept is None:
        record_accepted(attempt, _first_use(exchange, text, user, expires_at - at), at)
        return attempt.correlation_id
    # Written only if something has changed. Otherwise, the first call in each process would cost a write.
    stored_grounds = (kept.entity, kept.user, kept.token_generation)
    if stored_grounds != (client.entity, user, client.token_generation) or kept.expires_at <= at:
        renew(kept, client, user, expires_at)
    correlation_id: str = kept.correlation_id
    return correlation_id


def _choose_integration(assertion: UnverifiedAssertion) -> Client:
    """Return the integration for the unverified issuer and audience of a token; raises `AssertionRefused`.

    The only integration of an issuer is chosen whatever the audience, so that its report shows the expected audience.
    """
    issuer = assertion.unverified_issuer
    # Tokens of this instance get here once their key is deleted: `is_foreign` then does not recognize their header.
    if issuer == settings().base_url:
        _refuse("own_token", RuleCheck("own token", "own_token", "another issuer than this product", issuer))
    clients = find_id_token_clients(assertion)
    if len(clients) == 1:
        return clients[0]
    reason, count = ("client_ambiguous", "several") if clients else ("client_unknown", "none")
    received = f"{count} of the issuer {issuer} for {' '.join(assertion.unverified_audience)}"
    _refuse(reason, RuleCheck("integration", reason, ONE_INTEGRATION, received))


def _refuse(reason: str, check: RuleCheck) -> Never:
    raise AssertionRefused(reason, report=Report([check]))


def _require_unused(client: Client, verified: VerifiedAssertion, kept: ReusedTokenRow | None) -> None:
    """Refuse a token that an administrator has revoked, or that was used before and may be used only once."""
    report = verified.report
    if kept is not None and kept.revoked_at is not None:
        revoked = f"revoked at {kept.revoked_at:%Y-%m-%d %H:%M} UTC"
        report.add(RuleCheck("revocation", "token_revoked", "not revoked", revoked))
    if client.tokens_valid_from is not None:
        report.add(*_check_age(verified, kept, client.tokens_valid_from))
    # The first use was at a time when the integration allowed reuse. Its row has the reuse key instead of the replay
    # key, so that the unique constraint cannot detect this replay.
    if kept is not None and not client.policy.allows_reuse:
        report.add(RuleCheck("replay", "jti_replayed", "not seen before", "seen before"))
    report.require_passed()


def _check_age(verified: VerifiedAssertion, kept: ReusedTokenRow | None, since: datetime) -> Iterator[RuleCheck]:
    """Yield a failure if a token was issued before an instant, by its own `iat`, or because it was used before then.

    The use counts as well, because the provider's clock may be ahead by up to the clock skew.
    """
    expected = f"issued after {since:%Y-%m-%d %H:%M:%S} UTC, when all tokens were revoked"
    # `iat` has whole seconds. For tokens of the same second as the revocation, `<=` refuses newer ones, whereas `<`
    # would accept older ones.
    if verified.issued_at <= since:
        yield RuleCheck("revocation", "token_revoked", expected, f"{verified.issued_at:%Y-%m-%d %H:%M:%S} UTC")
    elif kept is not None and kept.correlation_id < earliest_correlation_id(since + ONE_MOMENT):
        yield RuleCheck("revocation", "token_revoked", expected, "used before")


def _first_use(exchange: Exchange, text: str, user: str, lifespan: timedelta) -> IssuedToken:
    """Return the values to store for a token; without its hash if later calls must not find it."""
    client = exchange.client
    token_hash = hash_token(text) if client.policy.allows_reuse else None
    scope, has_all_scopes = " ".join(client.scopes), True
    return IssuedToken(exchange, text, token_hash, user, scope, has_all_scopes, client.token_generation, lifespan)


def _expiry(client: Client, verified: VerifiedAssertion, at: datetime) -> datetime:
    """Return the earliest end: of the token, of its key, or of the maximum assertion lifetime counted from now."""
    policy = client.policy
    ends = [verified.expires_at + policy.clock_skew, at + policy.max_assertion_lifetime]
    return min(ends if verified.key_ends_at is None else [*ends, verified.key_ends_at])
