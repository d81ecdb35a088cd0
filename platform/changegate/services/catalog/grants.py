"""What roles permit, derived from the access of the tables: for the page of roles, and for what one person may do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from changegate.services.access.permissions import CONTAINED_ROLES
from changegate.services.tables.registry import NOBODY, TABLES, Table
from changegate.services.users.roles import ADMIN

READ, CREATE, UPDATE, DELETE = "read", "create", "update", "delete"
OPERATIONS: Mapping[str, str] = {READ: "Read", CREATE: "Create", UPDATE: "Edit", DELETE: "Delete"}
# What the rules of the process and the pages permit beyond tables.
FURTHER: Mapping[str, tuple[str, ...]] = {
    "admin": (
        "Holds every other role, except where a hard freeze names the role that may override it.",
        "Answers approvals for other people, unless this person asked for the change.",
        "Saves integrations whose tokens may act as an administrator.",
        "Reads the private fields of users, such as email and phone.",
    ),
    "change_manager": (
        "Decides about proposals of standard change templates.",
        "Excludes a change from the detection of conflicts, and removes a service that a freeze names.",
    ),
    "oauth_admin": ("Manages integrations, auth scopes, and tokens, in the console and over the admin API.",),
    "mi_admin": ("Sees machine identities and security findings.",),
    "approver_user": ("Grants nothing alone. An approval rule can require it of those who approve.",),
}


@dataclass(frozen=True, slots=True)
class Permit:
    """Whether an operation on a table is permitted: to users with one of `roles`, or to every user if it is empty.

    `is_limited` means own records only. For what is refused, `roles` are those that would permit it; without any,
    only Changegate itself writes the table.
    """

    is_allowed: bool
    roles: tuple[str, ...] = ()
    is_limited: bool = False


def permit_of(table: Table, operation: str, held: Collection[str]) -> Permit:
    """Return whether a user may perform an operation on a table, and why; `held` includes contained roles."""
    roles = getattr(table.access, operation)
    if roles is NOBODY:
        return Permit(is_allowed=False)
    by = _sorted_among(roles, held)
    if roles and not by:
        return Permit(is_allowed=False, roles=tuple(sorted(roles | {ADMIN})))
    if operation == READ and table.own_rows is not None and table.reads_all:
        all_by = _sorted_among(table.reads_all, held)
        return Permit(is_allowed=True, roles=all_by or by, is_limited=not all_by)
    return Permit(is_allowed=True, roles=by, is_limited=bool(table.write_limit) and not roles and operation != READ)


def _sorted_among(roles: Collection[str], held: Collection[str]) -> tuple[str, ...]:
    """Return the held roles that permit something, without those that another one of them contains."""
    permitting = set(held) & {*roles, ADMIN} if roles else set[str]()
    contained = {name for role in permitting for name in CONTAINED_ROLES.get(role, ())}
    return tuple(sorted(permitting - contained))


def abilities_of(role: str) -> list[tuple[str, list[Table]]]:
    """Return what a role permits beyond what every user may do: operations in words, and the tables.

    What a contained role permits is left out.
    """
    contained = CONTAINED_ROLES.get(role, set())
    by_operations: dict[str, list[Table]] = {}
    for table in TABLES.values():
        operations = [name for name in OPERATIONS if _adds(table, name, role, contained)]
        if operations:
            by_operations.setdefault(_in_words(operations), []).append(table)
    return sorted(by_operations.items())


def _adds(table: Table, operation: str, role: str, contained: Collection[str]) -> bool:
    roles = table.reads_all if _is_partly_open(table, operation) else getattr(table.access, operation)
    if roles is NOBODY or not roles:
        return False
    if role == ADMIN:
        return not roles - {ADMIN}
    return role in roles and not roles & set(contained)


def _is_partly_open(table: Table, operation: str) -> bool:
    return operation == READ and not table.access.read and table.own_rows is not None


def _in_words(operations: Collection[str]) -> str:
    words = [OPERATIONS[name].lower() for name in operations]
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return text[:1].upper() + text[1:]
