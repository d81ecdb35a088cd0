"""The roles that a user holds, each with the reasons: by assignment, by a group, or within another role."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Executable, null, select, union_all

from changegate.database import connection
from changegate.models import (
    OidcGrant,
    OidcProviderConfiguration,
    SysGroupHasRole,
    SysUserGroup,
    SysUserGroupMember,
    SysUserHasRole,
    SysUserRole,
)
from changegate.services.access.permissions import CONTAINED_ROLES


@dataclass(slots=True)
class HeldRole:
    """A role of a user: assigned directly, through `groups` of (sys_id, name, provider), or in the roles `within`.

    `providers` are the names of the identity providers whose claims have assigned it, and a group's `provider` is the
    one whose claims have made the user a member, or None.
    """

    name: str
    is_direct: bool = False
    providers: list[str] = field(default_factory=list)
    groups: list[tuple[str, str, str | None]] = field(default_factory=list)
    within: list[str] = field(default_factory=list)

    @property
    def is_assigned(self) -> bool:
        """Return whether the role is assigned to the user, by an administrator or by claims."""
        return self.is_direct or bool(self.providers)


def list_held_roles(user_id: str) -> Mapping[str, HeldRole]:
    """Return the roles of a user by name, in the order of their names."""
    held: dict[str, HeldRole] = {}
    for name, group, group_name, provider in connection().execute(_assigned(user_id)):
        role = held.setdefault(name, HeldRole(name))
        if group is not None:
            role.groups.append((group, group_name, provider))
        elif provider is not None:
            role.providers.append(provider)
        else:
            role.is_direct = True
    for name in tuple(held):
        for contained in CONTAINED_ROLES.get(name, ()):
            held.setdefault(contained, HeldRole(contained)).within.append(name)
    return dict(sorted(held.items()))


def _assigned(user_id: str) -> Executable:
    grants, providers = OidcGrant, OidcProviderConfiguration
    provider = providers.name.label("provider")
    directly = (
        select(SysUserRole.name.label("role"), null().label("group"), null().label("group_name"), provider)
        .join(SysUserHasRole, SysUserHasRole.role == SysUserRole.sys_id)
        .outerjoin(grants, grants.record == SysUserHasRole.sys_id)
        .outerjoin(providers, providers.sys_id == grants.provider)
        .where(SysUserHasRole.user == user_id)
    )
    by_group = (
        select(SysUserRole.name, SysUserGroup.sys_id, SysUserGroup.name, provider)
        .join(SysGroupHasRole, SysGroupHasRole.role == SysUserRole.sys_id)
        .join(SysUserGroup, SysUserGroup.sys_id == SysGroupHasRole.group)
        .join(SysUserGroupMember, SysUserGroupMember.group == SysUserGroup.sys_id)
        .outerjoin(grants, grants.record == SysUserGroupMember.sys_id)
        .outerjoin(providers, providers.sys_id == grants.provider)
        .where(SysUserGroupMember.user == user_id)
    )
    return union_all(directly, by_group).order_by("role", "group_name")
