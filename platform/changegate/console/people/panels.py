"""What the pages of users, groups, and roles show besides their form."""

from collections.abc import Mapping
from typing import Any

from changegate.console.people.assignments import list_panels
from changegate.console.records.extensions import Extension
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.mail.outbox import mail_is_configured
from changegate.services.tables.display.display_values import WireRecord
from changegate.services.tables.registry import get_table
from changegate.services.users.account_links import FORGOTTEN, INVITATION, RESET, latest_link
from changegate.services.users.held_roles import list_held_roles
from changegate.services.users.sessions import list_sessions


def _user_facts(who: Caller, record: WireRecord) -> Mapping[str, Any]:
    """Return the state of an account for administrators, its roles through groups, and its panels."""
    sys_id = record["sys_id"]["value"]
    may_administer = get_table("sys_user").access.admits("update", who.permissions)
    user = db.session.get_one(SysUser, sys_id)
    reads_access = sys_id == who.sys_id or who.permissions.has_role(INTEGRATION_ADMINISTRATORS)
    return {
        "user": user,
        "may_administer": may_administer,
        "reads_access": reads_access,
        "sends_mail": mail_is_configured() and bool(user.email),
        "sessions": list_sessions(sys_id) if may_administer else [],
        "link": latest_link(sys_id, INVITATION, RESET, FORGOTTEN) if may_administer else None,
        "indirect": [role for role in list_held_roles(sys_id).values() if not role.is_assigned] if reads_access else [],
        "panels": list_panels("sys_user", sys_id, who),
    }


def _with_panels(table: str) -> Extension:
    def facts(who: Caller, record: WireRecord) -> Mapping[str, Any]:
        return {"panels": list_panels(table, record["sys_id"]["value"], who)}

    return Extension("console/people/assigned.html", facts)


EXTENDED: Mapping[str, Extension] = {
    "sys_user": Extension("console/people/user.html", _user_facts),
    "sys_user_group": _with_panels("sys_user_group"),
    "sys_user_role": _with_panels("sys_user_role"),
}
