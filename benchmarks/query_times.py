"""The processor time of common queries, compared with that of a GET of one change over the same connection.

The least time of server and database counts, so that a loaded machine measures nearly the same. The report has one line
for each query, and `docs/queries.md` shows the same with the indexes.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask

from benchmarks.bounds import Bound
from benchmarks.common_queries import MOST, PAGE_SIZE, CommonQuery, common_queries
from benchmarks.errors import BenchFailed
from benchmarks.life import Life
from benchmarks.processors import pids_of, used_seconds
from benchmarks.product import CHANGE_PATH, Instance
from benchmarks.query_plans import indexes_of, plan_of
from benchmarks.servers import Server
from changegate import create_app
from changegate.database import commit
from changegate.extensions import db, now
from changegate.services.tables.upkeep import index_texts, renew_statistics

ROUNDS = 9
# Counting an index takes this long for each match.
SECONDS_PER_MATCH = 0.006 / 100_000
LONG_SECONDS = 0.5
SETTLE_SECONDS = 0.002


@dataclass(frozen=True)
class Finding:
    """A query, the number of its matches, and the seconds of its pages and of a GET of one change.

    `late` is the last page, found by its offset. `following` is a page near the end, found by the link of the page
    before. They are 0 if there is no such page.
    """

    query: CommonQuery
    matches: int
    seconds: float
    late: float
    following: float
    one: float
    indexes: Sequence[str]

    @property
    def allowed(self) -> float:
        """Return how many times as long as a GET of one change the query may take."""
        return MOST[self.query.kind] + self.matches * SECONDS_PER_MATCH / self.one


class _Answer(NamedTuple):
    """The seconds of a call, the count in its answer, and the path of the next page if that begins after a key."""

    seconds: float
    matches: int
    following: str


@dataclass(frozen=True)
class CommonQueries:
    """A served instance with the two years of `life`."""

    server: Server
    instance: Instance
    life: Life
    found: list[Finding] = field(default_factory=list)

    def bounds(self, rounds: int = ROUNDS) -> list[Bound]:
        """Measure each query, and return how many times as long as a GET of one change it takes."""
        self.found[:] = self._measure_all(rounds)
        of = f"of {self.life.changes:,} / GET one"
        return [Bound(f"{each.query.name} {of}", each.seconds / each.one, each.allowed) for each in self.found]

    def _measure_all(self, rounds: int) -> Iterator[Finding]:
        indexes = self._indexes()
        where = urlsplit(self.server.base_url)
        with closing(HTTPConnection(str(where.hostname), where.port, timeout=60)) as connection:
            for query in common_queries(self.life):
                yield self._measure(connection, query, rounds, indexes[query.name])

    def _measure(self, connection: HTTPConnection, query: CommonQuery, rounds: int, indexes: Sequence[str]) -> Finding:
        changes = [f"{CHANGE_PATH}/{sys_id}" for sys_id in self.life.sys_ids[:rounds]]
        for path in changes:
            self._get(connection, path)
        begun = time.perf_counter()
        first = self._get(connection, query.path())
        is_long = time.perf_counter() - begun > LONG_SECONDS
        paths = {"seconds": query.path()}
        last = (first.matches - 1) // PAGE_SIZE * PAGE_SIZE
        if last > 0 and not query.stats:
            paths["late"] = query.path(last)
            if following := self._get(connection, query.path(last - PAGE_SIZE)).following:
                paths["following"] = following
        database = self.instance.env["CHANGEGATE_DATABASE_URL"].rpartition("/")[2]
        pids = pids_of(self.server.pid, database)
        taken = defaultdict[str, list[float]](list)
        for number in range(min(4, rounds) if is_long else rounds):
            for name, path in {**{f"one {again}": changes[number] for again in range(3)}, **paths}.items():
                taken[name.split()[0]].append(self._get(connection, path, pids).seconds)
        least = {"late": 0.0, "following": 0.0} | {name: min(times) for name, times in taken.items()}
        return Finding(query, first.matches, **least, indexes=indexes)

    def _get(self, connection: HTTPConnection, path: str, pids: Sequence[int] = ()) -> _Answer:
        headers = {"Authorization": self.instance.basic(), "Accept": "application/json"}
        try:
            begun = used_seconds(pids)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        except RemoteDisconnected:
            # The server ends connections that are idle, or old.
            connection.close()
            return self._get(connection, path, pids)
        said = answer.read()
        # For the work of the thread after its answer.
        time.sleep(SETTLE_SECONDS)
        seconds = used_seconds(pids) - begun
        if answer.status != 200:
            raise BenchFailed(f"GET {path} answered {answer.status}: {said[:300]!r}")
        matches = int(answer.headers.get("X-Total-Count", 0)) or _count_all(json.loads(said)["result"])
        return _Answer(seconds, matches, _following(answer.headers.get("Link", "")))

    def _indexes(self) -> dict[str, list[str]]:
        # A process of its own reads the plans: the server has none to show.
        app = app_of(self.instance)
        headers = {"Authorization": self.instance.basic()}
        found = {query.name: indexes_of(plan_of(app, query, headers)) for query in common_queries(self.life)}
        with app.app_context():
            db.engine.dispose()
        return found


def _following(links: str) -> str:
    """Return the path of the next page if it begins after the last record of this one."""
    following = re.search(r'<([^>]*sysparm_after=[^>]*)>;rel="next"', links)
    if not following:
        return ""
    where = urlsplit(following[1])
    return f"{where.path}?{where.query}"


def _count_all(result: Any) -> int:
    """Return how many records the groups of an aggregate have; a record that is read alone is no group."""
    return sum(int(group["stats"]["count"]) for group in result) if isinstance(result, list) else 0


def app_of(instance: Instance) -> Flask:
    """Return the product in this process, on the database of an instance."""
    settings = {"database_url": instance.env["CHANGEGATE_DATABASE_URL"]}
    return create_app(instance_path=Path(instance.env["CHANGEGATE_INSTANCE_PATH"]), overrides=settings)


def keep_up(instance: Instance) -> None:
    """Index the texts and renew the statistics, as jobs do."""
    app = app_of(instance)
    more = True
    while more:
        with app.app_context():
            more = index_texts(now())
            commit()
    with app.app_context():
        renew_statistics(now())
        commit()
        db.engine.dispose()


def write_queries(path: Path, of_databases: Mapping[str, Sequence[Finding]], size: int) -> None:
    """Replace the generated part of docs/queries.md."""
    text = path.read_text()
    begin, end = (text.index(f"<!-- {word} -->\n") for word in ("generated", "end"))
    begin += len("<!-- generated -->\n")
    lines = [f"Measured with {size:,} changes, as multiples of a GET of one change.", ""]
    names = [*of_databases]
    heads = [f"{name}: indexes | first page | last page | by its link" for name in names]
    lines += [
        f"| query | matches | {' | '.join(heads)} | at most |",
        "|---|---:|" + "---|---:|---:|---:|" * len(names) + "---:|",
    ]
    for findings in zip(*of_databases.values(), strict=True):
        cells = [_cells(each) for each in findings]
        first = findings[0]
        lines.append(f"| {first.query.name} | {first.matches:,} | {' | '.join(cells)} | {first.allowed:.0f} |")
    path.write_text(text[:begin] + "\n".join(lines) + "\n" + text[end:])


def _cells(finding: Finding) -> str:
    pages = (f"{took / finding.one:.1f}" if took else "" for took in (finding.seconds, finding.late, finding.following))
    return f"{', '.join(f'`{name}`' for name in finding.indexes)} | {' | '.join(pages)}"
