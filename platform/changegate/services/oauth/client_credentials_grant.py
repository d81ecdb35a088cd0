"""The client credentials grant (RFC 6749 §4.4): an authenticated client gets an access token for one account."""

from changegate.oauth_errors import UnauthorizedClient
from changegate.services.assertions.report import RuleCheck
from changegate.services.oauth.issuing import Exchange, IssuedToken, issue_token
from changegate.services.oauth.subjects import check_run_as


def exchange_client_credentials(exchange: Exchange, scope: str | None) -> IssuedToken:
    """Return a token for an authenticated client, which acts as the OAuth Application User.

    There is no refresh token (RFC 6749 §4.4.3), because the client can authenticate again. Raises `UnauthorizedClient`,
    `InvalidScope`, and `TemporarilyUnavailable`.
    """
    client = exchange.client
    reason, received = check_run_as(client)
    exchange.require(RuleCheck("user", reason, "the OAuth Application User is active", received), UnauthorizedClient)
    return issue_token(exchange, client.run_as or "", scope)
