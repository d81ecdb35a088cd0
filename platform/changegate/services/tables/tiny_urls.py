"""Tiny URLs: a long query kept under a token, for callers whose URLs must be short (rest_api.md §3.6)."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select

from changegate.errors import RequestUnreadable
from changegate.extensions import connection, now
from changegate.models import TinyUrl
from changegate.services.access import Caller
from changegate.services.prepared import Prepared

KEPT_FOR = timedelta(hours=24)
LONGEST_PATH = 255
LONGEST_QUERY = 65_536
TOKEN_BYTES = 16
PURGED_AT_ONCE = 1000


def store_query(caller: Caller, path: str, query: str) -> str:
    """Keep a query for a user and a path, and return its token; raises `RequestUnreadable` for one too long."""
    if len(path) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        raise RequestUnreadable(
            f"url: a path of {LONGEST_PATH} characters and a query of {LONGEST_QUERY} are the most that is kept"
        )
    at = now()
    _purge(at)
    token = secrets.token_hex(TOKEN_BYTES)
    kept = {"token": token, "user": caller.sys_id, "path": path, "query": query}
    _INSERT.execute({**kept, "created_at": at, "expires_at": at + KEPT_FOR})
    return token


def get_query(caller: Caller, token: str, path: str) -> str:
    """Return the query that this user has kept for this path; raises `RequestUnreadable` when there is none."""
    row = _FIND.first({"wanted": token}) if token.isalnum() and token.isascii() else None
    if row is None or row.user != caller.sys_id or row.path != path or row.expires_at <= now():
        raise RequestUnreadable("sysparm_tiny: no query is kept for you under this token and this path")
    kept: str = row.query
    return kept


def _purge(at: datetime) -> None:
    # The index finds what has expired, which mostly is nothing; nobody waits for a purge that is under way.
    expired = select(TinyUrl.token).where(TinyUrl.expires_at <= at).limit(PURGED_AT_ONCE)
    connection().execute(delete(TinyUrl).where(TinyUrl.token.in_(expired.with_for_update(skip_locked=True))))


_INSERT = Prepared(insert(TinyUrl.__table__), TinyUrl.__table__.columns.keys())
_FIND = Prepared(
    select(TinyUrl.user, TinyUrl.path, TinyUrl.query, TinyUrl.expires_at).where(
        TinyUrl.token == bindparam("wanted", None)
    )
)
