"""Sessions of the console, stored in the database so that an ended session is invalid in every process at once."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, insert, select, update

from changegate.database import connection
from changegate.extensions import db, now
from changegate.models import SysUser, SysUserSession
from changegate.services.jobs.cleanups import deletes
from changegate.services.tables.change_history import note_act

LIFETIME = timedelta(hours=12)
# Limits what a script that signs in again and again can store: its oldest sessions end.
MOST_SESSIONS = 50
SESSION_TOKEN_BYTES = 32


def start_session(user_id: str, provider: str | None = None) -> str:
    """Start a session for a user and return its token, of which only the hash is stored.

    `provider` is the sys_id of the identity provider that the user has signed in with.
    """
    at = now()
    _end_oldest(user_id)
    token = secrets.token_urlsafe(SESSION_TOKEN_BYTES)
    row = {"token_hash": _hash(token), "user": user_id, "created_at": at, "expires_at": at + LIFETIME}
    row["provider"] = provider
    connection().execute(insert(SysUserSession).values(row))
    connection().execute(update(SysUser).where(SysUser.sys_id == user_id).values(last_login_time=at))
    return token


def find_session_user(token: str) -> SysUser | None:
    """Return the user of a current session, or None. Whether the user is active is not checked."""
    of_session = SysUserSession.user == SysUser.sys_id
    is_current = (SysUserSession.token_hash == _hash(token)) & (SysUserSession.expires_at > now())
    return db.session.execute(select(SysUser).join(SysUserSession, of_session).where(is_current)).scalar_one_or_none()


def provider_of_session(token: str) -> str | None:
    """Return the sys_id of the identity provider that a session began with, or None for a password."""
    statement = select(SysUserSession.provider).where(SysUserSession.token_hash == _hash(token))
    return connection().execute(statement).scalar_one_or_none()


def list_sessions(user_id: str) -> Sequence[SysUserSession]:
    """Return the current sessions of a user, newest first."""
    is_current = (SysUserSession.user == user_id, SysUserSession.expires_at > now())
    statement = select(SysUserSession).where(*is_current).order_by(SysUserSession.created_at.desc())
    return db.session.execute(statement).scalars().all()


def is_session_of(token: str, found: SysUserSession) -> bool:
    """Return whether a session is the one of a token."""
    return found.token_hash == _hash(token)


def end_session_of(user_id: str, token_hash: str) -> None:
    """End one session of a user by its hash."""
    is_own = (SysUserSession.token_hash == token_hash, SysUserSession.user == user_id)
    connection().execute(delete(SysUserSession).where(*is_own))


def end_session(token: str) -> None:
    """End a session."""
    connection().execute(delete(SysUserSession).where(SysUserSession.token_hash == _hash(token)))


def sign_out(user: SysUser, *, by: str) -> None:
    """End every session of a user for an administrator, whom the audit trail of the user then names."""
    number = len(list_sessions(user.sys_id))
    end_sessions(user.sys_id)
    note_act(user, {"sessions": (str(number), "0")}, by=by)


def end_sessions(user_id: str) -> None:
    """End every session of a user."""
    connection().execute(delete(SysUserSession).where(SysUserSession.user == user_id))


purge_sessions = deletes(
    "users.purge_sessions",
    "expired sessions",
    SysUserSession.token_hash,
    lambda at: SysUserSession.expires_at <= at,
)


def _end_oldest(user_id: str) -> None:
    """End the oldest sessions of a user, so that one more is within the limit."""
    of_user = select(SysUserSession.token_hash).where(SysUserSession.user == user_id)
    oldest = of_user.order_by(SysUserSession.created_at.desc()).offset(MOST_SESSIONS - 1)
    connection().execute(delete(SysUserSession).where(SysUserSession.token_hash.in_(oldest)))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
