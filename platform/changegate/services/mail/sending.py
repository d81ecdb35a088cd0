"""The job that sends the mail of the outbox, over one connection for all mail that is due."""

import logging
import time
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update

from changegate.config import Settings
from changegate.database import commit, connection
from changegate.errors import SealBroken
from changegate.extensions import database_now, settings
from changegate.models import SysEmail
from changegate.models.base import utc_now
from changegate.models.messages import (
    MAIL_FAILED,
    MAIL_READY,
    MAIL_SENDING,
    MAIL_SENT,
    MAIL_UNCERTAIN,
)
from changegate.sealed import unseal
from changegate.services.jobs.cleanups import deletes
from changegate.services.jobs.repeating import repeating
from changegate.services.jobs.worker import pause_after
from changegate.services.mail.outbox import SEALED_BODY
from changegate.services.mail.smtp import MailConnection, MailRefused, MailUncertain, ServerUnusable, connected
from changegate.setting_parsers import SmtpServer

SEND_INTERVAL = timedelta(seconds=5)
# Without a mail server, there is nothing to do. The worker provides its repeating jobs as often.
IDLE_INTERVAL = timedelta(minutes=10)
LONGEST_PAUSE_OF_SERVER = timedelta(minutes=10)
LONGEST_PAUSE_OF_MAIL = timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(days=2)
MAIL_KEPT_FOR = timedelta(days=30)
# With the longest time-out, a run then still ends within its lease.
SECONDS_OF_RUN = 20.0
INTERRUPTED = "The process ended while it sent the mail, which may have arrived."
UNANSWERED = "The mail server did not confirm the mail, which may have arrived."
TOO_OLD = "The mail could not be sent within two days."
SEAL_BROKEN = "The text cannot be decrypted: the secret key of the instance has changed."
_MAILS = SysEmail.__table__
log = logging.getLogger(__name__)


# Unlike other handlers, this one commits: what was sent cannot be rolled back, so it must not be forgotten either.
@repeating("mail.send", every=SEND_INTERVAL)
def send_due_mail(_at: datetime) -> bool | timedelta:
    """Send the mail that is due; return whether there may be more, or the pause until the next try."""
    configured = settings()
    if configured.smtp_url is None:
        return IDLE_INTERVAL
    # There is one run at a time, so that an earlier one has ended, or was paused for longer than its lease.
    _end_open(MAIL_SENDING, MAIL_UNCERTAIN, INTERRUPTED)
    _end_open(MAIL_READY, MAIL_FAILED, TOO_OLD, _MAILS.c.sys_created_on < utc_now() - GIVEN_UP_AFTER)
    due = connection().execute(_next_due()).first()
    if due is None:
        return False
    try:
        with connected(configured.smtp_url, configured.smtp_timeout, own_name(configured)) as conversation:
            return _send_all(conversation)
    except ServerUnusable as problem:
        log.warning("no mail can be sent, attempt %d: %s", due.attempts + 1, problem)
        # The mail stays the next one, so that its attempts are those of the server.
        _write(due.sys_id, MAIL_READY, attempts=due.attempts + 1, error_string=str(problem))
        return pause_after(due.attempts + 1, LONGEST_PAUSE_OF_SERVER)


purge_mail = deletes("mail.purge", "old mail", SysEmail.sys_id, lambda at: SysEmail.sys_created_on < at - MAIL_KEPT_FOR)


def send_now(server: SmtpServer, address: str, subject: str, text: str) -> None:
    """Send a mail past the outbox, to try the settings. Raises `MailRefused`, `MailUncertain`, and `ServerUnusable`."""
    configured = settings()
    content = _content(f"test.{time.time_ns()}", address, subject, text, utc_now())
    with connected(server, configured.smtp_timeout, own_name(configured)) as conversation:
        conversation.send(_sender_address(), address, content)


def own_name(configured: Settings) -> str:
    """Return the host name by which this instance introduces itself to the mail server."""
    return urlsplit(configured.base_url).hostname or "localhost"


def _send_all(conversation: MailConnection) -> bool | timedelta:
    until = time.monotonic() + SECONDS_OF_RUN
    while time.monotonic() < until:
        mail = _take_next()
        if mail is None:
            return False
        try:
            _send(conversation, mail)
        except (ServerUnusable, MailUncertain) as problem:
            if isinstance(problem, MailUncertain):
                _end(mail, MAIL_UNCERTAIN, UNANSWERED)
            else:
                _postpone(mail, str(problem))
            # The connection cannot be used any more.
            return pause_after(1, LONGEST_PAUSE_OF_SERVER)
    return True


def _send(conversation: MailConnection, mail: Any) -> None:
    """Send a mail that was taken, and note what became of it. Raises `ServerUnusable` and `MailUncertain`."""
    try:
        text = mail.body_text
        if mail.sealed_body is not None:
            text = unseal(mail.sealed_body, purpose=SEALED_BODY).decode()
        content = _content(mail.sys_id, mail.recipients, mail.subject, text or "", mail.sys_created_on)
        conversation.send(_sender_address(), mail.recipients, content)
    except SealBroken:
        _end(mail, MAIL_FAILED, SEAL_BROKEN)
    except MailRefused as refusal:
        if refusal.is_final:
            log.warning("mail %s was refused", mail.sys_id)
            _end(mail, MAIL_FAILED, str(refusal))
        else:
            _postpone(mail, str(refusal))
    else:
        _end(mail, MAIL_SENT, None)


def _next_due() -> Any:
    is_due = (_MAILS.c.state == MAIL_READY, _MAILS.c.send_at <= database_now())
    return select(_MAILS).where(*is_due).order_by(_MAILS.c.send_at, _MAILS.c.sys_id).limit(1)


def _take_next() -> Any | None:
    """Mark the next mail as handed to the server, and commit; return None if no mail is due."""
    mail = connection().execute(_next_due().with_for_update(skip_locked=True)).first()
    if mail is not None:
        taken = update(_MAILS).where(_MAILS.c.sys_id == mail.sys_id, _MAILS.c.state == MAIL_READY)
        count = connection().execute(taken.values(state=MAIL_SENDING, sys_updated_on=utc_now())).rowcount
        mail = mail if count else None
    commit()
    return mail


def _end(mail: Any, state: str, error: str | None) -> None:
    _write(mail.sys_id, state, attempts=mail.attempts + 1, error_string=error, sealed_body=None)


def _postpone(mail: Any, error: str) -> None:
    attempts = mail.attempts + 1
    send_at = database_now() + pause_after(attempts, LONGEST_PAUSE_OF_MAIL)
    _write(mail.sys_id, MAIL_READY, attempts=attempts, error_string=error, send_at=send_at)


def _write(sys_id: str, state: str, **values: Any) -> None:
    stamps = {"sys_updated_on": utc_now(), "sys_mod_count": _MAILS.c.sys_mod_count + 1}
    connection().execute(update(_MAILS).where(_MAILS.c.sys_id == sys_id).values(state=state, **values, **stamps))
    commit()


def _end_open(state: str, new_state: str, error: str, *clauses: Any) -> None:
    """End the mails in a state, and remove their secrets; commit if there are any."""
    found = (_MAILS.c.state == state, *clauses)
    # Read first, so that an idle run does not write.
    if connection().execute(select(_MAILS.c.sys_id).where(*found).limit(1)).first() is not None:
        values = {"state": new_state, "error_string": error, "sealed_body": None, "sys_updated_on": utc_now()}
        count = connection().execute(update(_MAILS).where(*found).values(values)).rowcount
        commit()
        log.warning("mails that are in the state %s now: %d", new_state, count)


def _sender_address() -> str:
    return parseaddr(settings().mail_from or "")[1]


def _content(sys_id: str, address: str, subject: str, text: str, at: datetime) -> bytes:
    """Return a mail as it is sent. The same mail has the same Message-ID, whenever it is sent."""
    name, sender = parseaddr(settings().mail_from or "")
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(name, addr_spec=sender)
    message["To"] = Address(addr_spec=address)
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{sys_id}@{sender.partition('@')[2]}>"
    # No answers by machines, such as notices of absence (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    return message.as_bytes()
