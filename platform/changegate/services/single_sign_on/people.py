"""The user of a verified ID token: found by issuer and subject, never by name or email, or created."""

from dataclasses import dataclass

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import ChangegateError
from changegate.extensions import db
from changegate.models import SysUser, SysUserIdentity
from changegate.printable import plain_name
from changegate.services.access.caller import SYSTEM_CALLER, as_process
from changegate.services.assertions.assertion import VerifiedAssertion
from changegate.services.assertions.claim_conditions import claim_at
from changegate.services.single_sign_on.failures import SignOnFailed
from changegate.services.single_sign_on.grants import apply_mappings
from changegate.services.single_sign_on.providers import Provider
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from changegate.services.users.accounts import is_of_other_user
from changegate.services.users.user_names import is_given_up

_IDENTITY = SysUserIdentity.__table__
# SQLite has no row locks; the option makes it take its write lock before it reads (database/engine.py).
LOCKS_ROWS = {"locks_rows": True}
LONGEST_USER_NAME, LONGEST_NAME, LONGEST_EMAIL = 40, 151, 100


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An identity of a user."""

    issuer: str
    subject: str


def find_or_create_user(provider: Provider, verified: VerifiedAssertion) -> SysUser:
    """Return the user of an ID token with their groups and roles up to date. Raises `SignOnFailed`.

    The transaction holds the user: what ends their sessions waits for the one that begins, and ends it, too.
    """
    linked = _users_of(verified)
    if len(linked) > 1:
        raise SignOnFailed("sign_on_ambiguous", f"subject {verified.subject}")
    if not linked and not provider.create_users:
        raise SignOnFailed("sign_on_unlinked", f"subject {verified.subject}")
    sys_id = linked[0] if linked else _create(provider, verified)
    user = db.session.get(SysUser, sys_id, with_for_update={"key_share": True}, execution_options=LOCKS_ROWS)
    if user is None:  # deleted meanwhile
        raise SignOnFailed("sign_on_unlinked", f"subject {verified.subject}")
    if reason := _fault_of(user):
        raise SignOnFailed(reason, user_name=user.user_name)
    try:
        apply_mappings(provider.sys_id, sys_id, verified.claims)
    except ChangegateError as refusal:
        raise SignOnFailed("rule_refused", refusal.detail or refusal.message, user.user_name) from None
    return user


def link_identity(user: str, verified: VerifiedAssertion) -> None:
    """Link the account at a provider to a user. Raises `SignOnFailed` if it is linked to another one."""
    linked = _users_of(verified)
    if set(linked) - {user}:
        raise SignOnFailed("sign_on_linked_elsewhere", f"subject {verified.subject}")
    if not linked:
        _link(user, verified)


def list_identities(user: str) -> list[LinkedIdentity]:
    """Return the identities of a user, by issuer."""
    return [LinkedIdentity(row.issuer, row.subject) for row in _OF_USER.all({"user": user})]


def _users_of(verified: VerifiedAssertion) -> list[str]:
    rows = _USERS.all({"issuer": verified.issuer, "subject": verified.subject})
    return [row.user for row in rows]


def _create(provider: Provider, verified: VerifiedAssertion) -> str:
    user_name = plain_name(_text(verified, provider.user_name_claim, LONGEST_USER_NAME))[:LONGEST_USER_NAME]
    if not user_name or ":" in user_name:
        claim = provider.user_name_claim
        raise SignOnFailed("sign_on_name_missing", f"the claim {claim} of subject {verified.subject}")
    if is_of_other_user(user_name) or is_given_up(user_name):
        raise SignOnFailed("sign_on_name_taken", f"user ID {user_name}, subject {verified.subject}")
    email = _text(verified, provider.email_claim, LONGEST_EMAIL)
    is_verified = provider.email_claim == "email" and verified.claims.get("email_verified") is True
    name = _text(verified, provider.name_claim, LONGEST_NAME - len(user_name) - len(" ()")) or user_name
    name = plain_name(name)[: LONGEST_NAME - len(user_name) - len(" ()")]
    if is_of_other_user(name):
        # References and approvals show names, which people can choose at many providers.
        name = f"{name} ({user_name})"
    fields = {
        "user_name": user_name,
        "name": name,
        "email": email,
        "email_verified": str(bool(email) and is_verified).lower(),
    }
    record = create_record(get_table("sys_user"), as_process(SYSTEM_CALLER), fields)
    _link(record["sys_id"], verified)
    return str(record["sys_id"])


def _link(user: str, verified: VerifiedAssertion) -> None:
    fields = {"user": user, "issuer": verified.issuer, "subject": verified.subject}
    create_record(get_table("sys_user_identity"), as_process(SYSTEM_CALLER), fields)
    db.session.flush()


def _text(verified: VerifiedAssertion, claim: str, longest: int) -> str:
    value = claim_at(verified.claims, claim)
    text = value.strip() if isinstance(value, str) else ""
    return text if len(text) <= longest and text.isprintable() else ""


def _fault_of(user: SysUser) -> str | None:
    if not user.active:
        return "user_inactive"
    if user.locked_out:
        return "user_locked"
    return "user_web_service_only" if user.web_service_access_only else None


_USERS = Prepared(
    select(_IDENTITY.c["user"])
    .distinct()
    .where(_IDENTITY.c["issuer"] == parameter("issuer"), _IDENTITY.c["subject"] == parameter("subject"))
)
_OF_USER = Prepared(
    select(_IDENTITY.c["issuer"], _IDENTITY.c["subject"])
    .where(_IDENTITY.c["user"] == parameter("user"))
    .order_by(_IDENTITY.c["issuer"], _IDENTITY.c["subject"])
)
