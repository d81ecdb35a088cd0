"""Which processor does what: the measured server has one for itself, and all else shares the others.

Every server keeps to one processor in any case (decision 0015). They are not alike, since interrupts of the disk reach
one of them first, and who shares one with the load generator or the database waits for it. So all servers get the same
one, and no other process does, where there are several.
"""

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager

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
