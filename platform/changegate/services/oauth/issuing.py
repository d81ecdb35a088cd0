"""Issuing: what an exchange comes to know, whatever its grant, and the access token that it ends with."""

from dataclasses import dataclass
from functools import partial

from changegate.errors import InvalidScope, OAuthError
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.replay import assertion_claim
from changegate.services.assertions.report import Report
from changegate.services.oauth.access_tokens import IssuedToken, new_jwt_token, new_token
from changegate.services.oauth.clients import Client

JWT_FORMAT = "jwt"


@dataclass(slots=True, repr=False)
class Exchange:
    """What one exchange came to know, for the event log; filled in as it goes, so that a refusal has it too.

    `report` has the rules of a grant without assertion, `refresh_token` what is handed out beside the access token.
    `reuse_claim` is what the row of an ID token claims where it may be used again, `user_name` that of an existing user
    whose password was tried.
    """

    client: Client
    correlation_id: str
    assertion: UnverifiedAssertion | None = None
    verified: VerifiedAssertion | None = None
    report: Report | None = None
    refresh_token: str | None = None
    reuse_claim: str | None = None
    user_name: str | None = None

    @property
    def claim(self) -> str | None:
        """What the token's row claims of the assertion; None where an assertion may buy more than one."""
        if self.verified is None or self.client.policy.allows_reuse:
            return self.reuse_claim
        return assertion_claim(self.client.entity, self.verified.issuer, self.verified.replay_digest)

    def judge(
        self, refusal: type[OAuthError], rule: str, reason: str | None, expected: object, received: object
    ) -> None:
        """Note a rule that was judged without an assertion, and raise `refusal` where it has a reason to."""
        report = self.report = self.report or Report()
        report.add((rule, reason, expected, received))
        if reason:
            raise refusal(reason, report=report)


def issue_token(exchange: Exchange, user: str, scope: str | None) -> IssuedToken:
    """Return a token with all scopes that the integration has, or with those that were asked for.

    It counts once its row is committed. Raises `InvalidScope`, `TemporarilyUnavailable`.
    """
    client = exchange.client
    asked = split_scope(scope)
    if not set(asked) <= set(client.scopes):
        raise InvalidScope("scope_invalid")
    return make_token(exchange, user, " ".join(asked or client.scopes), has_all_scopes=not asked)


def make_token(exchange: Exchange, user: str, scope: str, *, has_all_scopes: bool) -> IssuedToken:
    """Return a token of the integration's format; with `has_all_scopes` it follows those of its integration."""
    client = exchange.client
    make = partial(new_jwt_token, client_id=client.client_id) if client.token_format == JWT_FORMAT else new_token
    generation, lifespan = client.token_generation, client.token_lifespan
    issued = make(exchange.correlation_id, user=user, generation=generation, scope=scope, lifespan=lifespan)
    issued.kept["has_all_scopes"] = has_all_scopes
    return issued


def split_scope(scope: str | None) -> list[str]:
    """Return the names in a scope parameter, each once."""
    return list(dict.fromkeys((scope or "").split()))
