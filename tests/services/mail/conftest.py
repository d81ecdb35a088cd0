"""The databases that mail is tested on, and a mail server."""

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.conftest import Clock
from tests.support.smtp_server import MailServer, mail_server, use_mail_server


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def mailing(either_app: Flask, server: MailServer) -> Flask:
    """An application with a mail server."""
    either_app.config["CLOCK"] = Clock()
    either_app.config["DATABASE_CLOCK"] = lambda: either_app.config["CLOCK"]()
    use_mail_server(either_app, f"smtp://127.0.0.1:{server.port}")
    return either_app
