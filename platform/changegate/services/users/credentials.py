"""Passwords and emails by links: forgotten passwords, and what the links do."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select

from changegate.errors import InputInvalid, LinkEnded
from changegate.extensions import db, limiter, now
from changegate.models import SysUser, SysUserIdentity
from changegate.models.sys_user import FORMER_EMAIL
from changegate.services.access.caller import SYSTEM_CALLER, as_process
from changegate.services.jobs.handlers import handles
from changegate.services.jobs.queue import enqueue
from changegate.services.tables.registry import get_table
from changegate.services.tables.values import is_storable
from changegate.services.tables.writing.records import create_record, update_record
from changegate.services.users.account_links import (
    EMAIL,
    FORGOTTEN,
    latest_link,
    mail_link,
    read_link,
    take_link,
)
from changegate.services.users.accounts import caller_of, confirm_password, require_good_password
from changegate.setting_parsers import MAIL_ADDRESS

SEND = "users.send_forgotten"
# Callers who ask again and again cannot fill a mailbox, nor end the link that the user has just received. Users cannot
# fill the mailboxes of other people either.
PAUSE = timedelta(minutes=5)
MOST_ACCOUNTS = 5
LONGEST_EMAIL = SysUser.__table__.c["email"].info["entry"].max_length
_LIMIT = "forgotten password"


def request_password(name: str, address: str) -> None:
    """Have a link sent to the users with a user ID or a verified email, if there are any.

    Whether there are takes no longer and shows nowhere: in both cases, a job is added, which sends the mail. Raises
    `RateLimited` after too many requests from an address.
    """
    limiter.require_room_to_fail(address, _LIMIT)
    limiter.count(address, _LIMIT)
    folded = func.lower(name if is_storable(name) else "")
    is_meant = or_(
        func.lower(SysUser.user_name) == folded, SysUser.email_verified & (func.lower(SysUser.email) == folded)
    )
    users = db.session.execute(select(SysUser.sys_id).where(is_meant).limit(MOST_ACCOUNTS)).scalars().all()
    enqueue(SEND, {"users": list(users)})


@handles(SEND)
def send_forgotten(payload: Mapping[str, Any]) -> None:
    """Send each user a link, at most one in `PAUSE`, to their email if it is verified and they may sign in.

    Users who sign in with an identity provider only get none.
    """
    for user_id in payload["users"]:
        user = db.session.get(SysUser, user_id)
        if user is None or not user.is_active or user.web_service_access_only:
            continue
        # The rules of their identity provider, such as a second factor, would not apply to a password here.
        if not user.user_password and _has_identity(user_id):
            continue
        latest = latest_link(user_id, FORGOTTEN)
        if user.email and user.email_verified and (latest is None or latest.created_at <= now() - PAUSE):
            mail_link(user, FORGOTTEN, user.email)


def _has_identity(user_id: str) -> bool:
    at_provider = select(SysUserIdentity.sys_id).where(
        SysUserIdentity.user == user_id, SysUserIdentity.issuer != FORMER_EMAIL
    )
    return db.session.execute(at_provider.limit(1)).first() is not None


def request_email(user: SysUser, email: str, password: str, address: str) -> None:
    """Have a link sent to the email that a user wants to have; until it is used, the old one stays.

    Raises `InputInvalid` and `RateLimited`.
    """
    confirm_password(user, password, address, "email_password")
    _require_unshared(user)
    if len(email) > LONGEST_EMAIL or not MAIL_ADDRESS.fullmatch(email):
        raise InputInvalid({"email": ["Enter an email address, such as maria@example.com."]})
    latest = latest_link(user.sys_id, EMAIL)
    if latest is not None and latest.created_at > now() - PAUSE:
        raise InputInvalid({"email": ["A link was sent less than five minutes ago. Wait, then try again."]})
    mail_link(user, EMAIL, email)


def _require_unshared(user: SysUser) -> None:
    """Refuse to change an email that shows that several accounts belong to one person, who must not approve twice."""
    others = select(SysUser.sys_id).where(func.lower(SysUser.email) == func.lower(user.email))
    if user.email and db.session.execute(others.where(SysUser.sys_id != user.sys_id).limit(1)).first():
        raise InputInvalid({"email": ["Another account has the same email. An administrator can change it."]})


def set_password_by_link(token: str, password: str, repeated: str, address: str) -> SysUser:
    """Set the password of the user of a link, which ends, and return the user. The email of the link is verified.

    Raises `InputInvalid`, `LinkEnded`, and `RateLimited`.
    """
    user, link = read_link(token, address)
    if link.purpose == EMAIL:
        raise LinkEnded
    if password != repeated:
        raise InputInvalid({"repeated_password": ["The passwords differ."]})
    require_good_password(password)
    take_link(link)
    # The user has read what was sent to this address, which may not be theirs any more.
    is_verified = link.email is not None and link.email == user.email
    _write(user, user_password=password, **({"email_verified": "true"} if is_verified else {}))
    return user


def change_password(user: SysUser, current: str, password: str, address: str) -> None:
    """Set the password of a user who proves to know the current one. Raises `InputInvalid` and `RateLimited`."""
    confirm_password(user, current, address)
    require_good_password(password)
    _write(user, user_password=password)


def confirm_email(token: str, user_id: str, address: str) -> str:
    """Give the user of a link the email that it was sent to, as a verified one, and return it.

    `user_id` is the signed-in user: an email must not be given to the account of another user who had the link sent.
    Raises `InputInvalid`, `LinkEnded`, and `RateLimited`.
    """
    user, link = read_link(token, address)
    if link.purpose != EMAIL or user.sys_id != user_id or not link.email:
        raise LinkEnded
    _require_unshared(user)
    take_link(link)
    if user.email and user.email != link.email:
        _keep_former_email(user, user.email)
    _write(user, email=link.email, email_verified="true")
    return link.email


def _keep_former_email(user: SysUser, email: str) -> None:
    """Keep the email that a user replaces as an identity, which only administrators remove.

    Otherwise, users could approve what their pipelines have opened in the name of the email, or what they have
    requested with another account that has it.
    """
    fields = {"user": user.sys_id, "issuer": FORMER_EMAIL, "subject": email}
    if not db.session.execute(select(SysUserIdentity.sys_id).filter_by(**fields)).first():
        create_record(get_table("sys_user_identity"), as_process(SYSTEM_CALLER), fields)


def _write(user: SysUser, **fields: str) -> None:
    """Write fields of a user in their own name, with the rules and the audit trail of the table."""
    update_record(get_table("sys_user"), as_process(caller_of(user)), user.sys_id, fields)
