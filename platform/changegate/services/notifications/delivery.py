"""The job that tells people: it reads what they have chosen and what they may read, and writes to inbox and outbox."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from changegate.database import connection
from changegate.extensions import db, now, settings
from changegate.models import Notification, SysapprovalApprover, SysUser, SysUserGroupMember, Task
from changegate.models.base import new_ordered_sys_id
from changegate.services.access.caller import SYSTEM_CALLER
from changegate.services.approvals.delegation import list_delegates
from changegate.services.approvals.requests import APPROVERS_MISSING as MISSING_JOB
from changegate.services.approvals.rollup import REQUESTED
from changegate.services.approvals.rounds import Round
from changegate.services.jobs.handlers import handles
from changegate.services.mail.outbox import queue_mail
from changegate.services.notifications.kinds import (
    APPROVAL_VOIDED,
    APPROVERS_MISSING,
    CONSOLE,
    KINDS,
    MAIL,
    SENTENCES,
)
from changegate.services.notifications.settings import channels_by_user
from changegate.services.notifications.subjects import is_internal_for, title_of
from changegate.services.notifications.telling import DELIVER, GROUP, ROLE, USER, USER_OR_DELEGATE, tell
from changegate.services.users.accounts import caller_of
from changegate.services.users.roles import has_role

_APPROVALS = SysapprovalApprover.__table__.c
_NOTIFICATIONS = Notification.__table__
SETTINGS_PATH = "/preferences/notifications"


@dataclass(frozen=True, slots=True)
class Addressee:
    """A user who is told of an event, the kind that each channel is chosen for, and the title of the record."""

    user: SysUser
    channels: Mapping[str, str]
    title: str


@handles(DELIVER)
def deliver(payload: Mapping[str, Any]) -> None:
    """Tell the people of an event who may read its record, on the channels that they have chosen."""
    event = _current(payload)
    if event is None:
        return
    author = connection().execute(select(SysUser.name).where(SysUser.sys_id == event["author"])).scalar()
    # First everything is read: a write holds SQLite's only write lock, and a group has many members.
    for addressee in [*_list_addressees(event)]:
        if CONSOLE in addressee.channels:
            _store(addressee, event, author)
        if MAIL in addressee.channels and addressee.user.email:
            _queue(addressee, event, author)


@handles(MISSING_JOB)
def ask_change_managers(payload: Mapping[str, Any]) -> None:
    """Tell the change managers that a change waits because nobody can approve it."""
    told = [(APPROVERS_MISSING, ROLE, "change_manager")]
    tell("approvers_missing", "change_request", payload["change"], told, SYSTEM_CALLER, detail=payload["reason"])


def _current(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return an event as it is to be told now, or None if it is over."""
    if event["event"] not in {"approval_requested", "approval_voided", "approval_waits"}:
        return event
    columns = ("sysapproval", "approver", "state", "round", "stage")
    stored = select(*(_APPROVALS[name] for name in columns)).where(_APPROVALS["sys_id"] == event["record"])
    row = connection().execute(stored).one_or_none()
    if row is None:
        return None
    of_person = (_APPROVALS["sysapproval"] == row.sysapproval, _APPROVALS["approver"] == row.approver)
    if event["event"] == "approval_voided":
        # The new request tells it to approvers who are asked again.
        again = select(_APPROVALS["sys_id"]).where(*of_person, _APPROVALS["state"] == REQUESTED)
        return event if connection().execute(again).first() is None else None
    if row.state != REQUESTED:
        return None
    of_stage = (_APPROVALS["round"] == row.round, _APPROVALS["stage"] == row.stage)
    is_void = (_APPROVALS["answered_at"].is_not(None), _APPROVALS["voided_at"].is_not(None))
    voided = select(_APPROVALS["void_reason"]).where(*of_person, *of_stage, *is_void)
    latest = connection().execute(voided.order_by(_APPROVALS["voided_at"].desc()).limit(1)).first()
    if latest is None or event["event"] == "approval_waits":
        return event
    told = [*event["told"], *([APPROVAL_VOIDED, how, who] for _, how, who in event["told"])]
    return {**event, "event": "approval_requested_again", "detail": latest.void_reason, "told": told}


def _find_people(event: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the users whom an event names, without its author, each with the kinds of notification."""
    people: dict[str, set[str]] = defaultdict(set)
    for kind, how, who in event["told"]:
        for user in _users(how, who, event["record"]):
            people[user].add(kind)
    people.pop(event["author"], None)
    return people


def _users(how: str, who: str, record: str) -> Iterator[str]:
    if how in {USER, USER_OR_DELEGATE}:
        yield who
    if how == USER_OR_DELEGATE:
        yield from _delegates(who, record)
    elif how == GROUP:
        members = select(SysUserGroupMember.user).where(SysUserGroupMember.group == who)
        yield from connection().execute(members).scalars()
    elif how == ROLE:
        yield from connection().execute(select(SysUser.sys_id).where(has_role(who))).scalars()


def _delegates(approver: str, approval: str) -> Iterable[str]:
    """Return the users who may answer an approval of a change for its approver now."""
    of_approval = _APPROVALS["sys_id"] == approval
    change = (
        select(Task.__table__).join(SysapprovalApprover, _APPROVALS["sysapproval"] == Task.sys_id).where(of_approval)
    )
    row = connection().execute(change).mappings().one_or_none()
    return list_delegates({"approver": approver, "sys_id": approval}, Round(dict(row))) if row else ()


def _list_addressees(event: Mapping[str, Any]) -> Iterator[Addressee]:
    """Yield the users who can sign in, have chosen a channel, and may read the record."""
    people = _find_people(event)
    chosen = channels_by_user(people.keys())
    # Accounts that use only web services do not sign in to the console.
    is_person = (SysUser.active, ~SysUser.locked_out, ~SysUser.web_service_access_only)
    users = select(SysUser).where(SysUser.sys_id.in_(people), *is_person).order_by(SysUser.sys_id)
    for user in db.session.execute(users).scalars():
        of_user = chosen[user.sys_id]
        kinds = sorted(people[user.sys_id])
        channels = {channel: kind for kind in kinds for channel in of_user.get(kind, KINDS[kind].channels)}
        reader = caller_of(user)
        title = title_of(reader, event["table"], event["record"]) if channels else None
        if title is not None and not is_internal_for(reader, event):
            yield Addressee(user, channels, title)


def _store(addressee: Addressee, event: Mapping[str, Any], author: str | None) -> None:
    user = addressee.user
    of_key = (_NOTIFICATIONS.c.notification_key == event["key"], _NOTIFICATIONS.c["user"] == user.sys_id)
    if event["key"] and connection().execute(select(_NOTIFICATIONS.c.sys_id).where(*of_key)).first():
        return
    values = {
        "sys_id": new_ordered_sys_id(),
        "user": user.sys_id,
        "event": event["event"],
        "table_name": event["table"],
        "record": event["record"],
        "author": author,
        "detail": event["detail"],
        "created_at": now(),
        "notification_key": event["key"],
    }
    connection().execute(insert(_NOTIFICATIONS).values(values))


def _queue(addressee: Addressee, event: Mapping[str, Any], author: str | None) -> None:
    user, title, reason = addressee.user, addressee.title, KINDS[addressee.channels[MAIL]].reason
    base, table, sys_id = settings().base_url, event["table"], event["record"]
    sentence = SENTENCES[event["event"]]
    parts = [f"{sentence}: {title}", event["detail"], event["text"], author and f"By {author}"]
    parts.append(f"{base}/{table}.do?sys_id={sys_id}")
    parts.append(f"-- \nYou get this mail because {reason}. Choose what you get: {base}{SETTINGS_PATH}")
    queue_mail(
        address=user.email or "",
        subject=f"{sentence}: {title}",
        text="\n\n".join(part for part in parts if part) + "\n",
        record=(table, sys_id),
        key=event["key"] and f"{event['key']} {user.sys_id}",
    )
