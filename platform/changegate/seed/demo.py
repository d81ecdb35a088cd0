"""The demo's users, groups, and items; its changes are in `demo_changes`."""

from sqlalchemy import select

from changegate.extensions import db, limiter
from changegate.models import CmdbCi, SysUser, SysUserGroup, SysUserGroupMember, Task
from changegate.seed.demo_changes import MARK, seed_changes
from changegate.seed.demo_planning import seed_planning
from changegate.seed.first_start import ADMIN_USER_NAME
from changegate.seed.standard_changes import NAME as TEMPLATE
from changegate.services.users.accounts import create_user, get_user, set_password, try_password

LOOPBACK = "127.0.0.1"
USERS: tuple[tuple[str, str, str], ...] = (
    ("release.bot", "Release Automation", "itil"),
    ("maria.keller", "Maria Keller", "change_manager"),
    ("tom.okafor", "Tom Okafor", "itil"),
    ("ines.duarte", "Ines Duarte", "itil"),
    ("jonas.lind", "Jonas Lind", "sn_change_read"),
    # Without a role: requests changes from templates.
    ("lea.novak", "Lea Novak", ""),
)
# The users who work on changes, in turn.
PEOPLE = ("maria.keller", "tom.okafor", "ines.duarte")
REQUESTER = "lea.novak"
GROUPS = {
    "Network": "maria.keller",
    "Database": "tom.okafor",
    "Web Platform": "ines.duarte",
    "CAB Approval": "maria.keller",
}
CIS = {
    "edge-router-01": "cmdb_ci_netgear",
    "core-switch-02": "cmdb_ci_netgear",
    "orders-db": "cmdb_ci_database",
    "customers-db": "cmdb_ci_database",
    "checkout": "cmdb_ci_appl",
    "storefront": "cmdb_ci_appl",
    "payments": "cmdb_ci_service",
    "web-fra-07": "cmdb_ci_server",
}


def seed_demo(*, admin_password: str) -> None:
    """Add the demo's records once, and set the passwords of the administrator and of the people if they are others.

    They share one password: a user who tries out the demo signs in as each of them.
    """
    if not db.session.execute(select(Task.sys_id).where(Task.correlation_display == MARK).limit(1)).first():
        _add_records()
    _set_passwords(admin_password)


def _add_records() -> None:
    users = {user_name: _find_or_add_user(user_name, name, role) for user_name, name, role in USERS}
    for name, manager in GROUPS.items():
        group = _find_or_add_group(name, users[manager].sys_id)
        db.session.add(SysUserGroupMember(user=users[manager].sys_id, group=group.sys_id))
    items = {name: CmdbCi(name=name, sys_class_name=ci_class) for name, ci_class in CIS.items()}
    db.session.add_all(items.values())
    db.session.flush()
    seed_planning({name: item.sys_id for name, item in items.items()}, "Web Platform")
    seed_changes(people=PEOPLE, template=f"{TEMPLATE} - 1", approver="maria.keller", requester=REQUESTER)


def _find_or_add_group(name: str, manager: str) -> SysUserGroup:
    """Return a group with a manager; the first start has already added CAB Approval."""
    group = db.session.execute(select(SysUserGroup).where(SysUserGroup.name == name)).scalar_one_or_none()
    if group is None:
        group = SysUserGroup(name=name)
        db.session.add(group)
    group.manager = manager
    db.session.flush()
    return group


def _set_passwords(password: str) -> None:
    for user_name in (ADMIN_USER_NAME, *PEOPLE, REQUESTER):
        _, is_right = try_password(limiter.require_room_to_guess(LOOPBACK, user_name), password)
        if not is_right:
            set_password(get_user(user_name), password)


def _find_or_add_user(user_name: str, name: str, role: str) -> SysUser:
    existing = db.session.execute(select(SysUser).where(SysUser.user_name == user_name)).scalar_one_or_none()
    if existing is not None:
        return existing
    email = f"{user_name}@example.com"
    return create_user(user_name=user_name, password=None, email=email, name=name, roles=[role] if role else [])
