"""Conflicts: what the detection of conflicts costs for an item that many changes are about.

The calls that are compared alternate over one connection, so that noise meets both alike.
"""

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection
from itertools import islice
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import create_engine, insert

from benchmarks.bounds import Bound
from benchmarks.bulk import Row
from benchmarks.cases import ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.product import ADMIN_PASSWORD, CHANGE_PATH
from changegate.models import ChangeRequest, CmdbCi
from changegate.models.base import new_sys_id, utc_now

BUSY_CHANGES, OVERLAPPING = 100_000, 1_000
ROUNDS, ROWS_AT_ONCE = 20, 1000
MOST_MILLISECONDS = 200.0
STAMP = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Conflicts:
    """An instance with an item of `changes` changes, of which `overlapping` begin at the same time."""

    site: ServedSite
    database_url: str
    changes: int = BUSY_CHANGES
    overlapping: int = OVERLAPPING

    def bounds(self, rounds: int = ROUNDS) -> Sequence[Bound]:
        """Plan a change for the time of the others again and again, and return what that took."""
        item, start = new_sys_id(), (utc_now() + timedelta(days=30)).replace(minute=0, second=0)
        self._fill(item, start)
        took: dict[str, list[float]] = {"alone": [], "among others": [], "without a plan": []}
        with closing(self._connection()) as connection:
            change = self._send(connection, "POST", CHANGE_PATH, {"cmdb_ci": item})["sys_id"]
            for number in range(rounds):
                for name, days in (("alone", -1), ("among others", 0)):
                    at = start + timedelta(days=days, minutes=number)
                    window = {"start_date": f"{at:{STAMP}}", "end_date": f"{at + timedelta(hours=1):{STAMP}}"}
                    took[name].append(self._timed(connection, f"{CHANGE_PATH}/{change}", window))
                fields = {"description": f"Round {number}"}
                took["without a plan"].append(self._timed(connection, f"{CHANGE_PATH}/{change}", fields))
        of = {name: median(times) * 1000 for name, times in took.items()}
        others = f"{self.overlapping:,} of {self.changes:,} changes of its item"
        return [
            Bound("save of another field, ms", of["without a plan"]),
            Bound("save of a window without conflicts, ms", of["alone"]),
            Bound(f"save of a window with {others}, ms", of["among others"], MOST_MILLISECONDS),
        ]

    def _fill(self, item: str, start: datetime) -> None:
        # By statements: the server has the database open already.
        engine, changes = create_engine(self.database_url), self._changes(item, start)
        with engine.begin() as connection:
            connection.execute(insert(CmdbCi.__table__), {"sys_id": item, "name": "busy"})
            while some := list(islice(changes, ROWS_AT_ONCE)):
                connection.execute(insert(ChangeRequest.__table__), some)
        engine.dispose()

    def _changes(self, item: str, start: datetime) -> Iterator[Row]:
        for number in range(self.changes):
            # All others are planned later, one after the other.
            at = start if number < self.overlapping else start + timedelta(days=1, hours=number)
            yield {
                "sys_id": new_sys_id(),
                "sys_class_name": "change_request",
                "number": f"PLAN{number:07}",
                "state": -5,
                "active": True,
                "cmdb_ci": item,
                "start_date": at,
                "end_date": at + timedelta(hours=1),
            }

    def _connection(self) -> HTTPConnection:
        return HTTPConnection(urlsplit(self.site.server.base_url).netloc)

    def _timed(self, connection: HTTPConnection, path: str, fields: dict[str, Any]) -> float:
        begun = time.perf_counter()
        self._send(connection, "PATCH", path, fields)
        return time.perf_counter() - begun

    def _send(self, connection: HTTPConnection, method: str, path: str, fields: dict[str, Any]) -> Any:
        credentials = b64encode(f"admin:{self.site.instance.env[ADMIN_PASSWORD]}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(fields), headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status not in {200, 201}:
            raise BenchFailed(f"{method} {path} answered {answer.status}: {said[:300]!r}")
        return json.loads(said)["result"]
