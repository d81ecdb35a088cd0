"""Tiny URLs: long queries stored under a token, for callers whose URLs must be short.

See docs/reference/other-apis.md#tiny-urls.

Each user, and each integration that acts as the user, may store `MOST_KEPT` queries with `MOST_QUERY_CHARACTERS` in
total. Beyond that, the oldest ones are deleted: clients use a token immediately, and a refusal would stop clients
that need many.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Select, delete, insert, select

from changegate.database import connection
from changegate.database.prepared import Prepared, parameter
from changegate.errors import RequestUnreadable
from changegate.extensions import now
from changegate.models import TinyUrl
from changegate.services.access.caller import Caller
from changegate.services.jobs.cleanups import deletes

URLS_KEPT_FOR = timedelta(hours=24)
LONGEST_PATH = 255
LONGEST_QUERY = 65_536
URL_TOKEN_BYTES = 16
MOST_KEPT = 200
MOST_QUERY_CHARACTERS = 2 * 1024 * 1024


def store_query(caller: Caller, path: str, query: str) -> str:
    """Store a query for a user and a path, and return its token. Raises `RequestUnreadable` if it is too long."""
    if len(path) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        raise RequestUnreadable(
            f"url: a path of {LONGEST_PATH} characters and a query of {LONGEST_QUERY} are the most that is kept"
        )
    at = now()
    token = secrets.token_hex(URL_TOKEN_BYTES)
    owner = {"user": caller.sys_id, "entity": caller.grant.entity if caller.grant else None}
    _make_room(owner, len(query))
    kept = {**owner, "token": token, "path": path, "query": query, "size": len(query)}
    _INSERT.execute({**kept, "created_at": at, "expires_at": at + URLS_KEPT_FOR})
    return token


def get_query(caller: Caller, token: str, path: str) -> str:
    """Return the query that this user has stored for this path. Raises `RequestUnreadable` if there is none."""
    row = _FIND.first({"token": token}) if token.isalnum() and token.isascii() else None
    if row is None or row.user != caller.sys_id or row.path != path or row.expires_at <= now():
        raise RequestUnreadable("sysparm_tiny: no query is kept for you under this token and this path")
    kept: str = row.query
    return kept


def _make_room(owner: Mapping[str, str | None], size: int) -> None:
    """Delete the oldest queries of an owner, so that one more with `size` characters fits.

    Concurrent requests may each add one beyond the limit; the next request deletes these.
    """
    beyond, count = [], 1
    for token, kept_size in connection().execute(_sizes(owner)):
        count, size = count + 1, size + kept_size
        if count > MOST_KEPT or size > MOST_QUERY_CHARACTERS:
            beyond.append(token)
    if beyond:
        connection().execute(delete(TinyUrl).where(TinyUrl.token.in_(beyond)))


def _sizes(owner: Mapping[str, str | None]) -> Select[str, int]:
    is_owned = (TinyUrl.user == owner["user"], TinyUrl.entity == owner["entity"])
    newest = (TinyUrl.created_at.desc(), TinyUrl.token)
    # More than MOST_KEPT, to include those that concurrent requests have added.
    return select(TinyUrl.token, TinyUrl.size).where(*is_owned).order_by(*newest).limit(5 * MOST_KEPT)


purge_tiny_urls = deletes(
    "tables.purge_tiny_urls", "expired queries of tiny URLs", TinyUrl.token, lambda at: TinyUrl.expires_at <= at
)


_INSERT = Prepared(insert(TinyUrl.__table__), TinyUrl.__table__.columns.keys())
_FIND = Prepared(
    select(TinyUrl.user, TinyUrl.path, TinyUrl.query, TinyUrl.expires_at).where(TinyUrl.token == parameter("token"))
)
