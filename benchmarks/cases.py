"""The measured cases, with their traffic."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Traffic, write_feed
from benchmarks.past import OPEN_STATES, Past
from benchmarks.product import CHANGE_PATH, Instance, bearer, change_body, list_path
from benchmarks.servers import Server
from benchmarks.signing import Signer

TEXT = ("Content-Type", "text/plain")
JSON = (("Accept", "application/json"), ("Content-Type", "application/json"))
# A floor has no replay check, so repeating a small feed costs it the same.
FLOOR_ASSERTIONS = 500
PAGE_SIZE = 20
LONG_PAGE_SIZE = 100
NEWEST_FIRST = "^ORDERBYDESCsys_created_on"
SHOWN = "number,short_description,state,priority,assignment_group,assigned_to,cmdb_ci,start_date"
DOT_WALKED = "assignment_group.manager.email,assigned_to.user_name,cmdb_ci.sys_class_name"


# Other work during a run of so many connections and seconds.
Beside = Callable[[int, int], AbstractContextManager[None]]


def nothing(_connections: int, _seconds: int) -> AbstractContextManager[None]:
    """Return a context without other work during a run."""
    return nullcontext()


@dataclass(frozen=True)
class Case:
    """One row of the report; `traffic` returns the traffic of a run of at most so many requests."""

    name: str
    label: str
    base_url: str
    traffic: Callable[[int], Traffic]
    beside: Beside = nothing


def floor_cases(base_url: str, folder: Path, signer: Signer, sys_ids: Sequence[str], past: Past) -> list[Case]:
    """Return the cases a, b, b-unsigned, c, and g."""
    bare = Traffic(method="GET", feed=write_feed(folder / "a", ["/bare"]), feeds="path")
    assertions = write_feed(folder / "b", [signer.sign("RS256") for _ in range(FLOOR_ASSERTIONS)])
    exchange = Traffic(method="POST", path="/exchange", feed=assertions, headers=(TEXT,))
    commit = Traffic(method="POST", path="/commit", feed=assertions, headers=(TEXT,))
    paths = write_feed(folder / "c", [f"/change/{sys_id}" for sys_id in sys_ids])
    read = Traffic(method="GET", feed=paths, feeds="path")
    pages = write_feed(folder / "g", [f"/changes/{group}" for group in past.groups])
    list_ = Traffic(method="GET", feed=pages, feeds="path")
    return [
        Case("a", "bare route", base_url, lambda _: bare),
        Case("b", "floor of an exchange", base_url, lambda _: exchange),
        Case("b-unsigned", "floor of a commit", base_url, lambda _: commit),
        Case("c", "floor of a read", base_url, lambda _: read),
        Case("g", f"floor of a list of {PAGE_SIZE}", base_url, lambda _: list_),
    ]


@dataclass(frozen=True)
class ServedSite:
    """A served instance of one size, and the credentials of its callers; `mark` ends the names of its cases."""

    server: Server
    folder: Path
    instance: Instance
    token: str
    past: Past
    mark: str = ""

    def cases(self) -> list[Case]:
        """Return the cases e, f, h, and i."""
        filled = f"of {self.past.changes:,}"
        groups = [self._page_of(f"assignment_group={group}") for group in self.past.groups]
        states = [self._page_of(f"state={state}") for state in OPEN_STATES]
        return [
            self._create(),
            self._get("f", f"GET one {filled}", [f"{CHANGE_PATH}/{sys_id}" for sys_id in self.past.sys_ids]),
            self._get("h", f"GET {PAGE_SIZE} {filled}, by group", groups),
            self._get("i", f"GET {PAGE_SIZE} {filled}, by state", states),
        ]

    def long_page_case(self) -> Case:
        """Return the case j: display values of all fields, and fields of other tables."""
        queries = [f"assignment_group={group}{NEWEST_FIRST}" for group in self.past.groups]
        options = {"display_value": "all", "fields": f"{SHOWN},{DOT_WALKED}"}
        paths = [list_path(query, LONG_PAGE_SIZE, **options) for query in queries]
        return self._get("j", f"GET {LONG_PAGE_SIZE} with dot-walks", paths)

    def _page_of(self, condition: str) -> str:
        return list_path(condition + NEWEST_FIRST, PAGE_SIZE)

    def _create(self) -> Case:
        bodies = write_feed(self.folder / "e", [change_body(number) for number in range(2000)])
        create = Traffic(method="POST", path=CHANGE_PATH, headers=(bearer(self.token), *JSON), feed=bodies)
        label = f"POST one to {self.past.changes:,}"
        return Case(f"e{self.mark}", label, self.server.base_url, lambda _: create)

    def _get(self, name: str, label: str, paths: list[str]) -> Case:
        basic = (("Authorization", self.instance.basic()), *JSON)
        get = Traffic(method="GET", headers=basic, feed=write_feed(self.folder / name, paths), feeds="path")
        return Case(f"{name}{self.mark}", label, self.server.base_url, lambda _: get)
