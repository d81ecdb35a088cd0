"""The processors of the processes: the measured server has one of its own, and all others share the rest.

Every server stays on one processor (decision 0015). Processors differ, since one of them handles the interrupts of the
disk, and a server that shares one with the load generator or the database waits for it.
"""

import os
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path

CAN_CHOOSE = hasattr(os, "sched_setaffinity")
ALL: Set[int] = frozenset(os.sched_getaffinity(0)) if CAN_CHOOSE else frozenset()
SERVERS: Set[int] = frozenset({max(ALL)}) if CAN_CHOOSE else frozenset()
OTHERS: Set[int] = ALL - SERVERS or ALL


@contextmanager
def kept_to(processors: Set[int]) -> Iterator[None]:
    """Let this thread, and all processes that it starts in the block, run on some processors only."""
    if not CAN_CHOOSE:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pids_of(server: int, database: str) -> Sequence[int]:
    """Return a server process, its children, and the processes of PostgreSQL for one of its databases."""
    return [*family_of(server), *_backends(database)]


def used_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have taken; the clock if the system does not report it.

    Unlike elapsed time, it hardly depends on other work of the machine.
    """
    if not Path("/proc/self/schedstat").exists():
        return time.perf_counter()
    taken = 0
    for thread in (thread for pid in pids for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")):
        with suppress(OSError):
            taken += int(thread.read_text().split()[0])
    return taken / 1e9


def family_of(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family_of(int(child))


def _backends(database: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_text()
            if line.startswith("postgres:") and f" {database} " in line:
                yield int(path.parent.name)
