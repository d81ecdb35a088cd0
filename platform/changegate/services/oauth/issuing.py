"""The state of a token exchange, whatever its grant, and the issuing of its access token."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from changegate.oauth_errors import InvalidScope, OAuthError
from changegate.printable import printable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.replay import replay_key_of
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.oauth.access_tokens import hash_token, new_jwt_token, new_token
from changegate.services.oauth.clients import Client

JWT_FORMAT = "jwt"
MAX_DETAIL_LENGTH = 200


@dataclass(slots=True, repr=False)
class Exchange:
    """The state of an exchange, for the event log; filled in step by step, so that a refusal includes it too.

    `report` has the rules of a grant without an assertion, `refresh_token` the token that is returned in addition to
    the access token, and `refresh_token_id` the correlation ID of the exchange that issued the refresh token.
    `reuse_key` is the unique key of an ID token that may be used again. `user_name` is set only for an existing user.
    """

    client: Client
    correlation_id: str
    assertion: UnverifiedAssertion | None = None
    verified: VerifiedAssertion | None = None
    report: Report | None = None
    refresh_token: str | None = None
    refresh_token_id: str | None = None
    reuse_key: str | None = None
    user_name: str | None = None

    @property
    def replay_key(self) -> str | None:
        """The unique key of the exchange's row; None if the assertion may be exchanged more than once."""
        if self.verified is None or self.client.policy.allows_reuse:
            return self.reuse_key
        return replay_key_of(self.client.entity, self.verified.issuer, self.verified.replay_digest)

    def require(self, check: RuleCheck, refusal: type[OAuthError]) -> None:
        """Add the check of a rule of a grant without an assertion, and raise `refusal` if it failed."""
        report = self.report = self.report or Report()
        report.add(check)
        if check.reason:
            raise refusal(check.reason, report=report)


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """The token of an accepted exchange, which only its client gets, and the values that are stored for it.

    `token_hash` is None if later calls must not find the row. With `has_all_scopes`, the token follows the scopes of
    its integration.
    """

    exchange: Exchange
    access_token: str
    token_hash: str | None
    user: str
    scope: str
    has_all_scopes: bool
    generation: int
    lifespan: timedelta


def issue_token(exchange: Exchange, user: str, scope: str | None) -> IssuedToken:
    """Return a token with the requested scopes, or with all scopes of the integration.

    The token works once its row is committed. Raises `InvalidScope` and `TemporarilyUnavailable`.
    """
    client = exchange.client
    requested = split_scope(scope)
    if not set(requested) <= set(client.scopes):
        raise InvalidScope("scope_invalid", name_excess(requested, client.scopes))
    return make_token(exchange, user, " ".join(requested or client.scopes), has_all_scopes=not requested)


def make_token(exchange: Exchange, user: str, scope: str, *, has_all_scopes: bool) -> IssuedToken:
    """Return a token in the integration's format; with `has_all_scopes`, it follows the scopes of the integration."""
    client, correlation_id, lifespan = exchange.client, exchange.correlation_id, exchange.client.token_lifespan
    if client.token_format == JWT_FORMAT:
        token = new_jwt_token(correlation_id, client_id=client.client_id, user=user, scope=scope, lifespan=lifespan)
    else:
        token = new_token(correlation_id)
    return IssuedToken(
        exchange, token, hash_token(token), user, scope, has_all_scopes, client.token_generation, lifespan
    )


def name_excess(requested: Iterable[str], granted: Collection[str]) -> str:
    """Return the requested scopes that are not granted, for the event log."""
    return printable(f"not granted: {' '.join(name for name in requested if name not in granted)}", MAX_DETAIL_LENGTH)


def split_scope(scope: str | None) -> list[str]:
    """Return the names in a scope parameter, without duplicates."""
    return list(dict.fromkeys((scope or "").split()))
