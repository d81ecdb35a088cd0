"""The growth of a worker's memory while a client reads many records in pages."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.cases import ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.processors import family_of
from benchmarks.product import list_path
from benchmarks.servers import THREADS

PAGE_SIZE = 1000
# Before the first measurement, every thread of the worker builds pages, since each keeps the memory that it needs for
# one. Half of the threads at a time: more long requests of one caller are refused.
WARM_UP_PAGES = 40
WARM_UP_CLIENTS = max(1, THREADS // 2)
# Far less than 100,000 records take, and more than the memory of the allocator varies.
BOUND_MB = 24.0


@dataclass(frozen=True)
class Memory:
    """The resident memory of a worker before and after, in megabytes."""

    records: int
    before_mb: float
    after_mb: float

    @property
    def growth_mb(self) -> float:
        """Return the growth in megabytes."""
        return self.after_mb - self.before_mb

    @property
    def is_flat(self) -> bool:
        """Return whether the growth is within its limit."""
        return self.growth_mb <= BOUND_MB


def page_through(site: ServedSite) -> Memory | None:
    """Read all changes in pages, and return the memory of the worker; None if the system does not report it."""
    if not Path("/proc/self/status").exists():
        return None
    records = site.past.changes
    with ThreadPoolExecutor(WARM_UP_CLIENTS) as pool:
        list(pool.map(lambda page: _read(site, [0], records), range(WARM_UP_PAGES)))
    before = resident_mb(site.server.pid)
    _read(site, range(0, records, PAGE_SIZE), records)
    return Memory(records, before, resident_mb(site.server.pid))


def _read(site: ServedSite, offsets: Iterable[int], records: int) -> None:
    with requests.Session() as session:
        session.headers.update({"Authorization": site.instance.basic(), "Accept": "application/json"})
        for offset in offsets:
            _read_page(session, site.server.base_url, offset, min(PAGE_SIZE, records - offset))


def _read_page(session: requests.Session, base_url: str, offset: int, expected: int) -> None:
    path = list_path("ORDERBYnumber", PAGE_SIZE, offset=str(offset))
    answer = session.get(base_url + path, timeout=60)
    if answer.status_code != 200:
        raise BenchFailed(f"Paging: {answer.status_code} at offset {offset}: {answer.text[:300]}")
    found = len(answer.json()["result"])
    if found < expected:
        raise BenchFailed(f"Paging: {found} records at offset {offset}, not {expected}")


def resident_mb(pid: int) -> float:
    """Return the memory of the largest child of a server process, which is its only worker."""
    held = [_resident_kb(child) for child in family_of(pid) if child != pid]
    if not held:
        raise BenchFailed(f"Process {pid} has no worker")
    return max(held) / 1024


def _resident_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0  # it ended meanwhile
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(values.get("VmRSS", "0").split()[0])
