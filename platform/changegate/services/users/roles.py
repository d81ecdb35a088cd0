"""Roles of users, assigned directly or through groups, and the rules for writes of roles."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, or_, select

from changegate.database.dialects import lock_number
from changegate.database.prepared import Prepared, parameter
from changegate.errors import AccessRefused, OperationFailed
from changegate.extensions import db
from changegate.models import SysGroupHasRole, SysUser, SysUserGroupMember, SysUserHasRole, SysUserRole
from changegate.services.access.caller import Caller
from changegate.services.tables.rules import Rules, Values

ADMIN = "admin"
ROLES_REFUSED = "Access tokens cannot grant or revoke roles"
NO_ADMINISTRATOR = (
    "This would leave the instance without an active administrator who can sign in with a password. "
    "Give another active user the role admin first"
)
# The number of an advisory lock: any number that no other lock uses.
_ADMINISTRATORS_LOCK = 0x61646D696E73


class RoleRules(Rules):
    """Rules of roles and their assignments: tokens cannot write them, and one administrator must remain."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse a token."""
        refuse_tokens(caller, ROLES_REFUSED)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token."""
        refuse_tokens(caller, ROLES_REFUSED)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse to demote the last administrator."""
        require_administrator()

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse a token, including one that deletes a user with the role."""
        refuse_tokens(caller, ROLES_REFUSED)

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to demote or delete the last administrator."""
        require_administrator()


class MembershipRules(RoleRules):
    """Rules of sys_user_grmember: the members of a group have its roles."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Refuse a token that would grant the roles of the group."""
        _refuse_tokens_roles_of(caller, values.get("group"))

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Refuse a token that would grant or revoke the roles of either group."""
        _refuse_tokens_roles_of(caller, record["group"], changes.get("group"))

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse a token that would revoke the roles of the group."""
        _refuse_tokens_roles_of(caller, record["group"])


def refuse_tokens(caller: Caller, sentence: str) -> None:
    """Refuse a caller with an access token. `sentence` is what tokens cannot do. Raises `AccessRefused`."""
    if caller.grant is not None:
        raise AccessRefused("Operation Failed", f"{sentence}; use a user's name and password")


def _refuse_tokens_roles_of(caller: Caller, *groups: str | None) -> None:
    if caller.grant is not None and any(_ROLE_OF_GROUP.first({"group": group}) for group in groups if group):
        refuse_tokens(caller, ROLES_REFUSED)


def roles_of_user() -> Any:
    """Return the expression for the comma-separated role names of the sys_user of the outer statement."""
    # Each by its own subquery: with one for both, SQLite makes a table for every caller of a token.
    names = (held.with_only_columns(func.aggregate_strings(SysUserRole.name, ",")) for held in _held_roles())
    assigned, by_group = (func.coalesce(each.scalar_subquery(), "") for each in names)
    return assigned + "," + by_group


def _held_roles() -> tuple[Select[Any], Select[Any]]:
    """Return the statements for the roles of the sys_user of an outer statement: assigned ones, and those of groups."""
    roles = select(SysUserRole.sys_id).correlate(SysUser)
    return (
        roles.join(SysUserHasRole, SysUserHasRole.role == SysUserRole.sys_id).where(
            SysUserHasRole.user == SysUser.sys_id
        ),
        roles.join(SysGroupHasRole, SysGroupHasRole.role == SysUserRole.sys_id)
        .join(SysUserGroupMember, SysUserGroupMember.group == SysGroupHasRole.group)
        .where(SysUserGroupMember.user == SysUser.sys_id),
    )


def require_administrator() -> None:
    """Check that the writes of this transaction leave an active administrator who can sign in with a password.

    The lock is taken after the writes: if two administrators remove each other at the same time, the second transaction
    waits for the first, sees its writes, and is refused. On SQLite, the transaction has the write lock anyway. Raises
    `OperationFailed`.
    """
    lock_number(_ADMINISTRATORS_LOCK)
    if _AN_ADMINISTRATOR.first({}) is None:
        raise OperationFailed(NO_ADMINISTRATOR)


def restore_administrator(user: SysUser) -> None:
    """Let a user sign in and assign them the role admin, which is created if it does not exist."""
    user.active, user.locked_out, user.web_service_access_only = True, False, False
    role = db.session.execute(select(SysUserRole).filter_by(name=ADMIN)).scalar_one_or_none()
    if role is None:
        role = SysUserRole(name=ADMIN)
        db.session.add(role)
        db.session.flush()
    if not db.session.execute(select(SysUserHasRole.sys_id).filter_by(user=user.sys_id, role=role.sys_id)).first():
        db.session.add(SysUserHasRole(user=user.sys_id, role=role.sys_id))
    db.session.flush()


def has_role(name: str) -> Any:
    """Return the clause for the users with a role, directly or through a group."""
    return or_(*(held.where(SysUserRole.name == name).exists() for held in _held_roles()))


def is_administrator() -> Any:
    """Return the clause for the users with the role admin."""
    return has_role(ADMIN)


def _an_administrator() -> Any:
    has_password = func.coalesce(SysUser.user_password, "") != ""
    may_sign_in = (SysUser.active, ~SysUser.locked_out, ~SysUser.web_service_access_only, has_password)
    return select(SysUser.sys_id).where(*may_sign_in, is_administrator())


_AN_ADMINISTRATOR = Prepared(_an_administrator().limit(1))
_ROLE_OF_GROUP = Prepared(select(SysGroupHasRole.sys_id).where(SysGroupHasRole.group == parameter("group")).limit(1))
