"""The account that tokens act as: warnings about an existing one, and the creation of a dedicated one."""

import itertools
import re
from collections.abc import Set

from sqlalchemy import select

from changegate.errors import AdministratorRequired, InputInvalid
from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import expand_roles
from changegate.services.integrations.saving import find_user
from changegate.services.tables.registry import get_table
from changegate.services.users.accounts import create_user
from changegate.services.users.roles import ADMIN, roles_of_user

# The least role that allows changes to be created.
CREATOR_ROLE = "sn_change_write"
MAX_USER_NAME_LENGTH = 40
NOT_ALLOWED = "Only an administrator can create accounts. Enter an existing one, or ask an administrator to create it."
MALFORMED = f"Use 1 to {MAX_USER_NAME_LENGTH} printable characters, and no colon."


def may_create_accounts(caller: Caller) -> bool:
    """Return whether a caller may create the account of an integration: accounts are managed by administrators."""
    return get_table("sys_user").access.admits("create", caller.permissions)


def propose_account(name: str) -> str:
    """Return an unused user name for the automation of a provider, such as github-actions.bot."""
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: MAX_USER_NAME_LENGTH - len(".bot-999")] or "automation"
    names = (f"{base}.bot" if number == 1 else f"{base}.bot-{number}" for number in itertools.count(1))
    return next(name for name in names if find_user(name) is None)


def find_account_fault(user_name: str, caller: Caller) -> str | None:
    """Return why the caller cannot create an account with this name, or None."""
    if not may_create_accounts(caller):
        return NOT_ALLOWED
    if not 0 < len(user_name) <= MAX_USER_NAME_LENGTH or not user_name.isprintable() or ":" in user_name:
        return MALFORMED
    return f"There is a user {user_name} already." if find_user(user_name) else None


def create_account(user_name: str, caller: Caller) -> SysUser:
    """Create an account that can only be acted as: without a password, and with the role that creates changes.

    Raises `AdministratorRequired` and `InputInvalid`.
    """
    if not may_create_accounts(caller):
        raise AdministratorRequired("new_account", NOT_ALLOWED)
    if (fault := find_account_fault(user_name, caller)) is not None:
        raise InputInvalid({"new_account": [fault]})
    user = create_user(user_name=user_name, password=None, email=None, name=None, roles=[CREATOR_ROLE])
    user.web_service_access_only = True
    user.sys_created_by = user.sys_updated_by = caller.user_name
    db.session.flush()
    return user


def may_create_changes(roles: Set[str]) -> bool:
    """Return whether one of these roles, which include contained ones, allows changes to be created."""
    return ADMIN in roles or not get_table("change_request").access.create.isdisjoint(roles)


def list_account_warnings(user_name: str) -> list[str]:
    """Return warnings about an existing account as the user of an integration's tokens."""
    user = find_user(user_name)
    if user is None:
        return []
    roles = expand_roles(db.session.execute(select(roles_of_user()).where(SysUser.sys_id == user.sys_id)).scalar_one())
    if ADMIN in roles:
        return [f"{user_name} is an administrator. Use an account that can only create changes."]
    if not may_create_changes(roles):
        return [f"{user_name} may not create changes. Give the account the role {CREATOR_ROLE}, or choose another one."]
    return []
