"""The conversation with a mail server (RFC 5321).

Every reply is waited for as long as the settings allow, and each mail for twice as long in all, whatever the server
does: a server that sends one byte at a time is cut off as well.
"""

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from changegate.models.messages import MAX_MAIL_ERROR
from changegate.printable import printable
from changegate.setting_parsers import SmtpServer

_START_OF_LINE_WITH_DOT = re.compile(rb"^\.", re.MULTILINE)
# What the library, a socket, and TLS raise when a conversation ends.
_BROKEN = (smtplib.SMTPException, OSError, ValueError)
_READY_FOR_MAIL, _ACCEPTED = 354, 250


class MailRefused(Exception):
    """The server refused a mail, for now or for good. The message may be stored: it contains no secret."""

    def __init__(self, sentence: str, *, is_final: bool) -> None:
        super().__init__(sentence[:MAX_MAIL_ERROR])
        self.is_final = is_final


class MailUncertain(Exception):
    """The server got a whole mail and did not answer: it may deliver the mail or not."""


class ServerUnusable(Exception):
    """No mail can be sent now: the server cannot be reached, or refuses the encryption or the password."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence[:MAX_MAIL_ERROR])


class MailConnection:
    """A connection over which mail can be sent."""

    def __init__(self, client: smtplib.SMTP, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    def send(self, sender: str, recipient: str, content: bytes) -> None:
        """Send a mail. Raises `MailRefused`, `MailUncertain`, and `ServerUnusable`."""
        with _limited(self._client, 2 * self._timeout):
            try:
                _require(self._client.mail(sender), 2, "sender")
                _require(self._client.rcpt(recipient), 2, "recipient")
                _require(self._client.docmd("DATA"), 3, "mail")
                # If this fails, the server has not got the end of the mail, and does not deliver it.
                self._client.send(_framed(content))
            except MailRefused:
                with suppress(*_BROKEN):
                    self._client.rset()
                raise
            except _BROKEN as problem:
                raise ServerUnusable(_describe(problem)) from None
            try:
                reply = self._client.getreply()
            except _BROKEN:
                raise MailUncertain from None
            _require(reply, 2, "mail")


@contextmanager
def connected(server: SmtpServer, timeout: float, own_name: str) -> Iterator[MailConnection]:
    """Yield a connection to a server, with its encryption and password. Raises `ServerUnusable`."""
    client = _client(server, timeout, own_name)
    try:
        with _limited(client, 2 * timeout):
            _open(client, server)
        yield MailConnection(client, timeout)
        with _limited(client, timeout), suppress(*_BROKEN):
            client.quit()
    finally:
        client.close()


def _client(server: SmtpServer, timeout: float, own_name: str) -> smtplib.SMTP:
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(timeout=timeout, local_hostname=own_name, context=ssl.create_default_context())
    return smtplib.SMTP(timeout=timeout, local_hostname=own_name)


def _open(client: smtplib.SMTP, server: SmtpServer) -> None:
    # The name in the certificate. The library keeps it only if it connects at construction, which nothing could cut.
    client._host = server.host  # type: ignore[attr-defined]
    try:
        code, _text = client.connect(server.host, server.port)
        if code // 100 != 2:
            raise ServerUnusable(f"The mail server answered {code} to the connection.")
        if server.scheme == "smtp+starttls":
            client.starttls(context=ssl.create_default_context())
        client.ehlo_or_helo_if_needed()
        if server.user is not None and server.password is not None:
            client.login(server.user, server.password)
    except smtplib.SMTPAuthenticationError as problem:
        # Without the text of the answer, which could repeat what was sent.
        raise ServerUnusable(f"The mail server refused user and password with {problem.smtp_code}.") from None
    except _BROKEN as problem:
        raise ServerUnusable(_describe(problem)) from None


@contextmanager
def _limited(client: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Cut the connection of a client if a block takes longer."""

    def cut() -> None:
        with suppress(OSError):
            if client.sock is not None:
                client.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _framed(content: bytes) -> bytes:
    """Return a mail as it follows DATA (RFC 5321 §4.5.2)."""
    return _START_OF_LINE_WITH_DOT.sub(b"..", content) + b".\r\n"


def _require(reply: tuple[int, bytes], kind: int, refused: str) -> None:
    """Raise `MailRefused` unless the first digit of a reply is the expected one."""
    code, text = reply
    if code // 100 == kind:
        return
    if code == -1 or code == 421:
        raise smtplib.SMTPServerDisconnected(f"The mail server ended the connection ({code}).")
    sentence = f"The mail server refused the {refused} with {code}: {printable(text.decode('ascii', 'replace'), 180)}"
    raise MailRefused(sentence, is_final=code // 100 == 5)


def _describe(problem: BaseException) -> str:
    """Return what went wrong with the server, without the texts of exceptions, which may repeat what was sent."""
    if isinstance(problem, smtplib.SMTPResponseException):
        return f"The mail server answered {problem.smtp_code}."
    if isinstance(problem, smtplib.SMTPNotSupportedError):
        return "The mail server does not offer the encryption or the authentication that the settings require."
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"The certificate of the mail server is invalid: {problem.verify_message}"
    if isinstance(problem, TimeoutError):
        return "The mail server did not answer in time."
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else type(problem).__name__
    return f"The mail server cannot be used: {reason}."
