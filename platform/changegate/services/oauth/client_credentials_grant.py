"""The client credentials grant (RFC 6749 §4.4): a client's secret buys an access token of one account."""

from changegate.errors import InvalidClient, UnauthorizedClient
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.issuing import Exchange, issue_token


def exchange_client_credentials(exchange: Exchange, scope: str | None) -> IssuedToken:
    """Return the token of a client that has proved itself; it acts as the OAuth Application User.

    There is no refresh token (§4.4.3): the secret buys the next token as well. Raises `InvalidClient`,
    `UnauthorizedClient`, `InvalidScope`, `TemporarilyUnavailable`.
    """
    client = exchange.client
    reason = "client_unproven" if client.is_public else None
    exchange.judge(InvalidClient, "client", reason, "a client with a secret", "a public one" if reason else "one")
    user = client.run_as if client.run_as and client.is_run_as_active else None
    reason = None if user else "user_inactive"
    exchange.judge(UnauthorizedClient, "user", reason, "the OAuth Application User is active", client.run_as)
    return issue_token(exchange, user or "", scope)
