"""The client credentials grant (RFC 6749 §4.4): a client's secret buys an access token of one account."""

from changegate.errors import UnauthorizedClient
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.issuing import Exchange, issue_token
from changegate.services.oauth.subjects import judge_run_as


def exchange_client_credentials(exchange: Exchange, scope: str | None) -> IssuedToken:
    """Return the token of a client that has proved itself; it acts as the OAuth Application User.

    There is no refresh token (RFC 6749 §4.4.3): the secret buys the next token as well. Raises `UnauthorizedClient`,
    `InvalidScope`, `TemporarilyUnavailable`.
    """
    client = exchange.client
    reason, received = judge_run_as(client)
    exchange.judge(UnauthorizedClient, "user", reason, "the OAuth Application User is active", received)
    return issue_token(exchange, client.run_as or "", scope)
