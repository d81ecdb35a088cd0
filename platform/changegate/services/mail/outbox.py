"""The outbox: adding mail in the caller's transaction."""

from sqlalchemy import insert, select

from changegate.database import connection
from changegate.errors import OperationFailed, RecordNotFound
from changegate.extensions import database_now, settings
from changegate.models import SysEmail
from changegate.models.base import new_ordered_sys_id, utc_now
from changegate.models.messages import MAIL_FAILED, MAIL_READY, MAIL_STATES, MAIL_UNCERTAIN, MAX_SUBJECT
from changegate.printable import printable
from changegate.sealed import seal
from changegate.setting_parsers import MAIL_ADDRESS

SEALED_BODY = "body of mail"
ADDRESS_INVALID = "The address of the recipient is not a mail address in ASCII."


def mail_is_configured() -> bool:
    """Return whether this instance has a mail server."""
    return settings().smtp_url is not None


def queue_mail(
    *,
    address: str,
    subject: str,
    text: str,
    record: tuple[str, str] | None = None,
    secret: bool = False,
    key: str | None = None,
) -> bool:
    """Add a mail to one address in the caller's transaction; a job sends it after the commit.

    `record` is the table and sys_id that the mail is about. The text of a `secret` mail, such as one with a link for a
    password, is sealed until it is sent, and then removed. Of several mails with the same `key`, the first is queued.
    Returns whether the mail was queued: not without a mail server.
    """
    if not mail_is_configured():
        return False
    if key is not None and connection().execute(select(SysEmail.sys_id).where(SysEmail.mail_key == key)).first():
        return False
    is_valid = MAIL_ADDRESS.fullmatch(address) is not None
    at = utc_now()
    table, sys_id = record or (None, None)
    values = {
        "sys_id": new_ordered_sys_id(),
        **dict.fromkeys(("sys_created_on", "sys_updated_on"), at),
        **dict.fromkeys(("sys_created_by", "sys_updated_by"), "system"),
        "sys_mod_count": 0,
        "recipients": address,
        # A line break in a subject would begin another header.
        "subject": printable(" ".join(subject.split()), MAX_SUBJECT),
        "body_text": None if secret else text,
        "sealed_body": seal(text, purpose=SEALED_BODY) if secret and is_valid else None,
        "state": MAIL_READY if is_valid else MAIL_FAILED,
        "error_string": None if is_valid else ADDRESS_INVALID,
        "target_table": table,
        "instance": sys_id,
        "attempts": 0,
        "send_at": database_now(),
        "mail_key": key,
    }
    connection().execute(insert(SysEmail.__table__).values(values))
    return is_valid


def resend(sys_id: str) -> None:
    """Queue a copy of a mail that failed or is uncertain. Raises `RecordNotFound` and `OperationFailed`."""
    columns = SysEmail.__table__.c
    row = connection().execute(select(*columns).where(columns.sys_id == sys_id)).one_or_none()
    if row is None:
        raise RecordNotFound
    if row.state not in {MAIL_FAILED, MAIL_UNCERTAIN}:
        raise OperationFailed(f"The mail is in the state {MAIL_STATES[row.state]}. Only failed mail can be sent again.")
    if row.body_text is None:
        raise OperationFailed("The mail had a secret, which was removed. Repeat the action that sent it.")
    record = (row.target_table, row.instance) if row.target_table else None
    if not queue_mail(address=row.recipients, subject=row.subject, text=row.body_text, record=record):
        raise OperationFailed("The mail cannot be sent: no mail server is set, or its address is invalid.")
