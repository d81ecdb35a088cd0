"""How much of the processor something takes, on a machine that does other things too."""

import sys
import time
from collections.abc import Callable

CPU_LIMIT_SECONDS = 0.05
ATTEMPTS = 10
# What the yardstick takes on the machine that the limit is meant for, when it has nothing else to do.
YARDSTICK_SECONDS = 0.006
# Measuring which lines are run slows all of them down.
TRACED_FACTOR = 3


def assert_cheap(work: Callable[[], object], limit: float = CPU_LIMIT_SECONDS) -> None:
    """Insist that this thread needs less than the limit for some work, which is done again when it seems to need more.

    A busy machine makes everything slow, and so a known piece of work beside it.
    What is slow by itself is so every time.
    """
    limit *= TRACED_FACTOR if sys.gettrace() else 1
    taken = []
    for _ in range(ATTEMPTS):
        taken.append(_time(work))
        if taken[-1] < limit or taken[-1] < limit * _slowness():
            return
    raise AssertionError(f"at least {min(taken):.3f} seconds of CPU")


def _slowness() -> float:
    """Return how many times longer the yardstick takes than it should; at least 1."""
    return max(1.0, _time(_yardstick) / YARDSTICK_SECONDS)


def _yardstick() -> int:
    return sum(number & 7 for number in range(100_000))


def _time(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started
