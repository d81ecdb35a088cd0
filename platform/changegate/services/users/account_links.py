"""Links with which people set a password or confirm an email, without signing in with a password.

A link works once, until it expires, and for the account that it was made for. The database has a hash of its secret
only, like those of sessions. Every link of an account ends with a new password or email, and when the user is
deactivated or locked out.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, insert, select

from changegate.database import connection
from changegate.errors import LinkEnded
from changegate.extensions import db, limiter, now, settings
from changegate.models import AccountLink, SysUser
from changegate.printable import printable
from changegate.services.jobs.cleanups import deletes
from changegate.services.mail.outbox import queue_mail

PATH = "/account-links"
_SECRET_BYTES = 32
# An invitation, a password link from an administrator, one that the user asked for, and the confirmation of an email.
INVITATION, RESET, FORGOTTEN, EMAIL = "invitation", "reset", "forgotten", "email"
LIFETIMES: Mapping[str, timedelta] = {
    INVITATION: timedelta(days=3),
    RESET: timedelta(days=1),
    FORGOTTEN: timedelta(minutes=30),
    EMAIL: timedelta(days=1),
}
# The subject of the mail with a link, and the sentence before the link.
MAILS: Mapping[str, tuple[str, str]] = {
    INVITATION: ("Your account at Changegate", "You have an account {user_name} at Changegate. Choose its password:"),
    RESET: ("Set a new password at Changegate", "An administrator asks you to set a new password for {user_name}:"),
    FORGOTTEN: ("Set a new password at Changegate", "Somebody, probably you, forgot the password of {user_name}:"),
    EMAIL: ("Confirm your email at Changegate", "Confirm that this is the email of the account {user_name}:"),
}
_MAIL = """Hello {name},

{sentence}

{url}

The link works once, until {expires} UTC. If you did not expect it, ignore this mail: nothing changes until the link is
used.
"""
# Counts the wrong secrets of an address.
_LIMIT = "account link"


def create_link(user_id: str, purpose: str, email: str | None = None) -> str:
    """Make a link for a user and return its URL, the only place with its secret; earlier ones of the purpose end."""
    token, at = secrets.token_urlsafe(_SECRET_BYTES), now()
    replaced = (AccountLink.user == user_id, AccountLink.purpose == purpose)
    connection().execute(delete(AccountLink).where(*replaced))
    times = {"created_at": at, "expires_at": at + LIFETIMES[purpose]}
    row = {"token_hash": _hash(token), "user": user_id, "purpose": purpose, "email": email, **times}
    connection().execute(insert(AccountLink).values(row))
    return f"{settings().base_url}{PATH}/{token}"


def mail_link(user: SysUser, purpose: str, address: str) -> bool:
    """Send a new link to an address, whose owner is thereby known; return whether the mail was queued."""
    url = create_link(user.sys_id, purpose, address)
    subject, sentence = MAILS[purpose]
    expires = f"{now() + LIFETIMES[purpose]:%Y-%m-%d %H:%M}"
    facts = {
        "name": printable(user.name),
        "sentence": sentence.format(user_name=user.user_name),
        "url": url,
        "expires": expires,
    }
    return queue_mail(address=address, subject=subject, text=_MAIL.format(**facts), secret=True)


def read_link(token: str, address: str) -> tuple[SysUser, AccountLink]:
    """Return a current link and its user. Raises `LinkEnded`, and `RateLimited` after too many wrong secrets."""
    limiter.require_room_to_fail(address, _LIMIT)
    statement = select(SysUser, AccountLink).join(AccountLink, AccountLink.user == SysUser.sys_id)
    is_current = (AccountLink.token_hash == _hash(token), AccountLink.expires_at > now())
    found = db.session.execute(statement.where(*is_current)).one_or_none()
    if found is None or not found[0].is_active:
        limiter.count(address, _LIMIT)
        raise LinkEnded
    return found[0], found[1]


def take_link(link: AccountLink) -> None:
    """End a link that is used. Raises `LinkEnded` if another request has used it at the same time."""
    if not connection().execute(delete(AccountLink).where(AccountLink.token_hash == link.token_hash)).rowcount:
        raise LinkEnded


def end_links(user_id: str) -> None:
    """End every link of a user."""
    connection().execute(delete(AccountLink).where(AccountLink.user == user_id))


def latest_link(user_id: str, *purposes: str) -> AccountLink | None:
    """Return the newest current link of a user for one of some purposes, or None."""
    is_current = (AccountLink.user == user_id, AccountLink.purpose.in_(purposes), AccountLink.expires_at > now())
    statement = select(AccountLink).where(*is_current).order_by(AccountLink.created_at.desc()).limit(1)
    return db.session.execute(statement).scalar_one_or_none()


purge_links = deletes(
    "users.purge_links", "expired links of accounts", AccountLink.token_hash, lambda at: AccountLink.expires_at <= at
)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
