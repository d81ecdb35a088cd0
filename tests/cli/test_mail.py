"""`changegate mail`: trying the server, and mail that was not sent."""

from collections.abc import Iterator

import pytest
from flask import Flask

from changegate.services.mail.sending import send_due_mail
from tests.cli.conftest import Run
from tests.services.mail.test_outbox import queue, rows
from tests.support.smtp_server import MailServer, mail_server, use_mail_server


@pytest.fixture
def run(run_prepared: Run) -> Run:
    return run_prepared


@pytest.fixture
def server(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with mail_server() as running:
        url = f"smtp://127.0.0.1:{running.port}"
        monkeypatch.setenv("CHANGEGATE_SMTP_URL", url)
        monkeypatch.setenv("CHANGEGATE_MAIL_FROM", "changegate@example.com")
        use_mail_server(app, url)
        yield running


def test_a_test_mail_is_sent_at_once(run: Run, server: MailServer) -> None:
    assert run("mail", "test", "ann@example.com").out == "127.0.0.1 has accepted the mail.\n"
    [mail] = server.mails
    assert (mail["To"], mail["Subject"]) == ("ann@example.com", "Test of Changegate")
    server.reply_to_recipient = "550 No such user"
    run("mail", "test", "bob@example.com").assert_refused("refused the recipient with 550: No such user")
    run("mail", "test", "bob").assert_refused("ADDRESS must be a mail address")


def test_without_settings_the_command_names_them(run: Run) -> None:
    run("mail", "test", "ann@example.com").assert_refused("Set CHANGEGATE_SMTP_URL and CHANGEGATE_MAIL_FROM.")


def test_mail_that_failed_is_listed_and_sent_again(run: Run, app: Flask, server: MailServer) -> None:
    server.reply_to_recipient = "550 \x1b[2J"
    queue(app)
    with app.app_context():
        send_due_mail(app.config["CLOCK"]())
    [row] = rows(app)
    [line] = run("mail", "list").out.splitlines()
    assert line.startswith(f"{row.sys_id}  Error") and "ann@example.com  Hello: The mail server refused" in line
    assert line.isprintable()
    server.reply_to_recipient = "250 OK"
    assert run("mail", "resend", row.sys_id).out == "The mail is sent again.\n"
    with app.app_context():
        send_due_mail(app.config["CLOCK"]())
    assert len(server.mails) == 1
