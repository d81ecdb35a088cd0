"""aiosnow, in an environment of its own: what came of the steps of aiosnow_session.py."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.client_environments import client_programs
from tests.support.servers import Running

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcome(server: Running, ca: Path) -> dict[str, Any]:
    """Run the session once and return what it printed."""
    python = client_programs(HERE / "aiosnow.txt") / "python"
    arguments = [urlsplit(server.url).netloc, USER_NAME, PASSWORD]
    done = subprocess.run(
        [str(python), str(HERE / "aiosnow_session.py"), *arguments],
        env={**os.environ, "SSL_CERT_FILE": str(ca)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_creates_reads_updates_and_deletes(outcome: dict[str, Any]) -> None:
    written = outcome["written"]

    assert len(set(written["number"])) == 1
    assert written["state"] == [-5, "New"]
    assert written["opened_at"] == "datetime"
    assert len(written["opened_by"]) == 32
    assert (written["deleted"], written["left"]) == (204, 0)


def test_streams_page_by_page_along_the_links(outcome: dict[str, Any]) -> None:
    assert outcome["streamed"] == [f"Patch host {number}" for number in range(7)]


def test_uploads_lists_downloads_and_deletes_a_file(outcome: dict[str, Any]) -> None:
    assert outcome["attached"] == {
        "uploaded": [201, "aiosnow plan.txt"],
        "listed": ["aiosnow plan.txt"],
        "is_whole": True,
        "deleted": 204,
    }


def test_shows_the_message_of_a_refusal(outcome: dict[str, Any]) -> None:
    assert "Invalid table no_such_table" in outcome["refused"]
