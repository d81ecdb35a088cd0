"""How much more two nodes carry than one, each held to a quarter of a processor."""

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from tests.support.live_desk import CHANGES, LiveDesk
from tests.support.servers import Running, workers_of

SHARE = 0.25
LOOK_SECONDS = 0.002
# A node may be ahead of its share by so many seconds.
BURST_SECONDS = 0.01
CALLERS_PER_NODE = 6
ROUNDS = 5
ROUND_SECONDS = 5.0
LEAST_RATIO = 1.8
TIMEOUT_SECONDS = 60


def work_of(pid: int) -> float:
    """Return the seconds of processor time that a process has used (Linux's clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def held_to_share(pids: Sequence[int]) -> Iterator[None]:
    """Stop and continue processes so that each uses `SHARE` of a processor at most."""
    done = threading.Event()

    def hold() -> None:
        began, before = time.monotonic(), {pid: work_of(pid) for pid in pids}
        while not done.wait(LOOK_SECONDS):
            allowed = (time.monotonic() - began) * SHARE + BURST_SECONDS
            for pid in pids:
                is_ahead = work_of(pid) - before[pid] > allowed
                os.kill(pid, signal.SIGSTOP if is_ahead else signal.SIGCONT)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True)
class Rate:
    """What nodes have answered in a round: answers a second, and for each second of their processor time.

    `used` is the part of their share that they have used: less on a busy machine, or if they wait for each other.
    """

    by_time: float
    by_work: float
    used: float

    def __str__(self) -> str:
        return f"{self.by_time:.0f} answers/s with {self.used:.0%} of the share"


def measure(nodes: Sequence[Running], desk: LiveDesk) -> Rate:
    """Let callers exchange, create, and read at nodes that are held to their share."""
    pids = [pid for node in nodes for pid in workers_of(node)]
    callers = [node.url for node in nodes for _ in range(CALLERS_PER_NODE)]
    with held_to_share(pids), ThreadPoolExecutor(len(callers)) as pool:
        began, before = time.monotonic(), sum(map(work_of, pids))
        counts = pool.map(lambda url: _call(url, desk, began + ROUND_SECONDS), callers)
        answers, elapsed = sum(counts), time.monotonic() - began
        work = sum(map(work_of, pids)) - before
    return Rate(answers / elapsed, answers / work, work / (elapsed * SHARE * len(nodes)))


def _call(url: str, desk: LiveDesk, until: float) -> int:
    count = 0
    with ExitStack() as stack:
        caller = LiveDesk(url, desk.idp_url, desk.credentials)
        stack.callback(caller.close)
        while time.monotonic() < until:
            answer = caller.exchange()
            answer.raise_for_status()
            token = answer.json()["access_token"]
            created = caller.call(token)
            created.raise_for_status()
            headers = {"Authorization": f"Bearer {token}"}
            path = f"{CHANGES}/{created.json()['result']['sys_id']}"
            read = caller.session.get(url + path, headers=headers, timeout=TIMEOUT_SECONDS)
            read.raise_for_status()
            count += 3
    return count


def compare(nodes: Sequence[Running], desk: LiveDesk) -> tuple[float, float, list[str]]:
    """Return the medians of how much more two nodes carry: for the same processor time of each node, and measured."""
    rounds = [(measure(nodes[:1], desk), measure(nodes, desk)) for _ in range(ROUNDS)]
    lines = [f"one node {one}, two nodes {two}" for one, two in rounds]
    measured = statistics.median(two.by_time / one.by_time for one, two in rounds)
    by_work = statistics.median(2 * two.by_work / one.by_work for one, two in rounds)
    return by_work, measured, lines
