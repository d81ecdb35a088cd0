"""Two callers at two servers who write one change at the same time: one of them is first, and nothing is half done."""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import requests

from tests.conftest import ADMIN_PASSWORD
from tests.e2e.conftest import Servers
from tests.support.live_desk import administer, repeated
from tests.support.servers import Running

TABLES = "/api/now/table"
TIMEOUT_SECONDS = 60
ROUNDS = 3
ASSESS, AUTHORIZE, SCHEDULED, IMPLEMENT, REVIEW, CANCELED = -4, -3, -2, -1, 0, 4
DONE = {"state": "3", "close_code": "successful", "close_notes": "Done"}
Send = Callable[[Running], requests.Response]
_numbers = itertools.count()


class Races:
    """A policy that asks one person, and changes that callers at both servers write at the same time."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.mark = f"race {time.monotonic_ns()}"
        self.approver = f"racer.{time.monotonic_ns()}"
        user = self.add("sys_user", user_name=self.approver, user_password=ADMIN_PASSWORD)
        self.group = self.add("sys_user_group", name=self.mark)
        # Before the policies of other tests on these servers.
        only = {"state": str(AUTHORIZE), "order": "0", "condition": f"correlation_id={self.mark}"}
        policy = self.add("chg_policy_approval", name=self.mark, **only)
        self.add("chg_approval_def", policy=policy, name="The racer", approver_source="users", users=user)
        self.write("PATCH", f"chg_policy_approval/{policy}", active="true")

    def add(self, table: str, **fields: str) -> str:
        return str(self.write("POST", table, **fields)["sys_id"])

    def write(self, method: str, path: str, **fields: str) -> Any:
        return administer(self.servers[0], method, f"{TABLES}/{path}", **fields)

    def waiting(self) -> tuple[str, str]:
        """Return an emergency in Authorize, and its only approval."""
        fields = {"type": "emergency", "correlation_id": self.mark, "assignment_group": self.group}
        change = self.add("change_request", **fields)
        self.write("PATCH", f"change_request/{change}", state=str(AUTHORIZE))
        [row] = self.approvals(change)
        return change, row["sys_id"]

    def implemented(self, tasks: int) -> tuple[str, list[str]]:
        """Return a change in Implement with tasks."""
        change = self.add("change_request", assignment_group=self.group, state=str(IMPLEMENT))
        return change, [self.add("change_task", change_request=change) for _ in range(tasks)]

    def at_once(self, *sends: Send) -> list[requests.Response]:
        """Send requests to the two servers in turns, all at the same time, and begin with another server each time."""
        start, turn = Barrier(len(sends)), next(_numbers)

        def send(at: int) -> requests.Response:
            start.wait(TIMEOUT_SECONDS)
            return repeated(lambda: sends[at](self.servers[(at + turn) % 2]))

        with ThreadPoolExecutor(len(sends)) as pool:
            answers = list(pool.map(send, range(len(sends))))
        for answer in answers:
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400:
                error = answer.json()["error"]
                assert error["message"] and (error["detail"] or answer.status_code == 404), answer.text
        return answers

    def state(self, change: str) -> dict[str, str]:
        """Return the change as the other server shows it, which no caller of `write` uses."""
        record: dict[str, str] = administer(self.servers[1], "GET", f"{TABLES}/change_request/{change}")
        return record

    def approvals(self, change: str) -> list[dict[str, str]]:
        query = f"sysparm_query=sysapproval={change}^ORDERBYsys_id&sysparm_fields=sys_id,state"
        rows: list[dict[str, str]] = administer(self.servers[1], "GET", f"{TABLES}/sysapproval_approver?{query}")
        return rows

    def history(self, change: str, kind: str) -> int:
        query = f"sysparm_query=subject_id={change}^kind={kind}&sysparm_fields=seq"
        return len(administer(self.servers[1], "GET", f"{TABLES}/chg_history?{query}"))


def patch(path: str, user: str = "admin", method: str = "PATCH", **fields: str) -> Send:
    def send(server: Running) -> requests.Response:
        credentials = (user, ADMIN_PASSWORD)
        return requests.request(
            method, f"{server.url}{TABLES}/{path}", json=fields, auth=credentials, timeout=TIMEOUT_SECONDS
        )

    return send


@pytest.fixture
def races(servers: Servers) -> Races:
    return Races(servers)


def test_an_approval_covers_an_edit_at_the_same_time_or_is_void(races: Races) -> None:
    for number in range(ROUNDS):
        change, approval = races.waiting()
        approve = patch(f"sysapproval_approver/{approval}", races.approver, state="approved")
        plan = f"Plan {number}"
        approved, edited = races.at_once(approve, patch(f"change_request/{change}", implementation_plan=plan))
        record, states = races.state(change), [row["state"] for row in races.approvals(change)]
        assert approved.status_code == 200 and record["state"] == str(SCHEDULED)
        assert edited.status_code in {200, 409}
        assert record["implementation_plan"] == (plan if edited.status_code == 200 else "")
        # After the approval, the edit has voided it, and the same person is asked again.
        expected = {"approved": ["approved"], "requested": ["cancelled", "requested"]}
        assert states == expected[record["approval"]]
        assert races.history(change, "voided") == (record["approval"] == "requested")


def test_a_cancellation_and_an_approval_at_the_same_time_leave_nothing_open(races: Races) -> None:
    for _ in range(ROUNDS):
        change, approval = races.waiting()
        approve = patch(f"sysapproval_approver/{approval}", races.approver, state="approved")
        approved, canceled = races.at_once(approve, patch(f"change_request/{change}", state=str(CANCELED)))
        record, [row] = races.state(change), races.approvals(change)
        assert (approved.status_code, row["state"]) in {(200, "approved"), (403, "cancelled")}
        # Scheduled can be canceled as well. Only a change that moved during the request is a conflict.
        assert (canceled.status_code, record["state"]) in {(200, str(CANCELED)), (409, str(SCHEDULED))}
        assert approved.status_code == 200 or canceled.status_code == 200
        moves = 1 + (approved.status_code == 200) + (canceled.status_code == 200)
        assert races.history(change, "moved") == moves


def test_a_deletion_and_an_approval_at_the_same_time_leave_nothing_open(races: Races) -> None:
    for _ in range(ROUNDS):
        change, approval = races.waiting()
        approve = patch(f"sysapproval_approver/{approval}", races.approver, state="approved")
        approved, deleted = races.at_once(approve, patch(f"change_request/{change}", method="DELETE"))
        [row] = races.approvals(change)
        assert deleted.status_code in {204, 409}
        outcomes = {(200, "approved"), (403, "cancelled"), (404, "cancelled")}
        assert (approved.status_code, row["state"]) in outcomes
        gone = patch(f"change_request/{change}", description="x")(races.servers[0])
        assert gone.status_code == (404 if deleted.status_code == 204 else 200)
        assert races.history(change, "deleted") == (deleted.status_code == 204)


def test_a_hold_and_the_last_task_at_the_same_time_make_one_move_or_none(races: Races) -> None:
    for _ in range(ROUNDS):
        change, [task] = races.implemented(1)
        hold = patch(f"change_request/{change}", on_hold="true", on_hold_reason="Vendor")
        held, closed = races.at_once(hold, patch(f"change_task/{task}", **DONE))
        record = races.state(change)
        assert (held.status_code, closed.status_code) in {(200, 200), (409, 200), (200, 409)}
        assert record["on_hold"] == str(held.status_code == 200).lower()
        # A hold that was first stops the automatic move. After the move, the change is on hold in Review.
        assert record["state"] in ({str(IMPLEMENT), str(REVIEW)} if held.status_code == 200 else {str(REVIEW)})
        assert races.history(change, "moved") == (record["state"] == str(REVIEW))


def test_tasks_that_close_beside_a_move_to_review_move_the_change_once(races: Races) -> None:
    for _ in range(ROUNDS):
        change, tasks = races.implemented(2)
        closing = [patch(f"change_task/{task}", **DONE) for task in tasks]
        *closed, moved = races.at_once(*closing, patch(f"change_request/{change}", state=str(REVIEW)))
        assert [answer.status_code for answer in closed] == [200, 200]
        # The last task may move the change while the request to move it waits.
        assert moved.status_code in {200, 409}
        assert races.state(change)["state"] == str(REVIEW)
        assert races.history(change, "moved") == 1


def test_the_histories_of_all_these_changes_verify(servers: Servers) -> None:
    verified = servers[0].changegate("history", "verify")
    assert verified.returncode == 0, verified.stdout
