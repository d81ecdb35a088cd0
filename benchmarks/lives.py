"""Whole lives of normal changes with two approvals, and the cost of their steps, compared with a PATCH and a GET.

The compared calls alternate over one connection, so that noise affects both equally.
"""

import json
import time
from base64 import b64encode
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.bounds import Bound
from benchmarks.cases import ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.product import ADMIN_PASSWORD, CHANGE_PATH, USER, change_body, list_path

LIVES = 200
APPROVE_PER_PATCH = 2.0
EXPLANATION_PER_GET = 3.0
TABLE = "/api/now/table"
CHANGE_API = "/api/sn_chg_rest/change"
# Steps that are not part of a life: calls that only read, or that others are compared with.
BESIDE = frozenset({"patch", "get", "nextstates", "blockers"})
ASSESS, IMPLEMENT, REVIEW, CLOSED = -4, -1, 0, 3


@dataclass(frozen=True)
class Person:
    """A person with a connection to the server."""

    connection: HTTPConnection
    header: str

    def send(self, method: str, path: str, fields: dict[str, Any] | str | None = None) -> Any:
        """Send a request and return the result of its answer. Raises `BenchFailed`."""
        body = fields if isinstance(fields, str | None) else json.dumps(fields)
        headers = {"Authorization": self.header, "Accept": "application/json", "Content-Type": "application/json"}
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status not in {200, 201}:
            raise BenchFailed(f"{method} {path} answered {answer.status}: {said[:300]!r}")
        return json.loads(said)["result"]


def person(stack: ExitStack, site: ServedSite, name: str, password: str) -> Person:
    """Return a person who is connected until the stack ends."""
    where = urlsplit(site.server.base_url)
    connection = stack.enter_context(closing(HTTPConnection(str(where.hostname), where.port, timeout=30)))
    return Person(connection, "Basic " + b64encode(f"{name}:{password}".encode()).decode())


@dataclass
class Lives:
    """The people of the lives, and how long each kind of step took, in seconds."""

    site: ServedSite
    group: str = ""
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def bounds(self, count: int = LIVES) -> Sequence[Bound]:
        """Let changes live one after the other, and return the compared times."""
        with ExitStack() as stack:
            self._gather(stack)
            for number in range(count):
                self._live(number)
        lives = sum(sum(times) for step, times in self.took.items() if step not in BESIDE)
        of = {step: median(times) for step, times in self.took.items()}
        return [
            Bound("whole lives with two approvals, per second", count / lives),
            Bound("approve / PATCH", of["approve"] / of["patch"], APPROVE_PER_PATCH),
            Bound("nextstates / GET one", of["nextstates"] / of["get"], EXPLANATION_PER_GET),
            Bound("blockers / GET one", of["blockers"] / of["get"], EXPLANATION_PER_GET),
        ]

    def _gather(self, stack: ExitStack) -> None:
        instance = self.site.instance
        password = instance.env[ADMIN_PASSWORD]
        admin = person(stack, self.site, "admin", password)
        for name in ("bench.peer", "bench.cab"):
            admin.send("POST", f"{TABLE}/sys_user", {"user_name": name, "user_password": password})
        self.group = admin.send("POST", f"{TABLE}/sys_user_group", {"name": "Bench"})["sys_id"]
        [cab] = admin.send("GET", f"{TABLE}/sys_user_group?sysparm_query=name=CAB%20Approval")
        for group, name in ((self.group, "bench.peer"), (cab["sys_id"], "bench.cab")):
            admin.send("POST", f"{TABLE}/sys_user_grmember", {"group": group, "user": name})
        self.requester = person(stack, self.site, USER, instance.password)
        self.peer, self.board = (person(stack, self.site, name, password) for name in ("bench.peer", "bench.cab"))

    def _live(self, number: int) -> None:
        fields = {**json.loads(change_body(number)), "assignment_group": self.group, "risk": "3"}
        change = self._timed("create", self.requester, "POST", CHANGE_PATH, fields)["sys_id"]
        path = f"{CHANGE_PATH}/{change}"
        self._timed("move", self.requester, "PATCH", path, {"state": ASSESS})
        for approver in (self.peer, self.board):
            [asked] = approver.send("GET", self._open_approvals(change))
            self._compare(change, number)
            answer = {"state": "approved"}
            self._timed("approve", approver, "PATCH", f"{TABLE}/sysapproval_approver/{asked['sys_id']}", answer)
        self._timed("move", self.requester, "PATCH", path, {"state": IMPLEMENT})
        self._timed("move", self.requester, "PATCH", path, {"state": REVIEW})
        ended = {"state": CLOSED, "close_code": "successful", "close_notes": "Done"}
        self._timed("move", self.requester, "PATCH", path, ended)

    def _compare(self, change: str, number: int) -> None:
        noted = {"review_comments": f"Looked at {number} times {time.monotonic_ns()}"}
        self._timed("patch", self.requester, "PATCH", f"{CHANGE_PATH}/{change}", noted)
        self._timed("get", self.requester, "GET", f"{CHANGE_PATH}/{change}")
        for explanation in ("nextstates", "blockers"):
            self._timed(explanation, self.requester, "GET", f"{CHANGE_API}/{change}/{explanation}")

    def _open_approvals(self, change: str) -> str:
        query = f"sysapproval={change}^state=requested^approver=javascript:gs.getUserID()"
        return list_path(query, 1).replace(CHANGE_PATH, f"{TABLE}/sysapproval_approver")

    def _timed(self, step: str, who: Person, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        begun = time.perf_counter()
        result = who.send(method, path, fields)
        self.took[step].append(time.perf_counter() - begun)
        return result
