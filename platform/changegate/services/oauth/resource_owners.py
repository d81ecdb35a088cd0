"""Resource owners: the users who got tokens with their passwords, and whether they may still sign in.

See docs/reference/inbound-integrations.md#connection-types.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import OAuthEntity, SysUser

OwnerState = Any  # a row with the columns of `STATE`, by name
STATE = (SysUser.user_password, SysUser.active, SysUser.locked_out, SysUser.web_service_access_only)


def lock_owner(sys_id: str, entity: str) -> OwnerState | None:
    """Lock a user and the integration `entity` until the transaction ends; return the user's state, None if deleted.

    Every transaction that issues or ends several tokens of a user calls this first. The order of the locks is always
    integration, user, tokens; the deletion of an integration begins with the integration as well. So one of two
    transactions waits for the other and sees its changes, and there is no deadlock.
    """
    _LOCK_ENTITY.first({"entity": entity})
    return _LOCK_USER.first({"user": sys_id})


def find_owner_fault(owner: OwnerState | None, mark: str) -> str | None:
    """Return the reason code if a user may no longer get tokens with their password, or None if they may.

    Users with web service access only have no interactive session that a client could act for; they use Basic.
    """
    if owner is None:
        return "user_unknown"
    if password_mark(owner.user_password) != mark:
        return "password_changed"
    if not owner.active:
        return "user_inactive"
    if owner.locked_out:
        return "user_locked"
    return "user_web_service_only" if owner.web_service_access_only else None


def password_mark(stored: str | None) -> str:
    """Return a value that changes with a user's password and does not disclose it; `stored` is the salted hash."""
    return hashlib.sha256((stored or "").encode()).hexdigest()


def _lock_user_statement() -> Any:
    locked = select(*STATE).where(SysUser.sys_id == parameter("user")).with_for_update(key_share=True)
    # SQLite has no row locks; the option makes it take its write lock before it reads (database/engine.py).
    return locked.execution_options(locks_rows=True)


def _lock_entity_statement() -> Any:
    # FOR KEY SHARE, as a foreign key check takes it: it blocks the deletion of the integration, and no change or use.
    locked = select(OAuthEntity.sys_id).where(OAuthEntity.sys_id == parameter("entity"))
    return locked.with_for_update(read=True, key_share=True).execution_options(locks_rows=True)


_LOCK_ENTITY = Prepared(_lock_entity_statement())
_LOCK_USER = Prepared(_lock_user_statement())
