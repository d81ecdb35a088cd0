"""Which processor does what: the measured server has one for itself, and all else shares the others.

Every server keeps to one processor in any case (decision 0015). They are not alike, since interrupts of the disk reach
one of them first, and who shares one with the load generator or the database waits for it. So all servers get the same
one, and no other process does, where there are several.
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
    """Let this thread, and whatever it starts in the block, run on some processors only."""
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
    return [*_family(server), *_backends(database)]


def used_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have taken, or the time where the system does not count the former.

    Unlike the time that passes, it hardly depends on what else the machine does.
    """
    if not Path("/proc/self/schedstat").exists():
        return time.perf_counter()
    taken = 0
    for thread in (thread for pid in pids for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")):
        with suppress(OSError):
            taken += int(thread.read_text().split()[0])
    return taken / 1e9


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _family(int(child))


def _backends(database: str) -> Iterator[int]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_text()
            if line.startswith("postgres:") and f" {database} " in line:
                yield int(path.parent.name)
