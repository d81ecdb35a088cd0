"""Subjects: whom a verified assertion acts as (oauth_jwt.md §4.1 step 13)."""

from sqlalchemy import select

from changegate.errors import AssertionRefused
from changegate.extensions import connection
from changegate.models import SysUser
from changegate.services.oauth.assertion import VerifiedAssertion
from changegate.services.oauth.clients import Client


def resolve_subject(client: Client, assertion: VerifiedAssertion) -> str:
    """Return the sys_id of the one user the token will act as; raises `AssertionRefused`.

    The subject is compared exactly: no trimming, no folding, and an empty column matches nothing.
    """
    if client.run_as is not None:
        reason = None if client.is_run_as_active else "user_inactive"
        return _judged(assertion, reason, "the run-as account is active", client.run_as)
    column = SysUser.__table__.columns[client.user_field or "sys_id"]
    statement = select(SysUser.sys_id, SysUser.active, SysUser.locked_out).where(column == assertion.subject)
    users = connection().execute(statement.limit(2)).all()
    expected = f"one active user whose {client.user_field} is the subject"
    if len(users) != 1:
        return _judged(assertion, "sub_ambiguous" if users else "sub_unmapped", expected, assertion.subject)
    [user] = users
    reason = "user_inactive" if not user.active else "user_locked" if user.locked_out else None
    return _judged(assertion, reason, expected, user.sys_id)


def _judged(assertion: VerifiedAssertion, reason: str | None, expected: str, user: str) -> str:
    assertion.report.add(("user", reason, expected, assertion.subject))
    if reason:
        raise AssertionRefused(reason, report=assertion.report)
    return user
