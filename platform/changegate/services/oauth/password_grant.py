"""The password grant (RFC 6749 §4.3), for clients that support no other grant; RFC 9700 §2.4 forbids it."""

from changegate.extensions import limiter, now
from changegate.oauth_errors import UserRefused
from changegate.services.assertions.report import RuleCheck
from changegate.services.oauth.client_authentication import require_room_to_guess
from changegate.services.oauth.issuing import Exchange, IssuedToken, issue_token
from changegate.services.oauth.oldest_tokens import make_room_for_access_token, make_room_for_refresh_token
from changegate.services.oauth.refresh_tokens import add_refresh_token
from changegate.services.oauth.resource_owners import find_owner_fault, lock_owner, password_mark
from changegate.services.users.accounts import LoginRow, try_password

MAY_SIGN_IN = "the user may sign in"


def exchange_password(
    exchange: Exchange, user_name: str, password: str, scope: str | None, *, address: str
) -> IssuedToken:
    """Return a token for the user whose name and password a client has sent.

    If the integration issues refresh tokens, sets `exchange.refresh_token`. Wrong passwords count toward the same limit
    as at every other login. Raises `UserRefused`, `TooManyFailures`, `InvalidScope`, and `TemporarilyUnavailable`.
    """
    user = _authenticate_user(exchange, user_name, password, address)
    mark = password_mark(user.user_password)
    # Before any row is locked or written: it may first create a signing key, in a transaction of its own.
    issued = issue_token(exchange, user.sys_id, scope)
    # Check the user again under the lock: the password, for example, may have changed since it was compared.
    if fault := find_owner_fault(lock_owner(user.sys_id, exchange.client.entity), mark):
        exchange.require(RuleCheck("user", fault, MAY_SIGN_IN, user.user_name), UserRefused)
    at, lifespan = now(), exchange.client.refresh_token_lifespan
    make_room_for_access_token(exchange, user.sys_id, at)
    if lifespan is not None:
        make_room_for_refresh_token(exchange, user.sys_id, at)
        exchange.refresh_token = add_refresh_token(issued, mark, lifespan)
        exchange.refresh_token_id = exchange.correlation_id
    return issued


def _authenticate_user(exchange: Exchange, user_name: str, password: str, address: str) -> LoginRow:
    """Return the user of a name and password; an unknown name takes the same steps as a wrong password."""
    guess = require_room_to_guess(address, user_name)
    user, is_right = try_password(guess, password)
    fault = find_owner_fault(user, password_mark(user.user_password if user else None))
    if fault or not is_right:
        limiter.count_guess(guess)
    # The name of an unknown user is not stored, because it may be a password typed into the wrong field.
    unknown, name = ("user_unknown", "none") if user is None else (None, user.user_name)
    exchange.user_name = user.user_name if user else None
    exchange.require(RuleCheck("user name", unknown, "a user of this name", name), UserRefused)
    wrong = None if is_right else "password_wrong"
    exchange.require(RuleCheck("password", wrong, "the user's", "another" if wrong else "the user's"), UserRefused)
    exchange.require(RuleCheck("user", fault, MAY_SIGN_IN, name), UserRefused)
    return user
