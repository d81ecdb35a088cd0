"""User IDs, by which records name their authors: also those that users had before they were renamed.

The audit trail has the former ones. Nobody gets the former user ID of another user, so each of them means one user.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, String, func, select, union_all

from changegate.database.prepared import Prepared, parameter
from changegate.errors import InputInvalid
from changegate.models import SysAudit, SysUser
from changegate.models.sys_audit import IS_USER_NAME

_NAMED = SysUser.__table__.alias("named")


def is_named(column: ColumnElement[Any], name: ColumnElement[Any], *outer: FromClause) -> ColumnElement[bool]:
    """Return the clause for a column with sys_ids of users who have or had a user ID, in any case.

    `outer` are the tables of the enclosing statement that `name` is a column of.
    """
    present = select(_NAMED.c["sys_id"]).where(func.lower(_NAMED.c["user_name"]) == func.lower(name))
    # Not OR, for which neither database would use both indexes.
    return column.in_(union_all(*(each.correlate(*outer) if outer else each for each in (present, _former(name)))))


def users_named(name: str) -> set[str]:
    """Return the sys_ids of the users who have or had a user ID, in any case."""
    return {row.sys_id for row in _USERS.all({"name": name})}


def require_unclaimed(name: str, user: str = "") -> None:
    """Refuse a user ID that a user other than the one with a sys_id has given up. Raises `InputInvalid`."""
    if is_given_up(name, user):
        problem = "Another user had this user ID, which their records still show. Enter another one."
        raise InputInvalid({"user_name": [problem]})


def is_given_up(name: str, user: str = "") -> bool:
    """Return whether a user ID, in any case, was that of a user other than the one with a sys_id."""
    return any(row.documentkey != user for row in _FORMER.all({"name": name}))


def _former(name: ColumnElement[Any]) -> Select[Any]:
    return select(SysAudit.documentkey).where(IS_USER_NAME, func.lower(SysAudit.oldvalue) == func.lower(name))


_NAME = parameter("name", String)
_USERS = Prepared(select(SysUser.sys_id).where(is_named(SysUser.__table__.c["sys_id"], _NAME)))
_FORMER = Prepared(_former(_NAME))
