"""The roles that a user holds, each with the reasons: by assignment, by a group, or within another role."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Executable, null, select, union_all

from changegate.database import connection
from changegate.models import SysGroupHasRole, SysUserGroup, SysUserGroupMember, SysUserHasRole, SysUserRole
from changegate.services.access.permissions import CONTAINED_ROLES


@dataclass(slots=True)
class HeldRole:
    """A role of a user: assigned directly, through `groups` of (sys_id, name), or contained in the roles `within`."""

    name: str
    is_direct: bool = False
    groups: list[tuple[str, str]] = field(default_factory=list)
    within: list[str] = field(default_factory=list)


def list_held_roles(user_id: str) -> Mapping[str, HeldRole]:
    """Return the roles of a user by name, in the order of their names."""
    held: dict[str, HeldRole] = {}
    for name, group, group_name in connection().execute(_assigned(user_id)):
        role = held.setdefault(name, HeldRole(name))
        if group is None:
            role.is_direct = True
        else:
            role.groups.append((group, group_name))
    for name in tuple(held):
        for contained in CONTAINED_ROLES.get(name, ()):
            held.setdefault(contained, HeldRole(contained)).within.append(name)
    return dict(sorted(held.items()))


def _assigned(user_id: str) -> Executable:
    directly = (
        select(SysUserRole.name.label("role"), null().label("group"), null().label("group_name"))
        .join(SysUserHasRole, SysUserHasRole.role == SysUserRole.sys_id)
        .where(SysUserHasRole.user == user_id)
    )
    by_group = (
        select(SysUserRole.name, SysUserGroup.sys_id, SysUserGroup.name)
        .join(SysGroupHasRole, SysGroupHasRole.role == SysUserRole.sys_id)
        .join(SysUserGroup, SysUserGroup.sys_id == SysGroupHasRole.group)
        .join(SysUserGroupMember, SysUserGroupMember.group == SysUserGroup.sys_id)
        .where(SysUserGroupMember.user == user_id)
    )
    return union_all(directly, by_group).order_by("role", "group_name")
