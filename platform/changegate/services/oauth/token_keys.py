"""The keys that sign access tokens: the signing key, the published keys, and their rotation.

    request 1    a rotation is due ──> locks the keys ──> rotates ──> commits ──> reads the keys
    request 2    a rotation is due ──> waits for the lock         ──> finds nothing due ──> reads the keys

A key is published before it signs, so that clients that cache the key set have it by then, and after it has signed, so
that its tokens can be verified. There is no job: a request that needs a key first carries out the rotation that is due,
in a transaction of its own. See decision 0013.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from changegate.database import connection
from changegate.database.dialects import lock_table
from changegate.database.prepared import Prepared, parameter
from changegate.errors import ChangegateError, RecordNotFound, SealBroken
from changegate.extensions import db
from changegate.models import OAuthTokenKey
from changegate.oauth_errors import TemporarilyUnavailable
from changegate.services.oauth.token_key import Signer, make_key, open_signer

SIGNS_FOR = timedelta(days=90)
# Must be longer than any access token lives, which is a day: retired keys verify their last tokens.
PUBLISHED_AFTER = timedelta(days=105)
# From publication to first use; longer than clients may cache the key set.
LEAD = timedelta(hours=24)
UNREADABLE = "The token key was sealed under another secret key; `changegate token-key block {}` replaces it"
_KEYS = OAuthTokenKey.__table__
TokenKeyRow = Any  # a row of `_KEYS`, by column name
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class TokenKeyFacts:
    """A key as shown to administrators; `state` is next, signing, retired, or blocked."""

    kid: str
    state: str
    created_at: datetime
    active_from: datetime
    retired_at: datetime | None
    blocked_at: datetime | None


def get_signer(at: datetime) -> Signer:
    """Return the key that signs now; raises `TemporarilyUnavailable` if there is none or it cannot be unsealed."""
    signing = _signing(_current_keys(at), at)
    if signing is None:
        raise TemporarilyUnavailable("token_key_missing", "The token key was blocked at this moment")
    try:
        return open_signer(signing.kid, signing.private_key)
    except SealBroken:
        raise TemporarilyUnavailable("token_key_unreadable", UNREADABLE.format(signing.kid)) from None


def list_published(at: datetime) -> list[dict[str, Any]]:
    """Return the published public keys as JWKs (RFC 7517 §4)."""
    _current_keys(at)
    return [row.public_jwk for row in _PUBLISHED.all({"retired_since": at - PUBLISHED_AFTER})]


def is_published() -> Any:
    """Return the clause for keys that are not blocked, and not retired before the parameter `retired_since`."""
    retired_since = parameter("retired_since", type_=_KEYS.c.retired_at.type)
    return _KEYS.c.blocked_at.is_(None) & or_(_KEYS.c.retired_at.is_(None), _KEYS.c.retired_at > retired_since)


def list_token_keys(at: datetime) -> list[TokenKeyFacts]:
    """Return all keys, newest first."""
    rows = connection().execute(select(_KEYS).order_by(_KEYS.c.number.desc())).all()
    signing = _signing([row for row in rows if row.blocked_at is None and row.retired_at is None], at)
    return [_facts(row, signing, at) for row in rows]


def rotate_keys(at: datetime, lead: timedelta = LEAD) -> TokenKeyFacts:
    """Publish a key that will sign after `lead`; the very first key signs at once.

    Raises `ChangegateError` if a published key is waiting to sign already.
    """

    def rotate(at_work: Connection) -> str:
        rows = _lock_keys(at_work)
        waiting = [row for row in rows if row.active_from > at]
        if waiting:
            moment = f"{waiting[-1].active_from:%Y-%m-%d %H:%M} UTC"
            raise ChangegateError(f"The key {waiting[-1].kid} is published already and signs from {moment}.")
        return _add(at_work, at, at + lead if rows else at)

    return _get_facts(_in_transaction(rotate), at)


def block_token_key(kid: str, at: datetime) -> TokenKeyFacts:
    """Block a key: its tokens are refused from the next request on, and another key signs; raises `RecordNotFound`."""

    def block(at_work: Connection) -> None:
        _lock_keys(at_work)
        # The private key is deleted as well, so that a later copy of the database cannot be used to sign with it.
        stopped = {"blocked_at": at, "retired_at": func.coalesce(_KEYS.c.retired_at, at), "private_key": None}
        at_work.execute(update(_KEYS).where(_KEYS.c.kid == kid, _KEYS.c.blocked_at.is_(None)).values(stopped))
        _renew(at_work, at)

    _get_facts(kid, at)
    _in_transaction(block)
    return _get_facts(kid, at)


def _current_keys(at: datetime) -> Sequence[TokenKeyRow]:
    """Return the signing key and its successor, after carrying out the rotation that is due."""
    rows = _CURRENT.all({})
    # Decided without a lock: nearly always nothing is due, and exchanges must not wait for each other. `_renew` checks
    # again under the lock.
    if _is_work_due(rows, at):
        _in_transaction(lambda at_work: _renew(at_work, at))
        rows = _CURRENT.all({})
    return rows


def _is_work_due(rows: Sequence[TokenKeyRow], at: datetime) -> bool:
    """Return whether no key signs, several keys do, or the signing key will soon need a successor and has none."""
    active = [row for row in rows if row.active_from <= at]
    return len(active) != 1 or _needs_successor(rows, at)


def _needs_successor(rows: Sequence[TokenKeyRow], at: datetime) -> bool:
    return all(row.active_from <= at - SIGNS_FOR + LEAD for row in rows)


def _signing(rows: Sequence[TokenKeyRow], at: datetime) -> TokenKeyRow:
    """Return the signing key, the latest active one, or None."""
    return max((row for row in rows if row.active_from <= at), key=lambda row: row.number, default=None)


def _renew(at_work: Connection, at: datetime) -> None:
    """Carry out the rotation: delete old keys, ensure a signing key, retire its predecessors, publish its successor.

    Idempotent: a process that waited for the lock reads the keys again, and then finds nothing to do.
    """
    rows = _lock_keys(at_work)
    at_work.execute(delete(_KEYS).where(_KEYS.c.retired_at <= at - PUBLISHED_AFTER))
    if _signing(rows, at) is None:
        _activate_key(at_work, rows, at)
        rows = _lock_keys(at_work)
    signing = _signing(rows, at)
    # From the moment when its successor began to sign. If no request came for weeks, the key was unused all that time.
    retired = {"retired_at": signing.active_from, "private_key": None}
    at_work.execute(update(_KEYS).where(_KEYS.c.retired_at.is_(None), _KEYS.c.number < signing.number).values(retired))
    if _needs_successor(rows, at):
        _add(at_work, at, at + LEAD)


def _activate_key(at_work: Connection, rows: Sequence[TokenKeyRow], at: datetime) -> None:
    """Let the waiting key sign at once, or create a key if there is none."""
    if rows:
        at_work.execute(update(_KEYS).where(_KEYS.c.kid == rows[0].kid).values(active_from=at))
    else:
        _add(at_work, at, at)


def _add(at_work: Connection, at: datetime, active_from: datetime) -> str:
    made = make_key()
    number = at_work.execute(select(func.coalesce(func.max(_KEYS.c.number), 0))).scalar_one() + 1
    values = {"kid": made.kid, "private_key": made.private_key, "public_jwk": dict(made.public_jwk)}
    at_work.execute(insert(_KEYS).values(number=number, created_at=at, active_from=active_from, **values))
    return made.kid


def _lock_keys(at_work: Connection) -> Sequence[TokenKeyRow]:
    """Lock all keys until the transaction ends, and return those that sign or will sign, oldest first."""
    # The table and not its rows, because there may be no row to lock yet.
    lock_table(at_work, _KEYS)
    return at_work.execute(select(_KEYS).where(*_is_current()).order_by(_KEYS.c.number)).all()


def _in_transaction(work: Callable[[Connection], Outcome]) -> Outcome:
    """Run work in a transaction of its own, so that a refused request does not roll it back.

    If two processes add a key with the same number, which is unique, the second one retries and finds the work done.
    """
    # Must run before the request has written: on SQLite, this second transaction would wait in vain for the write lock
    # of the first.
    with suppress(IntegrityError), db.engine.begin() as at_work:
        return work(at_work)
    with db.engine.begin() as at_work:
        return work(at_work)


def _get_facts(kid: str, at: datetime) -> TokenKeyFacts:
    key = next((facts for facts in list_token_keys(at) if facts.kid == kid), None)
    if key is None:
        raise RecordNotFound
    return key


def _facts(row: TokenKeyRow, signing: TokenKeyRow | None, at: datetime) -> TokenKeyFacts:
    if row.blocked_at is not None:
        state = "blocked"
    elif signing is not None and row.kid == signing.kid:
        state = "signing"
    else:
        state = "next" if row.active_from > at else "retired"
    return TokenKeyFacts(row.kid, state, row.created_at, row.active_from, row.retired_at, row.blocked_at)


def _is_current() -> tuple[Any, ...]:
    return _KEYS.c.blocked_at.is_(None), _KEYS.c.retired_at.is_(None)


_CURRENT = Prepared(select(_KEYS.c.kid, _KEYS.c.number, _KEYS.c.private_key, _KEYS.c.active_from).where(*_is_current()))
_PUBLISHED = Prepared(select(_KEYS.c.public_jwk).where(is_published()).order_by(_KEYS.c.number))
