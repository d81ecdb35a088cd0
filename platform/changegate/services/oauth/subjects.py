"""Subjects: whom a verified assertion acts as (oauth_jwt.md §4.1 step 13)."""

from sqlalchemy import select

from changegate.errors import AssertionRefused
from changegate.extensions import connection
from changegate.models import SysUser
from changegate.services.oauth.assertion import VerifiedAssertion
from changegate.services.oauth.claim_checks import is_text
from changegate.services.oauth.clients import Client

SUBJECT = "sub"


def resolve_subject(client: Client, assertion: VerifiedAssertion) -> str:
    """Return the sys_id of the one user the token will act as; raises `AssertionRefused`.

    The claim that names the user is compared exactly: no trimming, no folding, and an empty column matches nothing.
    """
    if client.run_as is not None:
        reason = None if client.is_run_as_active else "user_inactive"
        return _judged(assertion, reason, "the run-as account is active", assertion.subject, client.run_as)
    name = client.user_claim
    named = assertion.subject if name == SUBJECT else assertion.claims.get(name)
    expected = f"one active user whose {client.user_field} is the {'subject' if name == SUBJECT else f'claim {name}'}"
    if not is_text(named):
        return _judged(assertion, "user_claim_missing", expected, named, "")
    column = SysUser.__table__.columns[client.user_field or "sys_id"]
    statement = select(SysUser.sys_id, SysUser.active, SysUser.locked_out).where(column == named)
    users = connection().execute(statement.limit(2)).all()
    if len(users) != 1:
        return _judged(assertion, "sub_ambiguous" if users else "sub_unmapped", expected, named, "")
    [user] = users
    reason = "user_inactive" if not user.active else "user_locked" if user.locked_out else None
    return _judged(assertion, reason, expected, named, user.sys_id)


def _judged(assertion: VerifiedAssertion, reason: str | None, expected: str, named: object, user: str) -> str:
    assertion.report.add(("user", reason, expected, named))
    if reason:
        raise AssertionRefused(reason, report=assertion.report)
    return user
