"""No crash sends a mail twice."""

import os
import signal
import threading
from pathlib import Path

import pytest
from flask import Flask

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.extensions import db
from tests.services.mail.test_outbox import queue, rows
from tests.support.servers import START_SECONDS, environment_of, start, stop, wait_until
from tests.support.smtp_server import SENDER, mail_server


def states(app: Flask) -> list[str]:
    return [row.state for row in rows(app)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_mail_is_not_sent_twice_after_a_worker_was_killed(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    instance = tmp_path / "instance"
    got, leave = threading.Event(), threading.Event()

    def hold(_server: object) -> None:
        got.set()
        leave.wait(START_SECONDS)

    with mail_server() as server:
        server.before_reply = hold
        settings = {"smtp_url": f"smtp://127.0.0.1:{server.port}", "mail_from": SENDER}
        if database == "postgresql":
            settings["database_url"] = request.getfixturevalue("prepared_postgres")
        app = create_app(instance_path=instance, overrides=settings)
        prepare_instance(app)
        queue(app)
        # A lease ends after two minutes; of the killed worker, none is waited for.
        patches = "import changegate.services.jobs.leases as l, datetime\nl.JOB_LEASE = datetime.timedelta(seconds=1)\n"
        code = f"{patches}from changegate.cli import main\nmain()"
        killed = start(["worker"], environment_of(instance, **settings), code=code, merges_errors=True)
        try:
            assert got.wait(START_SECONDS)
            assert states(app) == ["sending"]
            os.killpg(killed.pid, signal.SIGKILL)
        finally:
            stop(killed)
        server.before_reply = None
        leave.set()
        queue(app, subject="Other")
        other = start(["worker"], environment_of(instance, **settings), code=code, merges_errors=True)
        try:
            wait_until(lambda: states(app) == ["uncertain", "sent"])
        finally:
            stop(other)
        assert [mail["Subject"] for mail in server.mails] == ["Hello", "Other"]
        with app.app_context():
            db.engine.dispose()
