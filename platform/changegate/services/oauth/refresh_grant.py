"""The refresh grant (RFC 6749 §6): a refresh token is exchanged for an access token; it is not rotated."""

from datetime import datetime

from changegate.extensions import now
from changegate.oauth_errors import InvalidScope, RefreshTokenRefused
from changegate.services.assertions.report import RuleCheck
from changegate.services.oauth.issuing import Exchange, IssuedToken, make_token, name_excess, split_scope
from changegate.services.oauth.oldest_tokens import make_room_for_access_token
from changegate.services.oauth.refresh_tokens import (
    TokenRow,
    find_end,
    find_refresh_token,
    note_use,
    remaining_scopes,
)
from changegate.services.oauth.resource_owners import find_owner_fault, lock_owner

EXPECTED = "a live one of this client"
_RECEIVED = {
    "refresh_token_unknown": "none that is known",
    "refresh_token_foreign": "another client's",
    "refresh_token_revoked": "one that was revoked",
    "refresh_token_expired": "one that has expired",
}


def exchange_refresh_token(exchange: Exchange, token: str, scope: str | None) -> IssuedToken:
    """Return a new access token for the user of a refresh token.

    Its client, its integration, its user, and the user's password are checked again. Raises `RefreshTokenRefused`,
    `InvalidScope` for scopes that the refresh token does not have, and `TemporarilyUnavailable`.
    """
    at = now()
    row = _get_token(exchange, token, at)
    # Before any row is locked or written: it may first create a signing key, in a transaction of its own.
    issued = _issue(exchange, row, scope)
    fault = find_owner_fault(lock_owner(row.user, row.entity), row.password_mark)
    exchange.require(
        RuleCheck("user", fault, "may sign in, with the same password", row.user_name), RefreshTokenRefused
    )
    if not note_use(row.correlation_id, at):
        _require_token(exchange, "refresh_token_revoked")
    make_room_for_access_token(exchange, row.user, at)
    exchange.refresh_token, exchange.refresh_token_id = token, row.correlation_id
    return issued


def _get_token(exchange: Exchange, token: str, at: datetime) -> TokenRow:
    """Return the row of a refresh token that belongs to the client and has not ended."""
    row = find_refresh_token(token)
    _require_token(exchange, "refresh_token_unknown" if row is None else find_end(row, exchange.client, at))
    return row


def _require_token(exchange: Exchange, reason: str | None) -> None:
    received = _RECEIVED[reason] if reason else EXPECTED
    exchange.require(RuleCheck("refresh token", reason, EXPECTED, received), RefreshTokenRefused)


def _issue(exchange: Exchange, row: TokenRow, scope: str | None) -> IssuedToken:
    """Return a token whose scopes are limited to those that the refresh token and the integration both have."""
    remaining = remaining_scopes(row, exchange.client)
    requested = split_scope(scope)
    if not set(requested) <= set(remaining):
        raise InvalidScope("scope_invalid", name_excess(requested, remaining))
    follows = bool(row.has_all_scopes and not requested)
    return make_token(exchange, row.user, " ".join(requested or remaining), has_all_scopes=follows)
