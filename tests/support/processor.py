"""How much of the processor something takes, on a machine that does other things too."""

import time
from collections.abc import Callable

CPU_LIMIT_SECONDS = 0.05
ATTEMPTS = 4


def assert_cheap(work: Callable[[], object], limit: float = CPU_LIMIT_SECONDS) -> None:
    """Insist that this thread needs less than the limit for some work, which is done again when it seems to need more.

    A busy machine makes anything slow once in a while; what is slow by itself is slow every time.
    """
    taken = []
    for _ in range(ATTEMPTS):
        started = time.thread_time()
        work()
        taken.append(time.thread_time() - started)
        if taken[-1] < limit:
            return
    raise AssertionError(f"at least {min(taken):.3f} seconds of CPU")
