"""The mapping of a verified assertion's subject to a user (RFC 7523 §3 step 13)."""

from sqlalchemy import select

from changegate.database import connection
from changegate.models import SysUser
from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import VerifiedAssertion
from changegate.services.assertions.claim_checks import is_text
from changegate.services.assertions.report import RuleCheck
from changegate.services.oauth.clients import Client

SUBJECT = "sub"
EMAIL, EMAIL_VERIFIED = "email", "email_verified"


def resolve_subject(client: Client, assertion: VerifiedAssertion) -> str:
    """Return the sys_id of the single user that the token will act as; raises `AssertionRefused`.

    The claim that names the user is compared exactly, without trimming or case folding. Empty columns match nothing.
    """
    if client.run_as is not None:
        reason, received = check_run_as(client)
        return _require_user(assertion, reason, "the run-as account is active", received, client.run_as)
    name, named = client.user_claim, find_named_user(client, assertion)
    expected = f"one active user whose {client.user_field} is the {'subject' if name == SUBJECT else f'claim {name}'}"
    if not is_text(named):
        return _require_user(assertion, "user_claim_missing", expected, named, "")
    if name == EMAIL and not _is_email_verified(assertion, is_required=client.requires_email_verified):
        return _require_user(assertion, "email_unverified", expected, named, "")
    column = SysUser.__table__.columns[client.user_field or "sys_id"]
    columns = (SysUser.sys_id, SysUser.user_name, SysUser.active, SysUser.locked_out)
    statement = select(*columns).where(column == named)
    # The user fields are not all unique. A second match makes the subject ambiguous, however many more there are.
    users = connection().execute(statement.limit(2)).all()
    if len(users) != 1:
        return _require_user(assertion, "sub_ambiguous" if users else "sub_unmapped", expected, named, "")
    [user] = users
    reason, state = _check_state(user.active, user.locked_out)
    return _require_user(assertion, reason, expected, user.user_name + state, user.sys_id)


def check_run_as(client: Client) -> tuple[str | None, str]:
    """Return the reason code if the run-as account of an integration may not act, or None, and its state in words."""
    return (None, "active") if client.is_run_as_active else ("user_inactive", "inactive or locked out")


def _check_state(active: bool, locked_out: bool) -> tuple[str | None, str]:
    if not active:
        return "user_inactive", ", inactive"
    return ("user_locked", ", locked out") if locked_out else (None, "")


def find_named_user(client: Client, assertion: VerifiedAssertion) -> object:
    """Return the value of the claim that names the user; None if it is missing, or if one account acts for all."""
    if client.run_as is not None:
        return None
    return assertion.subject if client.user_claim == SUBJECT else assertion.claims.get(client.user_claim)


def _is_email_verified(assertion: VerifiedAssertion, *, is_required: bool) -> bool:
    """Return whether the provider has verified the email (OpenID Connect Core 1.0 §5.1).

    Anyone can enter an unverified email, even an administrator's. Unless `is_required`, a token without
    `email_verified` is accepted.
    """
    verified = assertion.claims.get(EMAIL_VERIFIED, not is_required)
    return verified is True or verified == "true"  # Some providers send a string.


def _require_user(assertion: VerifiedAssertion, reason: str | None, expected: str, named: object, user: str) -> str:
    assertion.report.add(RuleCheck("user", reason, expected, named))
    if reason:
        raise AssertionRefused(reason, report=assertion.report)
    return user
