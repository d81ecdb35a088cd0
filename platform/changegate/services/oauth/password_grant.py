"""The password grant (RFC 6749 §4.3), for clients that know no other; nobody should have one (RFC 9700 §2.4)."""

from changegate.errors import UserRefused
from changegate.extensions import limiter, now
from changegate.services.oauth.access_tokens import IssuedToken
from changegate.services.oauth.clients import require_room_to_guess
from changegate.services.oauth.issuing import Exchange, issue_token
from changegate.services.oauth.oldest_tokens import make_room_for_access_token, make_room_for_refresh_token
from changegate.services.oauth.refresh_tokens import add_refresh_token
from changegate.services.oauth.resource_owners import find_fault, hold_owner, password_mark
from changegate.services.users.accounts import LoginRow, try_password

MAY_SIGN_IN = "the user may sign in"


def exchange_password(
    exchange: Exchange, user_name: str, password: str, scope: str | None, *, address: str
) -> IssuedToken:
    """Return the token of a user whose name and password a client has sent.

    A refresh token comes along, as `exchange.refresh_token`, where the integration issues them. Wrong passwords are
    counted with those of everywhere else. Raises `UserRefused` for whatever is wrong with the user, `TooManyFailures`,
    `InvalidScope`, `TemporarilyUnavailable`.
    """
    user = _prove_user(exchange, user_name, password, address)
    mark = password_mark(user.user_password)
    # Before anything is held or written: a key that signs may have to be made first, in a transaction of its own.
    issued = issue_token(exchange, user.sys_id, scope)
    # Nothing may have changed since the password was judged, such as the password.
    if fault := find_fault(hold_owner(user.sys_id, exchange.client.entity), mark):
        exchange.judge(UserRefused, "user", fault, MAY_SIGN_IN, user.user_name)
    at, lifespan = now(), exchange.client.refresh_token_lifespan
    make_room_for_access_token(exchange, user.sys_id, at)
    if lifespan is not None:
        make_room_for_refresh_token(exchange, user.sys_id, at)
        exchange.refresh_token = add_refresh_token(exchange, issued, mark, lifespan)
    return issued


def _prove_user(exchange: Exchange, user_name: str, password: str, address: str) -> LoginRow:
    """Return the user of a name and its password; an unknown name costs what a wrong password does."""
    guess = require_room_to_guess(address, user_name)
    user, is_right = try_password(guess, password)
    fault = find_fault(user, password_mark(user.user_password if user else None))
    if fault or not is_right:
        limiter.count_guess(guess)
    # A name that nobody has is not kept: it may be a password in the wrong field.
    unknown, found = ("user_unknown", "none") if user is None else (None, user.user_name)
    exchange.user_name = user.user_name if user else None
    exchange.judge(UserRefused, "user name", unknown, "a user of this name", found)
    wrong = None if is_right else "password_wrong"
    exchange.judge(UserRefused, "password", wrong, "the user's", "another" if wrong else "the user's")
    exchange.judge(UserRefused, "user", fault, MAY_SIGN_IN, found)
    return user
