"""People with their accounts, and the callers that they are."""

from changegate.extensions import db
from changegate.models import SysUser, SysUserIdentity
from changegate.seed.first_start import ADMIN_SYS_ID
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions, TokenGrant, expand_roles

ROOT = Caller(ADMIN_SYS_ID, "admin", Permissions(frozenset({"admin"})))
ADMIN = ROOT.sys_id


def add_account(user_name: str, *identities: tuple[str, str], **fields: object) -> str:
    """Add a user with identities (issuer, subject), and return the sys_id."""
    user = SysUser(user_name=user_name, name=user_name.title(), **fields)
    db.session.add(user)
    db.session.flush()
    for issuer, subject in identities:
        db.session.add(SysUserIdentity(user=user.sys_id, issuer=issuer, subject=subject))
    db.session.flush()
    return user.sys_id


def caller_for(sys_id: str, *roles: str, grant: TokenGrant | None = None) -> Caller:
    """Return a user as the caller of a request."""
    user = db.session.get_one(SysUser, sys_id)
    return Caller(sys_id, user.user_name, Permissions(expand_roles(",".join(roles)), grant))
