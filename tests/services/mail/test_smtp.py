"""The conversation with mail servers: encryption, passwords, and servers that misbehave."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from flask import Flask

from changegate.services.mail.smtp import ServerUnusable, connected
from changegate.setting_parsers import SmtpServer
from tests.services.mail.test_outbox import LINK, queue, rows, run
from tests.support.smtp_server import PASSWORD, USER, mail_server, use_mail_server, with_encryption

CREDENTIALS = f"{USER}:{PASSWORD.replace(' ', '%20')}"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The TLS of a server, whose authority the product trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    return tls


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection on loopback by a function."""

    def serve(client: socket.socket) -> None:
        with client:
            try:
                talk(client)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join(60)


def test_mail_is_encrypted_and_sent_with_a_password(app: Flask, tls: ssl.SSLContext) -> None:
    with mail_server(**with_encryption(tls)) as server:
        use_mail_server(app, f"smtp+starttls://{CREDENTIALS}@localhost:{server.port}")
        queue(app)
        run(app)
    assert (server.is_encrypted, rows(app)[0].state) == ([True], "sent")


def test_smtps_is_encrypted_from_the_start(app: Flask, tls: ssl.SSLContext) -> None:
    with mail_server(ssl_context=tls) as server:
        use_mail_server(app, f"smtps://localhost:{server.port}")
        queue(app)
        run(app)
    assert (server.is_encrypted, rows(app)[0].state) == ([True], "sent")


def error_of(app: Flask, url: str) -> str:
    """Queue a mail that cannot be sent, and return why."""
    use_mail_server(app, url, timeout=30)
    queue(app, text=LINK, secret=True)
    run(app)
    [row] = rows(app)
    assert row.state == "ready"
    return str(row.error_string)


def test_a_wrong_password_is_shown_without_it(
    app: Flask, tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with mail_server(**with_encryption(tls)) as server:
        error = error_of(app, f"smtp+starttls://{USER}:not-the-password@localhost:{server.port}")
    assert error == "The mail server refused user and password with 535."
    own = [record.getMessage() for record in caplog.records if record.name.startswith("changegate")]
    assert own and not any(secret in line for line in own for secret in ("not-the-password", "s3cret"))


@pytest.mark.parametrize(("scheme", "host"), [("smtps", "127.0.0.1"), ("smtp+starttls", "127.0.0.1")])
def test_a_certificate_of_another_host_is_refused(app: Flask, tls: ssl.SSLContext, scheme: str, host: str) -> None:
    options = {"ssl_context": tls} if scheme == "smtps" else {"tls_context": tls}
    with mail_server(**options) as server:
        assert "certificate of the mail server is invalid" in error_of(app, f"{scheme}://{host}:{server.port}")
        assert not server.mails


def test_a_certificate_of_an_unknown_authority_is_refused(
    app: Flask, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with mail_server(**with_encryption(tls)) as server:
        assert "certificate" in error_of(app, f"smtp+starttls://{CREDENTIALS}@localhost:{server.port}")


def test_without_encryption_neither_password_nor_mail_is_sent(app: Flask) -> None:
    with mail_server() as server:
        error = error_of(app, f"smtp+starttls://{CREDENTIALS}@localhost:{server.port}")
        assert error.startswith("The mail server does not offer the encryption")
        assert not server.mails


def drip(client: socket.socket) -> None:
    for _ in range(600):
        client.sendall(b"2")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "talk", [lambda _: time.sleep(60), drip, lambda client: client.sendall(b"554 Go away\r\n"), lambda _: None]
)
def test_a_server_that_misbehaves_does_not_hold_up_the_worker(talk: Callable[[socket.socket], None]) -> None:
    with raw_server(talk) as port, pytest.raises(ServerUnusable) as refusal:
        with connected(SmtpServer("smtp", "127.0.0.1", port), 0.5, "change.example.com"):
            raise AssertionError("no mail can be sent")
    assert str(refusal.value).startswith("The mail server")


def test_the_password_is_not_in_texts_of_the_settings(app: Flask) -> None:
    use_mail_server(app, f"smtps://{CREDENTIALS}@mail.example.com")
    assert app.config["SETTINGS"].smtp_url.password == PASSWORD
    assert PASSWORD not in repr(app.config["SETTINGS"])
