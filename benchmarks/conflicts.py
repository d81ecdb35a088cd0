"""The cost of the detection of conflicts for an item of many changes.

The compared calls alternate over one connection, so that noise affects both equally.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any

from sqlalchemy import create_engine, insert

from benchmarks.bounds import Bound
from benchmarks.bulk import Row
from benchmarks.cases import ServedSite
from benchmarks.lives import Person, person
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
        """Plan a change repeatedly for the time of the others, and return how long that took."""
        item, start = new_sys_id(), (utc_now() + timedelta(days=30)).replace(minute=0, second=0)
        self._fill(item, start)
        took: dict[str, list[float]] = {"alone": [], "among others": [], "without a plan": []}
        with ExitStack() as stack:
            admin = person(stack, self.site, "admin", self.site.instance.env[ADMIN_PASSWORD])
            change = admin.send("POST", CHANGE_PATH, {"cmdb_ci": item})["sys_id"]
            for number in range(rounds):
                for name, days in (("alone", -1), ("among others", 0)):
                    at = start + timedelta(days=days, minutes=number)
                    window = {"start_date": f"{at:{STAMP}}", "end_date": f"{at + timedelta(hours=1):{STAMP}}"}
                    took[name].append(self._timed(admin, f"{CHANGE_PATH}/{change}", window))
                fields = {"description": f"Round {number}"}
                took["without a plan"].append(self._timed(admin, f"{CHANGE_PATH}/{change}", fields))
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

    def _timed(self, admin: Person, path: str, fields: dict[str, Any]) -> float:
        begun = time.perf_counter()
        admin.send("PATCH", path, fields)
        return time.perf_counter() - begun
