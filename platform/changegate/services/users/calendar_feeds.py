"""Calendar feeds of users: their secrets are stored as hashes, like those of sessions."""

import hashlib
import secrets
from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select

from changegate.database import connection
from changegate.errors import InputInvalid, RecordNotFound
from changegate.extensions import db, limiter, now
from changegate.models import CalendarFeed, SysUser
from changegate.printable import typed

TOKEN_BYTES = 32
MOST_FEEDS = 20


def create_feed(user_id: str, name: str, query: str) -> str:
    """Make a feed of a user and return the secret of its address. Raises `InputInvalid`."""
    if not (name := typed(name)):
        raise InputInvalid({"name": ["Enter a name for the feed."]})
    of_user = select(func.count()).select_from(CalendarFeed).where(CalendarFeed.user == user_id)
    if connection().execute(of_user).scalar_one() >= MOST_FEEDS:
        raise InputInvalid({"name": [f"You have {MOST_FEEDS} feeds. Revoke one first."]})
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {"token_hash": _hash(token), "user": user_id, "name": name[:100], "query": query, "created_at": now()}
    connection().execute(insert(CalendarFeed).values(row))
    return token


def list_feeds(user_id: str) -> Sequence[CalendarFeed]:
    """Return the feeds of a user, oldest first."""
    statement = select(CalendarFeed).where(CalendarFeed.user == user_id).order_by(CalendarFeed.created_at)
    return db.session.execute(statement).scalars().all()


def revoke_feed(user_id: str, token_hash: str) -> None:
    """Delete a feed of a user, whose address then leads nowhere. Raises `RecordNotFound`."""
    is_own = (CalendarFeed.token_hash == token_hash, CalendarFeed.user == user_id)
    if not connection().execute(delete(CalendarFeed).where(*is_own)).rowcount:
        raise RecordNotFound


def read_feed(token: str, address: str) -> tuple[SysUser, CalendarFeed]:
    """Return a feed and its user by the secret. Raises `RecordNotFound`, also for a user who may not sign in.

    Raises `RateLimited` after too many wrong secrets from the address.
    """
    limiter.require_room_to_fail(address, "calendar feed")
    statement = select(SysUser, CalendarFeed).join(CalendarFeed, CalendarFeed.user == SysUser.sys_id)
    found = db.session.execute(statement.where(CalendarFeed.token_hash == _hash(token))).one_or_none()
    if found is None or not found[0].is_active:
        limiter.count(address, "calendar feed")
        raise RecordNotFound
    return found[0], found[1]


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
