"""The cost of schedules: creations while many freezes and policies are active, and the windows of a week.

Phases without and with them alternate over one connection, so that noise affects both equally.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter, sleep
from typing import Any

from benchmarks.bounds import Bound
from benchmarks.cases import ServedSite
from benchmarks.lives import CHANGE_API, TABLE, Person, person
from benchmarks.product import ADMIN_PASSWORD, CHANGE_PATH, USER, change_body

POLICIES, FREEZES = 50, 200
CREATIONS, PHASES = 100, 3
# Edits of schedules and policies enqueue jobs, which take longer with 100,000 changes and are not measured here.
PAUSE_SECONDS = 20
CREATE_PER_CREATE, WINDOWS_PER_GET = 1.3, 5.0
WINDOWS = "/api/sn_chg_rest/windows"
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Etc/UTC")


@dataclass
class Planning:
    """An instance with freezes and policies that are switched on and off, and the durations of each kind of call."""

    site: ServedSite
    freezes: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def bounds(
        self, count: int = CREATIONS, freezes: int = FREEZES, policies: int = POLICIES, pause: float = PAUSE_SECONDS
    ) -> Sequence[Bound]:
        """Create changes without and with active schedules, read windows, and return the compared times."""
        with ExitStack() as stack:
            instance = self.site.instance
            admin = person(stack, self.site, "admin", instance.env[ADMIN_PASSWORD])
            requester = person(stack, self.site, USER, instance.password)
            ci = admin.send("POST", f"{TABLE}/cmdb_ci", {"name": "bench-router"})["sys_id"]
            self._add(admin, freezes, policies)
            for _ in range(PHASES):
                for is_on in (False, True):
                    self._switch(admin, is_on=is_on)
                    sleep(pause)
                    self._create(requester, ci, count, "with" if is_on else "without")
            self._read(requester, ci, count)
            self._switch(admin, is_on=False)
        of = {step: median(times) for step, times in self.took.items()}
        beside = f"with {policies} policies and {freezes} freezes / without"
        return [
            Bound(f"POST {beside}", of["table with"] / of["table without"], CREATE_PER_CREATE),
            Bound(f"POST {beside}, Change API", of["change with"] / of["change without"], CREATE_PER_CREATE),
            Bound("windows of a week / GET one", of["windows"] / of["get"], WINDOWS_PER_GET),
        ]

    def _add(self, admin: Person, freezes: int, policies: int) -> None:
        for number, (span, zone) in zip(range(freezes), _spans(), strict=False):
            sent = {"name": f"Bench {number}", "time_zone": zone, "active": "false"}
            freeze = admin.send("POST", f"{TABLE}/cmn_schedule_blackout", sent)["sys_id"]
            admin.send("POST", f"{TABLE}/cmn_schedule_span", {"schedule": freeze, **span})
            self.freezes.append(freeze)
        for number in range(policies):
            sent = {"name": f"Bench {number}", "state": "-4", "order": str(number), "active": "false"}
            sent["condition"] = f"category=Other^risk=2^short_descriptionSTARTSWITH{number}"
            policy = admin.send("POST", f"{TABLE}/chg_policy_approval", sent)["sys_id"]
            rule = {"policy": policy, "name": "Bench", "approver_source": "group", "group": "CAB Approval"}
            admin.send("POST", f"{TABLE}/chg_approval_def", rule)
            self.policies.append(policy)

    def _switch(self, admin: Person, *, is_on: bool) -> None:
        for table, rows in (("cmn_schedule_blackout", self.freezes), ("chg_policy_approval", self.policies)):
            for sys_id in rows:
                admin.send("PATCH", f"{TABLE}/{table}/{sys_id}", {"active": str(is_on).lower()})

    def _create(self, requester: Person, ci: str, count: int, mark: str) -> None:
        for number in range(count):
            fields = {**json.loads(change_body(number)), "cmdb_ci": ci}
            self._timed(f"table {mark}", requester, "POST", CHANGE_PATH, fields)
            self._timed(f"change {mark}", requester, "POST", f"{CHANGE_API}/normal", fields)

    def _read(self, requester: Person, ci: str, count: int) -> None:
        for number in range(count):
            sys_id = self.site.past.sys_ids[number % len(self.site.past.sys_ids)]
            self._timed("get", requester, "GET", f"{CHANGE_PATH}/{sys_id}")
            self._timed("windows", requester, "GET", f"{WINDOWS}?ci={ci}")

    def _timed(self, step: str, who: Person, method: str, path: str, fields: dict[str, Any] | None = None) -> None:
        begun = perf_counter()
        who.send(method, path, fields)
        self.took[step].append(perf_counter() - begun)


def _spans() -> Iterator[tuple[dict[str, str], str]]:
    """Yield spans with their zones, without an end: weeks around the present, and nights that repeat."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    number = 0
    while True:
        start = today - timedelta(days=number % 20 + 1)
        night = start + timedelta(hours=20 + number % 3)
        once = {"start_date_time": f"{start:%F %T}", "end_date_time": f"{start + timedelta(days=40):%F %T}"}
        daily = {"start_date_time": f"{night:%F %T}", "end_date_time": f"{night + timedelta(hours=9):%F %T}"}
        yield (daily | {"repeat_type": "daily"} if number % 2 else once), ZONES[number % len(ZONES)]
        number += 1
