"""A real mail server on loopback that keeps what it accepts, and answers as badly as it is told to."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from flask import Flask

from changegate.config import load_settings
from tests.support.servers import START_SECONDS, free_port

SENDER = "Changegate <changegate@example.com>"
USER, PASSWORD = "changegate", "hunter2 hunter2"
ACCEPTED = "250 OK"


@dataclass
class MailServer:
    """The mail that a server has accepted, and how it answers: with a reply, an end of the connection, or silence."""

    port: int = 0
    reply_to_recipient: str = ACCEPTED
    reply_to_mail: str = ACCEPTED
    # What happens to a mail that has arrived, before the reply.
    before_reply: Callable[[SMTP], Any] | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    is_encrypted: list[bool] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(envelope.content, policy=default) for envelope in self.envelopes]  # type: ignore[arg-type, misc]

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.reply_to_recipient == ACCEPTED:
            envelope.rcpt_tos.append(address)
        return self.reply_to_recipient

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.reply_to_mail == ACCEPTED:
            self.envelopes.append(envelope)
            self.is_encrypted.append(server.transport.get_extra_info("ssl_object") is not None)
        if self.before_reply is not None:
            await asyncio.get_running_loop().run_in_executor(None, self.before_reply, server)
        return self.reply_to_mail


@contextmanager
def mail_server(port: int = 0, **options: Any) -> Iterator[MailServer]:
    """Serve SMTP on a port of 127.0.0.1, with options of aiosmtpd."""
    state = MailServer(port or free_port())
    controller = Controller(state, "127.0.0.1", state.port, ready_timeout=START_SECONDS, **options)
    controller.start()
    try:
        yield state
    finally:
        controller.stop()


def with_encryption(context: ssl.SSLContext) -> dict[str, Any]:
    """Return the options of a server that requires STARTTLS and a password."""

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, sent: Any) -> AuthResult:
        is_right = isinstance(sent, LoginPassword) and (sent.login, sent.password) == (
            USER.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=is_right, handled=False)

    return {"tls_context": context, "require_starttls": True, "authenticator": check, "auth_required": True}


def use_mail_server(app: Flask, url: str, timeout: int = 20) -> None:
    """Let an application send by a mail server."""
    texts = {"smtp_url": url, "smtp_timeout": str(timeout), "mail_from": SENDER}
    parsed = load_settings(Path(app.instance_path), texts)
    names = ("smtp_url", "smtp_timeout", "mail_from")
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **{name: getattr(parsed, name) for name in names})
