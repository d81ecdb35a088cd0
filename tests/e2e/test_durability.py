"""Kill -9 under load: whatever was answered with success is there afterwards, exactly once."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import CHANGES, LiveDesk
from tests.support.postgres import prepared_postgres
from tests.support.servers import Running, free_port, running_changegate

__all__ = ["prepared_postgres"]

CLIENTS = 6
CHANGES_BEFORE_A_KILL = 60
TIMEOUT_SECONDS = 30
MOST_ROUNDS = 10_000


@dataclass
class Answered:
    """What the server promised to its clients: sys_id and number by description, token by assertion."""

    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)


Serve = Callable[[], contextlib.AbstractContextManager[Running]]


@pytest.fixture(params=["sqlite", "postgresql"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Serve one instance at one address, as often as it takes."""
    # The replays that follow would else be limited.
    settings: dict[str, Any] = {"admin_password": ADMIN_PASSWORD, "ratelimit_enabled": "0"}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("prepared_postgres")
    return partial(running_changegate, tmp_path / "instance", "--workers", "2", port=free_port(), **settings)


def test_nothing_that_was_answered_is_lost_or_doubled(serve: Serve, idp_url: str) -> None:
    answered = Answered()
    with serve() as server:
        desk = LiveDesk.enrol(server, idp_url)
        work_until_killed(server, desk, answered, "before the first kill")
    with serve() as server:
        work_until_killed(server, desk, answered, "before the second kill")

    with serve(), contextlib.closing(desk):
        assert_each_change_exists_once(desk, answered)
        assert_each_token_was_kept(desk, answered)
        # What was begun and never answered blocks nobody.
        assert desk.call(desk.token()).status_code == 201


def work_until_killed(server: Running, desk: LiveDesk, answered: Answered, name: str) -> None:
    killed, enough = threading.Event(), len(answered.changes) + CHANGES_BEFORE_A_KILL
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [
            pool.submit(exchange_and_create, desk, answered, killed, f"{name}, client {number}")
            for number in range(CLIENTS)
        ]
        while len(answered.changes) < enough and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.set()
        # The session that the server was started in: its parent and every worker.
        os.killpg(server.process.pid, signal.SIGKILL)
    for client in clients:
        client.result()
    assert len(answered.changes) >= enough


def exchange_and_create(desk: LiveDesk, answered: Answered, killed: threading.Event, name: str) -> None:
    """Work until nobody answers; only what was answered with success is written down."""
    mine = LiveDesk(desk.url, desk.idp_url, desk.credentials)
    try:
        for number in range(MOST_ROUNDS):
            assertion, description = mine.sign(), f"{name}, change {number}"
            token = answered.tokens[assertion] = mine.token(assertion)
            created = mine.call(token, short_description=description)
            assert created.status_code == 201, created.text
            change = created.json()["result"]
            answered.changes[description] = (change["sys_id"], change["number"])
    except requests.RequestException:
        assert killed.is_set()
    finally:
        mine.close()


def assert_each_change_exists_once(desk: LiveDesk, answered: Answered) -> None:
    query = {"sysparm_limit": "10000", "sysparm_fields": "sys_id,number,short_description"}
    answer = requests.get(desk.url + CHANGES, params=query, auth=("admin", ADMIN_PASSWORD), timeout=60)
    rows = answer.json()["result"]
    found = {row["short_description"]: (row["sys_id"], row["number"]) for row in rows}
    assert answered.changes.items() <= found.items()
    # Neither a description, answered or not, nor a number was stored twice.
    assert len(rows) == len(found) == len({number for _, number in found.values()})


def assert_each_token_was_kept(desk: LiveDesk, answered: Answered) -> None:
    """A token that is known may not read (403); one that is not known gets a 401, and so does a replay."""
    assert {desk.call(token, "GET").status_code for token in answered.tokens.values()} == {403}
    assert {desk.exchange(assertion).status_code for assertion in answered.tokens} == {401}
