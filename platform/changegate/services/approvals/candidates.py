"""Candidates: the users whom a rule names, by list, by group, or by a field of the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import String, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid
from changegate.models import SysUser, SysUserGroup, SysUserGroupMember, SysUserRole
from changegate.services.tables.registry import find_table, get_table

USERS, GROUP, FIELD, CLAIMS = "users", "group", "field", "claims"
_CHANGES, _USERS, _GROUPS = "change_request", "sys_user", "sys_user_group"
_MEMBERS = Prepared(
    select(SysUser.sys_id)
    .join(SysUserGroupMember, SysUserGroupMember.user == SysUser.sys_id)
    .join(SysUserGroup, SysUserGroup.sys_id == SysUserGroupMember.group)
    .where(SysUserGroup.sys_id == parameter("group", String), SysUserGroup.active)
    .order_by(SysUser.user_name)
)
_GROUP = Prepared(
    select(SysUserGroup.name, SysUserGroup.active).where(SysUserGroup.sys_id == parameter("group", String))
)
_ROLE = Prepared(select(SysUserRole.name).where(SysUserRole.sys_id == parameter("role", String)))


@dataclass(frozen=True, slots=True)
class Candidates:
    """The users of a rule, the group that they are members of, and `origin`: where the rule looked, in words."""

    users: tuple[str, ...]
    group: str | None
    origin: str


def find_candidates(rule: Mapping[str, Any], change: Mapping[str, Any]) -> Candidates:
    """Return the users whom a rule names for a change; there may be none."""
    source = rule["approver_source"]
    if source == USERS:
        listed = tuple(dict.fromkeys(item for item in (rule["users"] or "").split(",") if item))
        return Candidates(listed, None, "its list of users")
    if source == GROUP:
        return _members_of(rule["group"])
    path = rule["approver_field"]
    value = value_at(path, change)
    if value is None:
        return Candidates((), None, f"the empty field {path}")
    if target_of(path) == _GROUPS:
        return _members_of(value)
    return Candidates((value,), None, f"the field {path}")


def find_role(rule: Mapping[str, Any]) -> str | None:
    """Return the name of the role that approvers need under a rule, or None."""
    row = _ROLE.first({"role": rule["required_role"]}) if rule["required_role"] else None
    return None if row is None else row.name


def _members_of(group: str) -> Candidates:
    row = _GROUP.first({"group": group})
    if row is None:
        return Candidates((), None, "a group that no longer exists")
    users = tuple(member.sys_id for member in _MEMBERS.all({"group": group}))
    return Candidates(users, group, f"the group {row.name}" + ("" if row.active else ", which is inactive,"))


def value_at(path: str, change: Mapping[str, Any]) -> str | None:
    """Return the sys_id in a reference field of a change, or in one of the record that the field refers to."""
    first, _, second = path.partition(".")
    value: str | None = change.get(first)
    if not second or value is None:
        return value
    row = _field_statement(table_of_field(first), second).first({"sys_id": value})
    return None if row is None else row[0]


def table_of_field(name: str) -> str:
    """Return the table to which a reference field of a change refers."""
    return str(get_table(_CHANGES).entries[name].reference)


@lru_cache(maxsize=64)
def _field_statement(table: str, field: str) -> Prepared:
    columns = get_table(table).source.c
    return Prepared(select(columns[field]).where(columns["sys_id"] == parameter("sys_id", String)))


def target_of(path: str) -> str:
    """Return the table to which an approver field refers: users or groups. Raises `InputInvalid`."""
    table, entry = find_table(_CHANGES), None
    for name in path.split(".", 1):
        entry = table.entries.get(name) if table else None
        table = find_table(entry.reference) if entry and entry.kind == "reference" and entry.reference else None
    if table is None or table.name not in {_USERS, _GROUPS}:
        sentence = f"{path[:80]!r} does not refer to a user or a group. Use a field such as assignment_group.manager."
        raise InputInvalid({"approver_field": [sentence]})
    return table.name
