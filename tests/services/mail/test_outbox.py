"""Mail is written in the transaction of an event, and sent once, after its commit."""

import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from changegate.database import commit, connection, rollback
from changegate.errors import OperationFailed, RecordNotFound
from changegate.extensions import database_now
from changegate.models import SysEmail
from changegate.models.messages import MAIL_SENDING
from changegate.services.mail.outbox import mail_is_configured, queue_mail, resend
from changegate.services.mail.sending import (
    GIVEN_UP_AFTER,
    IDLE_INTERVAL,
    INTERRUPTED,
    LONGEST_PAUSE_OF_SERVER,
    MAIL_KEPT_FOR,
    SEAL_BROKEN,
    TOO_OLD,
    UNANSWERED,
    purge_mail,
    send_due_mail,
)
from tests.support.jobs import run_due_jobs
from tests.support.smtp_server import MailServer, mail_server, use_mail_server

ADDRESS = "ann@example.com"
LINK = "https://change.example.com/password/s3cret"


def queue(app: Flask, **options: Any) -> bool:
    with app.app_context():
        sent = {"address": ADDRESS, "subject": "Hello", "text": "Hello Ann", **options}
        is_queued = queue_mail(**sent)
        commit()
        return is_queued


def rows(app: Flask) -> list[Any]:
    with app.app_context():
        return list(connection().execute(select(*SysEmail.__table__.c).order_by(SysEmail.sys_id)))


def run(app: Flask) -> Any:
    """Run the job once, and return what it returns."""
    with app.app_context():
        return send_due_mail(database_now())


def advance(app: Flask, **duration: float) -> None:
    app.config["CLOCK"].advance(**duration)


def test_mail_is_sent_once_and_only_after_the_commit(mailing: Flask, server: MailServer) -> None:
    with mailing.app_context():
        assert queue_mail(address=ADDRESS, subject="Rolled back", text="x")
        rollback()
    run_due_jobs(mailing, "mail.send")
    assert not server.mails
    text = "Zwölf Boxkämpfer\n.\n.. dots at the start of lines\n" + "long " * 300
    assert queue(mailing, subject="Prüfen\nBcc: mallory@example.com", text=text, record=("change_request", "c" * 32))
    run_due_jobs(mailing, "mail.send")
    run_due_jobs(mailing, "mail.send")
    [mail], [row] = server.mails, rows(mailing)
    assert (mail["To"], mail["From"]) == (ADDRESS, "Changegate <changegate@example.com>")
    assert mail["Subject"] == "Prüfen Bcc: mallory@example.com" and mail["Bcc"] is None
    assert mail["Message-ID"] == f"<{row.sys_id}@example.com>" and mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().splitlines() == text.splitlines()
    assert server.envelopes[0].rcpt_tos == [ADDRESS]
    assert (row.state, row.attempts, row.error_string) == ("sent", 1, None)
    assert (row.target_table, row.instance) == ("change_request", "c" * 32)


def test_the_first_mail_of_a_key_is_queued(mailing: Flask, server: MailServer) -> None:
    assert queue(mailing, key="approval 1")
    assert not queue(mailing, key="approval 1", subject="Again")
    assert queue(mailing, key="approval 2")
    run_due_jobs(mailing, "mail.send")
    assert not queue(mailing, key="approval 1")
    assert len(server.mails) == 2


def test_without_a_mail_server_nothing_is_queued(either_app: Flask) -> None:
    with either_app.app_context():
        assert not mail_is_configured()
    assert not queue(either_app)
    assert not rows(either_app)
    assert run(either_app) == IDLE_INTERVAL


@pytest.mark.parametrize(
    "address", ["ann", "a..b@x.com", "a@x.com, b@y.com", "a@x.com\nBcc: b@y.com", "ännä@example.com", ""]
)
def test_an_invalid_address_is_shown_and_never_sent_to(mailing: Flask, server: MailServer, address: str) -> None:
    assert not queue(mailing, address=address, secret=True)
    run_due_jobs(mailing, "mail.send")
    [row] = rows(mailing)
    assert (row.state, row.sealed_body) == ("error", None)
    assert not server.mails


def test_a_secret_is_stored_sealed_and_removed_after_sending(mailing: Flask, server: MailServer) -> None:
    queue(mailing, text=f"Open {LINK}", secret=True)
    [row] = rows(mailing)
    assert row.sealed_body and "s3cret" not in repr(row)
    run_due_jobs(mailing, "mail.send")
    assert server.mails[0].get_content().strip() == f"Open {LINK}"
    [row] = rows(mailing)
    assert (row.state, row.body_text, row.sealed_body) == ("sent", None, None)


def test_a_refusal_for_now_is_followed_by_growing_pauses(mailing: Flask, server: MailServer) -> None:
    server.reply_to_recipient = "451 Greylisted"
    queue(mailing)
    pauses = []
    for attempt in range(1, 4):
        assert run(mailing) is False
        [row] = rows(mailing)
        assert (row.state, row.attempts) == ("ready", attempt)
        assert row.error_string == "The mail server refused the recipient with 451: Greylisted"
        with mailing.app_context():
            pauses.append((row.send_at - database_now()).total_seconds())
        assert run(mailing) is False
        advance(mailing, seconds=pauses[-1] + 1)
    assert pauses[0] < 31 and pauses[0] * 1.5 < pauses[2]
    server.reply_to_recipient = "250 OK"
    run_due_jobs(mailing, "mail.send")
    assert rows(mailing)[0].state == "sent" and len(server.mails) == 1


@pytest.mark.parametrize("place", ["reply_to_recipient", "reply_to_mail"])
def test_a_refusal_for_good_is_not_repeated(mailing: Flask, server: MailServer, place: str) -> None:
    setattr(server, place, "550 No such user")
    queue(mailing, text=LINK, secret=True)
    queue(mailing, subject="Other")
    run(mailing)
    assert [(row.state, row.attempts, row.sealed_body) for row in rows(mailing)] == [("error", 1, None)] * 2
    assert all(row.error_string.endswith("with 550: No such user") for row in rows(mailing))
    advance(mailing, days=1)
    run(mailing)
    assert [row.attempts for row in rows(mailing)] == [1, 1]


def test_without_a_connection_the_pauses_of_the_server_grow(mailing: Flask) -> None:
    with mail_server() as ended:
        port = ended.port
    use_mail_server(mailing, f"smtp://127.0.0.1:{port}")
    queue(mailing)
    queue(mailing, subject="Second")
    pauses = [run(mailing) for _ in range(8)]
    assert pauses[0].total_seconds() <= 30 < pauses[3].total_seconds()
    assert LONGEST_PAUSE_OF_SERVER / 2 <= pauses[7] <= LONGEST_PAUSE_OF_SERVER
    first, second = rows(mailing)
    assert (first.state, first.attempts, second.attempts) == ("ready", 8, 0)
    assert first.error_string == "The mail server cannot be used: Connection refused."
    with mail_server(port) as server:
        run_due_jobs(mailing, "mail.send")
        assert len(server.mails) == 2


def test_mail_that_cannot_be_sent_for_days_fails(mailing: Flask, server: MailServer) -> None:
    server.reply_to_mail = "452 Full"
    queue(mailing, text=LINK, secret=True)
    run(mailing)
    with mailing.app_context():
        connection().execute(SysEmail.__table__.update().values(sys_created_on=database_now() - GIVEN_UP_AFTER * 1.01))
        commit()
    run(mailing)
    [row] = rows(mailing)
    assert (row.state, row.error_string, row.sealed_body) == ("error", TOO_OLD, None)


def test_mail_without_an_answer_is_uncertain_and_not_sent_again(mailing: Flask, server: MailServer) -> None:
    server.before_reply = lambda connection: connection.loop.call_soon_threadsafe(connection.transport.abort)
    queue(mailing)
    run(mailing)
    server.before_reply = None
    advance(mailing, days=1)
    run_due_jobs(mailing, "mail.send")
    [row] = rows(mailing)
    assert (row.state, row.error_string) == ("uncertain", UNANSWERED)
    assert len(server.mails) == 1


def test_mail_of_a_run_that_was_interrupted_is_uncertain(mailing: Flask, server: MailServer) -> None:
    queue(mailing, text=LINK, secret=True)
    with mailing.app_context():
        connection().execute(SysEmail.__table__.update().values(state=MAIL_SENDING))
        commit()
    run_due_jobs(mailing, "mail.send")
    [row] = rows(mailing)
    assert (row.state, row.error_string, row.sealed_body) == ("uncertain", INTERRUPTED, None)
    assert not server.mails


def test_a_mail_that_ends_the_connection_does_not_hold_up_others(mailing: Flask, server: MailServer) -> None:
    queue(mailing, subject="Poison")
    queue(mailing, subject="Other")
    server.reply_to_recipient = "421 Bye"
    run(mailing)
    server.reply_to_recipient = "250 OK"
    run(mailing)
    assert [mail["Subject"] for mail in server.mails] == ["Other"]


def test_a_silent_server_is_cut_off(mailing: Flask, server: MailServer) -> None:
    is_over = threading.Event()
    server.before_reply = lambda _connection: is_over.wait(60)
    use_mail_server(mailing, f"smtp://127.0.0.1:{server.port}", timeout=1)
    queue(mailing)
    # On a busy machine, the server may be too slow even for its first words.
    while not server.mails:
        run(mailing)
        advance(mailing, hours=1)
    is_over.set()
    assert [row.state for row in rows(mailing)] == ["uncertain"]


def test_a_run_that_was_paused_neither_repeats_a_mail_nor_is_contradicted(mailing: Flask, server: MailServer) -> None:
    queue(mailing)
    queue(mailing, subject="Second")
    states = []

    def run_another(_connection: object) -> None:
        # Another worker begins while the first one waits for the reply, after its lease.
        server.before_reply = None
        run(mailing)
        states.extend(row.state for row in rows(mailing))

    server.before_reply = run_another
    run(mailing)
    assert states == ["uncertain", "sent"]
    # The first one knows that its mail was accepted.
    assert [row.state for row in rows(mailing)] == ["sent", "sent"]
    assert sorted(mail["Subject"] for mail in server.mails) == ["Hello", "Second"]


def test_unprintable_characters_do_not_hold_up_a_mail(mailing: Flask, server: MailServer) -> None:
    queue(mailing, subject="\x1b[2J\0", text="\x1b")
    run(mailing)
    assert [mail["Subject"] for mail in server.mails] == ["\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"]


def test_old_mail_is_deleted(mailing: Flask, server: MailServer) -> None:
    queue(mailing)
    run(mailing)
    with mailing.app_context():
        at = database_now()
        purge_mail(at + MAIL_KEPT_FOR * 0.99)
        assert connection().execute(select(SysEmail.sys_id)).first()
        purge_mail(at + MAIL_KEPT_FOR * 1.01)
        commit()
    assert not rows(mailing)


def test_mail_that_failed_can_be_sent_again_by_an_operator(mailing: Flask, server: MailServer) -> None:
    server.reply_to_mail = "550 Spam"
    queue(mailing, key="k")
    run(mailing)
    server.reply_to_mail = "250 OK"
    [failed] = rows(mailing)
    with mailing.app_context():
        resend(failed.sys_id)
        commit()
    run(mailing)
    failed, copy = rows(mailing)
    assert (failed.state, copy.state, copy.subject) == ("error", "sent", "Hello")
    with mailing.app_context():
        with pytest.raises(OperationFailed) as refusal:
            resend(copy.sys_id)
        assert refusal.value.detail == "The mail is in the state Sent. Only failed mail can be sent again."
        with pytest.raises(RecordNotFound):
            resend("0" * 32)


def test_a_secret_is_not_sent_again(mailing: Flask, server: MailServer) -> None:
    server.reply_to_mail = "550 Spam"
    queue(mailing, text=LINK, secret=True)
    run(mailing)
    with mailing.app_context(), pytest.raises(OperationFailed) as refusal:
        resend(rows(mailing)[0].sys_id)
    assert refusal.value.detail == "The mail had a secret, which was removed. Repeat the action that sent it."


def test_after_a_change_of_the_secret_key_sealed_mail_fails(mailing: Flask) -> None:
    queue(mailing, text=LINK, secret=True)
    with mailing.app_context():
        connection().execute(SysEmail.__table__.update().values(sealed_body="s1.AAAA"))
        commit()
    run(mailing)
    [row] = rows(mailing)
    assert (row.state, row.error_string) == ("error", SEAL_BROKEN)
