"""First-start records, which an empty database needs before anybody can sign in, and the demo's."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from itertools import cycle
from typing import Any

from sqlalchemy import select, update
from werkzeug.security import generate_password_hash

from changegate.extensions import connection, db, now
from changegate.models import (
    CmdbCi,
    SysApiAccessScope,
    SysAuthScope,
    SysUser,
    SysUserGroup,
    SysUserGroupMember,
    SysUserHasRole,
    SysUserRole,
    Task,
)
from changegate.services.access import Caller
from changegate.services.tables.catalog import get_table
from changegate.services.tables.records import create_record
from changegate.services.users import create_user, get_user, set_password

ADMIN_USER_NAME = "admin"
# The id that real clients' own tests expect of the administrator (rest_api.md §7.1).
ADMIN_SYS_ID = "6816f79cc0a8016401c5a33be04be441"
ROLES: Mapping[str, str] = {
    "admin": "Everything",
    "mi_admin": "Integrations, their findings, metrics and settings; contains oauth_admin",
    "oauth_admin": "Integrations, auth scopes and tokens",
    "itil": "Read and write change requests",
    "change_manager": "Everything on change requests, deletion included; contains itil",
    "sn_change_write": "Create and update change requests",
    "sn_change_read": "Read change requests",
    "approver_user": "Decide approvals",
}
# Scope → description and the calls it covers: API, method, table.
SCOPES: Mapping[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "change_request.create": (
        "Create change requests, and nothing else",
        (("now/table", "POST", "change_request"),),
    ),
}


def seed_first_start(admin_password: str | None) -> str | None:
    """Add what is missing of roles, administrator and scopes.

    Returns the administrator's password when one had to be made up, which is the only time it can be seen.
    """
    roles = _seed_roles()
    _seed_scopes()
    if db.session.get(SysUser, ADMIN_SYS_ID) is not None:
        return None
    password = admin_password or secrets.token_urlsafe(12)
    admin = SysUser(
        sys_id=ADMIN_SYS_ID,
        user_name=ADMIN_USER_NAME,
        name="System Administrator",
        first_name="System",
        last_name="Administrator",
        email="admin@example.com",
        user_password=generate_password_hash(password),
    )
    db.session.add(admin)
    db.session.flush()
    db.session.add(SysUserHasRole(user=admin.sys_id, role=roles["admin"].sys_id))
    db.session.flush()
    return None if admin_password else password


def _seed_roles() -> dict[str, SysUserRole]:
    found = {role.name: role for role in db.session.execute(select(SysUserRole)).scalars()}
    for name, description in ROLES.items():
        if name not in found:
            found[name] = SysUserRole(name=name, description=description)
            db.session.add(found[name])
    db.session.flush()
    return found


def _seed_scopes() -> None:
    """Add missing scopes; an administrator's edits of those that exist stay."""
    known = set(db.session.execute(select(SysAuthScope.name)).scalars())
    for name, (description, calls) in SCOPES.items():
        if name not in known:
            rules = [SysApiAccessScope(rest_api=api, http_method=method, table=table) for api, method, table in calls]
            db.session.add(SysAuthScope(name=name, description=description, rules=rules))
    db.session.flush()


DEMO_USERS: tuple[tuple[str, str, str], ...] = (
    ("release.bot", "Release Automation", "itil"),
    ("maria.keller", "Maria Keller", "change_manager"),
    ("tom.okafor", "Tom Okafor", "itil"),
    ("ines.duarte", "Ines Duarte", "itil"),
    ("jonas.lind", "Jonas Lind", "sn_change_read"),
)
DEMO_GROUPS = {
    "Network": "maria.keller",
    "Database": "tom.okafor",
    "Web Platform": "ines.duarte",
    "CAB Approval": "maria.keller",
}
DEMO_CIS = {
    "edge-router-01": "cmdb_ci_netgear",
    "core-switch-02": "cmdb_ci_netgear",
    "orders-db": "cmdb_ci_database",
    "customers-db": "cmdb_ci_database",
    "checkout": "cmdb_ci_appl",
    "storefront": "cmdb_ci_appl",
    "payments": "cmdb_ci_service",
    "web-fra-07": "cmdb_ci_server",
}
DEMO_WORK: tuple[tuple[str, str, str, str], ...] = (
    ("Replace the power supply of", "edge-router-01", "Network", "Hardware"),
    ("Open port 8443 on", "core-switch-02", "Network", "Network"),
    ("Upgrade the firmware of", "core-switch-02", "Network", "Network"),
    ("Add an index to the orders table of", "orders-db", "Database", "Software"),
    ("Move the nightly backup window of", "customers-db", "Database", "Service"),
    ("Fail over and patch", "orders-db", "Database", "System Software"),
    ("Deploy the new basket of", "checkout", "Web Platform", "Application Software"),
    ("Renew the certificate of", "storefront", "Web Platform", "Software"),
    ("Raise the memory limit of", "payments", "Web Platform", "Service"),
    ("Retire the old kernel on", "web-fra-07", "Web Platform", "System Software"),
)
# State, type, risk: what is underway, what is done and what never was.
DEMO_STATES: tuple[tuple[int, str, int], ...] = (
    (-5, "normal", 4),
    (-4, "normal", 3),
    (-3, "normal", 2),
    (-2, "standard", 4),
    (-1, "emergency", 2),
    (0, "normal", 3),
    (3, "standard", 4),
    (3, "normal", 3),
    (4, "normal", 4),
)
DEMO_PRIORITIES = (4, 3, 4, 2, 4, 3, 4, 4, 1, 3)
DEMO_CHANGES = 36
MARK = "demo"


def seed_demo(*, admin_password: str) -> None:
    """Add the demo's users, groups, items and changes once, and set the administrator's password anew.

    A demo that runs again on the same instance cannot know the password it showed before.
    """
    set_password(get_user(ADMIN_USER_NAME), admin_password)
    if db.session.execute(select(Task.sys_id).where(Task.correlation_display == MARK).limit(1)).first():
        return
    users = {user_name: _demo_user(user_name, name, role) for user_name, name, role in DEMO_USERS}
    for name, manager in DEMO_GROUPS.items():
        group = SysUserGroup(name=name, manager=users[manager].sys_id)
        db.session.add(group)
        db.session.flush()
        db.session.add(SysUserGroupMember(user=users[manager].sys_id, group=group.sys_id))
    db.session.add_all(CmdbCi(name=name, sys_class_name=ci_class) for name, ci_class in DEMO_CIS.items())
    db.session.flush()
    _seed_demo_changes()


def _demo_user(user_name: str, name: str, role: str) -> SysUser:
    existing = db.session.execute(select(SysUser).where(SysUser.user_name == user_name)).scalar_one_or_none()
    if existing is not None:
        return existing
    email = f"{user_name}@example.com"
    return create_user(user_name=user_name, password=None, email=email, name=name, roles=[role])


def _seed_demo_changes() -> None:
    states, people = cycle(DEMO_STATES), cycle([user_name for user_name, _, _ in DEMO_USERS[1:4]])
    for index in range(DEMO_CHANGES):
        state, change_type, risk = next(states)
        user_name = next(people)
        caller = Caller(get_user(user_name).sys_id, user_name, frozenset({"admin"}))
        opened = now() - timedelta(hours=7 * (DEMO_CHANGES - index))
        record = create_record(
            get_table("change_request"),
            caller,
            _demo_change(index, user_name) | {"state": state, "type": change_type, "risk": risk},
        )
        stamps = {"sys_created_on": opened, "sys_updated_on": opened, "opened_at": opened}
        connection().execute(update(Task).where(Task.sys_id == record["sys_id"]).values(stamps))


def _demo_change(index: int, user_name: str) -> dict[str, Any]:
    work, ci, group, category = DEMO_WORK[index % len(DEMO_WORK)]
    start = now() + timedelta(days=index % 12, hours=index % 5)
    return {
        "short_description": f"{work} {ci}",
        "description": f"{work} {ci}, with a check before and after, and a way back.",
        "category": category,
        "cmdb_ci": ci,
        "assignment_group": group,
        "assigned_to": user_name,
        "start_date": f"{start:%Y-%m-%d %H:00:00}",
        "end_date": f"{start + timedelta(hours=2):%Y-%m-%d %H:00:00}",
        "priority": DEMO_PRIORITIES[index % len(DEMO_PRIORITIES)],
        "correlation_display": MARK,
    }
