"""Kill -9 under load: whatever was answered with success is there afterwards, exactly once."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import CHANGES, LiveDesk, administer, repeated
from tests.support.servers import Running, free_port, running_changegate

CLIENTS = 6
CHANGES_BEFORE_A_KILL = 60
# The states of an emergency in the order of its life, and how many lives must be whole before a kill.
STATES = ("-5", "-3", "-2", "-1", "0")
LIVES = 2
LIVES_BEFORE_A_KILL = 2
APPROVER = "durable.approver"
OF_LIVES = "correlation_id=life"
TIMEOUT_SECONDS = 60
MOST_SECONDS = 120
TABLES = "/api/now/table"
EMERGENCY = {"type": "emergency", "correlation_id": "life", "assignment_group": "CAB Approval"}
MOST_ROUNDS = 10_000


@dataclass
class Answered:
    """What the server promised to its clients: sys_id and number by description, token by assertion."""

    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    # The state of each emergency after the last answer about it.
    lives: dict[str, str] = field(default_factory=dict)

    def count_whole_lives(self) -> int:
        return list(self.lives.values()).count(STATES[-1])


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
        user = administer(server, "POST", f"{TABLES}/sys_user", user_name=APPROVER, user_password=ADMIN_PASSWORD)
        member = {"group": "CAB Approval", "user": user["sys_id"]}
        administer(server, "POST", f"{TABLES}/sys_user_grmember", **member)
        work_until_killed(server, desk, answered, "before the first kill")
    with serve() as server:
        work_until_killed(server, desk, answered, "before the second kill")

    with serve() as server, contextlib.closing(desk):
        assert_each_change_exists_once(desk, answered)
        assert_each_token_was_kept(desk, answered)
        assert_no_move_is_lost_or_half_done(server, answered)
        # What was begun and never answered blocks nobody.
        assert desk.call(desk.token()).status_code == 201


def work_until_killed(server: Running, desk: LiveDesk, answered: Answered, name: str) -> None:
    killed, enough = threading.Event(), len(answered.changes) + CHANGES_BEFORE_A_KILL
    enough_lives = answered.count_whole_lives() + LIVES_BEFORE_A_KILL
    deadline = time.monotonic() + MOST_SECONDS

    def is_enough() -> bool:
        return len(answered.changes) >= enough and answered.count_whole_lives() >= enough_lives

    with ThreadPoolExecutor(CLIENTS + LIVES) as pool:
        clients = [
            pool.submit(exchange_and_create, desk, answered, killed, f"{name}, client {number}")
            for number in range(CLIENTS)
        ]
        clients += [pool.submit(live, server, answered, killed) for _ in range(LIVES)]
        while not is_enough() and time.monotonic() < deadline:
            time.sleep(0.01)
        killed.set()
        # The session that the server was started in: its parent and every worker.
        os.killpg(server.process.pid, signal.SIGKILL)
    for client in clients:
        client.result()
    assert is_enough()


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


def live(server: Running, answered: Answered, killed: threading.Event) -> None:
    """Bring emergencies from New to Review, one after the other; only what was answered is written down."""
    try:
        for _ in range(MOST_ROUNDS):
            change = send(server, "POST", f"{TABLES}/change_request", **EMERGENCY)["sys_id"]
            answered.lives[change] = STATES[0]
            for state in STATES[1:]:
                if state == "-2":
                    # The approval moves the change.
                    send(server, "PATCH", f"/api/sn_chg_rest/change/{change}/approvals", APPROVER, state="approved")
                else:
                    send(server, "PATCH", f"{TABLES}/change_request/{change}", state=state)
                answered.lives[change] = state
    except requests.RequestException:
        assert killed.is_set()


def send(server: Running, method: str, path: str, user: str = "admin", **fields: str) -> Any:
    credentials = (user, ADMIN_PASSWORD)
    url = server.url + path
    answer = repeated(lambda: requests.request(method, url, json=fields, auth=credentials, timeout=TIMEOUT_SECONDS))
    assert answer.ok, answer.text
    return answer.json()["result"]


def assert_no_move_is_lost_or_half_done(server: Running, answered: Answered) -> None:
    """Each change is where it was by the last answer or one move further, with all that belongs to its state."""
    changes = rows_of(server, "change_request", OF_LIVES)
    approvals = rows_of(server, "sysapproval_approver", f"sysapproval.{OF_LIVES}")
    tasks = rows_of(server, "change_task", f"change_request.{OF_LIVES}")
    moves = Counter(row["subject_id"] for row in rows_of(server, "chg_history", "kind=moved"))
    found = {row["sys_id"]: STATES.index(row["state"]) for row in changes}
    for sys_id, state in answered.lives.items():
        assert found[sys_id] - STATES.index(state) in {0, 1}
    for row in changes:
        sys_id, at = row["sys_id"], found[row["sys_id"]]
        answer = ["requested"] if at == 1 else ["approved"]
        assert [each["state"] for each in approvals if each["sysapproval"] == sys_id] == (answer if at else [])
        assert row["approval"] == (answer[0] if at else "not requested")
        # The two tasks of the implementation, which Review cancels, and the review.
        active = sorted(each["active"] for each in tasks if each["change_request"] == sys_id)
        assert active == {3: ["true"] * 3, 4: ["false", "false", "true"]}.get(at, [])
        assert moves[sys_id] == at
    verified = server.changegate("history", "verify")
    assert verified.returncode == 0, verified.stdout


def rows_of(server: Running, table: str, query: str) -> list[dict[str, str]]:
    params = f"sysparm_query={query}&sysparm_limit=10000&sysparm_exclude_reference_link=true"
    rows: list[dict[str, str]] = administer(server, "GET", f"{TABLES}/{table}?{params}")
    return rows


def assert_each_change_exists_once(desk: LiveDesk, answered: Answered) -> None:
    query = {"sysparm_limit": "10000", "sysparm_fields": "sys_id,number,short_description"}
    query |= {"sysparm_query": "correlation_idISEMPTY"}
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
