"""Resource owners: the users whose passwords bought tokens, and whether they may still act.

See docs/reference/inbound-integrations.md#connection-types.
"""

import hashlib
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.models import OAuthEntity, SysUser

OwnerState = Any  # a row with the columns of `STATE`, by name
STATE = (SysUser.user_password, SysUser.active, SysUser.locked_out, SysUser.web_service_access_only)


def hold_owner(sys_id: str, entity: str) -> OwnerState | None:
    """Return a user's state, which stays as it is until the transaction ends; None for a user who has been deleted.

    The integration `entity` stays too. Every transaction that issues or ends several tokens of a user does this first:
    integration, user, then tokens. A deletion of the integration begins with the integration as well. So of two
    transactions one waits for the other and sees what it did, and neither waits for what the other holds.
    """
    _HOLD_ENTITY.first({"entity": entity})
    return _HOLD.first({"user": sys_id})


def find_fault(owner: OwnerState | None, mark: str) -> str | None:
    """Return the reason code for why a user's password buys nothing any longer, or None where it still does.

    Who may use web services only has no interactive session, and so no password to give away: Basic is for that.
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
    """Return what changes with a user's password and tells nothing about it; `stored` is its salted hash."""
    return hashlib.sha256((stored or "").encode()).hexdigest()


def _hold_statement() -> Any:
    held = select(*STATE).where(SysUser.sys_id == parameter("user")).with_for_update(key_share=True)
    # SQLite has no row locks; the option makes it take its write lock before it reads (database/engine.py).
    return held.execution_options(locks_rows=True)


def _hold_entity_statement() -> Any:
    # As a foreign key holds it, so that whoever only changes or uses the integration does not wait.
    held = select(OAuthEntity.sys_id).where(OAuthEntity.sys_id == parameter("entity"))
    return held.with_for_update(read=True, key_share=True).execution_options(locks_rows=True)


_HOLD_ENTITY = Prepared(_hold_entity_statement())
_HOLD = Prepared(_hold_statement())
